"""What the auditor sees with: a face network of another family, and text boxes, which number plates are as well."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.auditor.again import MOST, seen_again
from services.auditor.covered import covered_map, covered_share
from services.auditor.find import Box, Find
from services.detect.blazeface import BlazeFaceDetector
from services.detect.catalogue import catalogue, default_models_dir, read_model
from services.detect.interface import Boxes, Detector, Image
from services.detect.onnx_runtime import OnnxSession
from services.detect.text import TextDetector
from services.media.badge import badge_of
from services.media.picture import Picture

KINDS = ("face", "plate")
MODELS = {"face": "blazeface_full", "plate": "ppocr_det"}
"""Kind → the model in the catalogue that finds it, whatever the line masks with."""

COVERED = 0.8
"""Share of a find under flat structure from which it is the mask that looks like something."""
_MIDDLE, _DRAWN_HEAD = 0.5, 0.95
"""Share of a face's sides that is its middle, and share of that under flat structure from which it is a head that a
mask drew. Of 298 faces in street and group pictures none is, of the same without colour four."""
_PLATE_ASPECTS = (1.2, 6.5)
"""Width by height. Of the plates found on 100 street pictures 98 in 100 lie between."""
_LEAST_PX = {"face": 12.0, "plate": 14.0}
_FLOOR = {"face": 0.2, "plate": 0.3}
"""Lowest score of a single view: what is weak in one of them may be clear in the others."""
_FIRST = {"face": 0.3, "plate": 0.5}
"""Score in the whole picture from which a find is looked at again."""


class Eyes(Protocol):
    """Looks at pictures."""

    def look(self, picture: Picture, image: Image) -> Sequence[Find]:
        """What looks like a subject in one picture, given as planes and as RGB. Raises DetectorError, TimeoutError."""


class IndependentEyes:
    """The auditor's own detectors.

    Args:
        detectors: kind → what finds it.
        least: kind → lowest score that is a find.
        timeout_s: for each look of each detector.
    """

    def __init__(self, detectors: dict[str, Detector], least: dict[str, float], timeout_s: float) -> None:
        self._detectors, self._least, self._timeout_s = detectors, least, timeout_s

    def look(self, picture: Picture, image: Image) -> Sequence[Find]:
        """See `Eyes`. What lies under a mask, and the line's own badge, is left out; all else is looked at again."""
        covered, badge = covered_map(picture), badge_of(picture)
        finds: list[Find] = []
        for kind, detector in self._detectors.items():
            (boxes,) = detector.detect([image], self._timeout_s)
            open_ones = [
                find
                for find in _finds(kind, boxes)
                if find.score >= _FIRST[kind]
                and not _is_mask(find, covered)
                and not (badge and _lies_in(find.box, badge))
            ]
            open_ones.sort(key=lambda find: -find.score)
            finds += [seen_again(find, image, detector, self._timeout_s) for find in open_ones[:MOST]]
            finds += open_ones[MOST:]
        return [find for find in finds if find.score >= self._least[find.kind]]


def load_eyes(
    kinds: Collection[str], least: dict[str, float], timeout_s: float, threads: int = 1, models_dir: Path | None = None
) -> IndependentEyes:
    """The eyes for these kinds. Raises ModelMissing, DetectorError."""
    folder = models_dir or default_models_dir()
    detectors: dict[str, Detector] = {}
    if "face" in kinds:
        session = OnnxSession(read_model(MODELS["face"], folder), threads)
        detectors["face"] = BlazeFaceDetector(session, catalogue().entry(MODELS["face"]).stamp, _FLOOR["face"])
    if "plate" in kinds:
        session = OnnxSession(read_model(MODELS["plate"], folder), threads)
        detectors["plate"] = TextDetector(session, catalogue().entry(MODELS["plate"]).stamp, _FLOOR["plate"])
    return IndependentEyes(detectors, least, timeout_s)


def _is_mask(find: Find, covered: NDArray[np.float32]) -> bool:
    """True where a find is a mask: covered for the most part, or a face of which the whole middle is."""
    if covered_share(covered, find.box) >= COVERED:
        return True
    if find.kind != "face":
        return False
    x1, y1, x2, y2 = find.box
    dx, dy = (x2 - x1) * (1 - _MIDDLE) / 2, (y2 - y1) * (1 - _MIDDLE) / 2
    return covered_share(covered, (x1 + dx, y1 + dy, x2 - dx, y2 - dy)) >= _DRAWN_HEAD


def _lies_in(box: Box, badge: tuple[int, int, int, int]) -> bool:
    """True where a box's middle lies in the badge and most of it as well: its text is found a little too large."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = badge[0] <= x <= badge[2] and badge[1] <= y <= badge[3]
    return inside and box[3] - box[1] <= 1.3 * (badge[3] - badge[1]) and box[2] - box[0] <= 1.3 * (badge[2] - badge[0])


def _finds(kind: str, boxes: Boxes) -> Sequence[Find]:
    size = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    keep = size[:, 1] >= _LEAST_PX[kind]
    if kind == "plate":
        aspect = size[:, 0] / np.maximum(size[:, 1], 1)
        keep &= (aspect >= _PLATE_ASPECTS[0]) & (aspect <= _PLATE_ASPECTS[1])
    return [
        Find(kind, float(score), (float(x1), float(y1), float(x2), float(y2)))
        for (x1, y1, x2, y2), score in zip(boxes.xyxy[keep].tolist(), boxes.score[keep].tolist(), strict=True)
    ]
