"""A small video in which nothing is hidden by itself, detectors that know where its face is, and edits of a review."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, DetectorError, Image
from services.schema import pb
from tests.support.frames import luma
from tests.support.videos import make_video, paint_numbered, read_number

FRAMES = 40
SIZE = (320, 240)

_NOISE = 12
"""Levels by which encoding alone changes a pixel; every mask of the pattern changes it by more."""
_BARE, _GONE = 0.2, 0.97
"""Shares of a box's pixels that changed, where it is shown and where it is masked."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2."""


def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """The frame's number at the top, and a chequered pattern below it that every mask destroys."""
    picture = paint_numbered(number, width, height)
    rows, columns = np.mgrid[: height * 3 // 4, :width]
    squares = ((rows // 8 + (columns + number) // 8) % 2 * 170 + 40).astype(np.uint8)
    picture[height // 4 :] = squares[..., None]
    return picture


def make(path: Path) -> Path:
    return make_video(path, frames=FRAMES, size=SIZE, paint=paint, options={"crf": "8"})


def face_at(number: int) -> Box:
    """Where the face is in a frame, counted from 0: it moves to the right."""
    return 60 + 2 * number, 120, 90 + 2 * number, 160


class Knowing:
    """Finds the face where it is; fails at the frames it is told to."""

    name, model, version = "face", "knowing", "1"

    def __init__(self, fails: Callable[[int], bool] = lambda _: False) -> None:
        self._fails = fails

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        found = []
        for image in images:
            number = read_number(image.mean(axis=2).astype(np.uint8))
            if self._fails(number):
                raise DetectorError("told to fail")
            box = np.array([face_at(number)], np.float32)
            found.append(Boxes(box, np.array([0.9], np.float32), np.array([pb.KIND_FACE], np.int32)))
        return found


def difference(source: Path, output: Path) -> list[NDArray[np.float64]]:
    """|output - source| of the luma, frame by frame."""
    return [np.abs(b.astype(float) - a) for a, b in zip(luma(source), luma(output), strict=True)]


def masked(change: NDArray[np.float64], box: Box) -> bool:
    """True where nothing of the pattern is left in a box, False where all of it is; raises for anything between."""
    x1, y1, x2, y2 = (round(value) for value in box)
    gone = float((change[max(0, y1) : y2, max(0, x1) : x2] > _NOISE).mean())
    if _BARE < gone < _GONE:
        raise AssertionError(f"{gone:.0%} of it is masked")
    return gone >= _GONE


class Edit:
    """Changes the files of a review folder as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gt = folder / "gt" / "gt.txt"

    def lines(self) -> list[list[str]]:
        return [line.split(",") for line in self.gt.read_text().splitlines()]

    def write(self, lines: Sequence[Sequence[object]]) -> None:
        self.gt.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))

    def keep(self, wanted: Callable[[list[str]], bool]) -> None:
        """Removes all other lines."""
        self.write([line for line in self.lines() if wanted(line)])

    def add(self, track: int, boxes: Mapping[int, Box], label: int = 1) -> None:
        """Adds a track: frame, counted from 1 → box."""
        rows = [[frame, track, x1, y1, x2 - x1, y2 - y1, 1, label, 1] for frame, (x1, y1, x2, y2) in boxes.items()]
        self.write([*self.lines(), *rows])

    def review(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes review.json."""
        path = self.folder / "review.json"
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data, indent=1))
