"""What the teachers said of pictures: a JSON file by the pictures' hashes, and pictures with these labels."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from deploy.models.train.evaluate import ious
from deploy.models.train.pictures import NO_BOXES, Array, Picture

_SAME = 0.35
"""IoU from which a teacher's box is one that is labelled already."""

Opinion = Mapping[str, tuple[Array, Array]]
"""Kind → boxes to find and areas that count neither way, both (n, 4)."""


class Lessons:
    """The answers kept in `path`, read at the start if it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, list[list[list[float]]]]] = (
            json.loads(path.read_text()) if path.exists() else {}
        )

    def __contains__(self, picture: Picture) -> bool:
        return _key(picture) in self._known

    def learn(self, picture: Picture, opinion: Opinion) -> None:
        """Notes an answer."""
        self._known[_key(picture)] = {
            kind: [np.round(boxes, 1).tolist() for boxes in pair] for kind, pair in opinion.items()
        }

    def keep(self) -> None:
        """Writes all answers."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._known))

    def taught(self, pictures: Sequence[Picture]) -> list[Picture]:
        """The pictures with labels for the kinds that they had none for. Raises KeyError for one never asked about.

        Where a kind is labelled already, what teachers are sure of beside the labels counts neither way.
        """
        return [self._with(picture) for picture in pictures]

    def _with(self, picture: Picture) -> Picture:
        if picture not in self:
            raise KeyError(f"the teachers were not asked about {picture.name}: run deploy.models.train.teachers")
        boxes, ignored = dict(picture.boxes), dict(picture.ignored)
        for kind, pair in self._known[_key(picture)].items():
            sure, unsure = (np.array(found, np.float32).reshape(-1, 4) for found in pair)
            if kind in boxes:
                new = ious(sure, boxes[kind]).max(axis=1, initial=0) < _SAME
                ignored[kind] = np.concatenate([ignored.get(kind, NO_BOXES), sure[new]])
            else:
                boxes[kind], ignored[kind] = sure, unsure
        return replace(picture, boxes=boxes, ignored=ignored)


def _key(picture: Picture) -> str:
    return hashlib.sha256(picture.encoded.tobytes()).hexdigest()[:16]
