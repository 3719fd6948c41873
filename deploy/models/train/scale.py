"""Prints what a network's scores mean: `python -m deploy.models.train.scale NET.onnx --data FOLDER`.

Policies begin a track and go on with it at fixed scores, which were chosen with the installed models. For each of these
scores the table has the installed model's precision at it, over all labelled pictures of the kind, and the lowest score
of the network from which it is as precise: the points `scores:` of the catalogue.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deploy.models.train.evaluate import (
    Judged,
    face_sets,
    figures,
    judged,
    own,
    person_sets,
    plate_sets,
)
from deploy.models.train.pictures import Picture
from deploy.models.train.tables import installed, say

POLICY_SCORES = {"face": (0.1, 0.2), "plate": (0.03, 0.1), "person": (0.15, 0.25)}
"""At which a track goes on, and at which it begins."""
_SCORES = np.round(np.arange(0.1, 0.9, 0.01), 2)


def points(ours: Sequence[Judged], theirs: Sequence[Judged], scores: Sequence[float]) -> list[tuple[float, float]]:
    """(score of the network, score of policies), rising."""
    precision = [figures(ours, score).precision for score in _SCORES]
    found: list[tuple[float, float]] = []
    for score in scores:
        wanted = figures(theirs, score).precision
        fit = next((one for one, reached in zip(_SCORES, precision, strict=True) if reached >= wanted), _SCORES[-1])
        least = found[-1][0] + 0.02 if found else 0.0
        found.append((round(max(float(fit), least), 2), score))
    return found


def _pictures(kind: str, data: Path, plates: Sequence[Path]) -> list[Picture]:
    if kind == "plate":
        sets = plate_sets(data, {folder.name: folder for folder in plates})
    else:
        sets = {"face": face_sets, "person": person_sets}[kind](data)
    return [picture for pictures in sets.values() for picture in pictures]


def main() -> None:
    """Prints the points of every kind."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.scale", description=__doc__)
    parser.add_argument("net", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="with faces/, plates/, video/")
    parser.add_argument("--plates", type=Path, nargs="*", default=[], help="more folders with a truth.json")
    given = parser.parse_args()
    model = given.net.read_bytes()
    for kind, scores in POLICY_SCORES.items():
        pictures = _pictures(kind, given.data, given.plates)
        ours, theirs = (judged(find, kind, pictures) for find in (own(model, kind), installed(kind, scores[0])))
        for mine, score in points(ours, theirs, scores):
            say(f"{kind}: {mine:.2f} is {score} (precision {figures(theirs, score).precision:.2f})")


if __name__ == "__main__":
    main()
