"""MOT text: one line for each track and frame, as MOTChallenge defines it and CVAT reads and writes it ("MOT 1.1").

A line is `frame, track, x, y, w, h, conf, class, visibility`: frames and classes are counted from 1, x and y are the
left upper corner in pixels. Class n is the n-th line of labels.txt. `conf` and `visibility` are 1, and are not read.
"""

import io
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.policy.model import Kind
from services.policy.problems import Place, Problem
from services.review.model import TRACKS_MAX
from services.review.tracks import Boxes, Frames

LABELS = tuple(Kind)
LINES_MAX = 2_000_000
"""Five tracks at once for four hours: beyond it nobody edits by hand."""
BYTES_MAX = 128 << 20
_LINE_MAX = 400
_PROBLEMS_MAX = 20
_COLUMNS = 8  # up to the class; what comes after it is not read

_FAR = 100.0
"""Pictures: a corner further away than this many of them is a slip of the pen."""


@dataclass(frozen=True, slots=True, eq=False)
class MotTrack:
    """The lines of one track, by frame: their frames, boxes, and line numbers."""

    kind: Kind
    frames: Frames
    boxes: Boxes
    lines: Frames


class TooMany(Exception):
    """There is more in a file than anybody could have written by hand."""


@dataclass(slots=True)
class _Rows:
    """The lines of one track as they come."""

    label: int
    line: int
    frames: "array[int]" = field(default_factory=lambda: array("q"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    corners: "array[float]" = field(default_factory=lambda: array("d"))


def row(frame: int, track: int, box: Sequence[float], kind: Kind) -> str:
    """One line. The box x1, y1, x2, y2 is written to the millionth, so that the same one comes back in 32 bit."""
    x1, y1, x2, y2 = box
    numbers = ",".join(f"{value:.6f}".rstrip("0").rstrip(".") for value in (x1, y1, x2 - x1, y2 - y1))
    return f"{frame},{track},{numbers},1,{LABELS.index(kind) + 1},1\n"


def is_off(box: Sequence[float], padding: float, size: tuple[int, int]) -> bool:
    """True where no pixel of the picture lies in a box x1, y1, x2, y2, widened by this share of it on each side."""
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * padding, (y2 - y1) * padding
    return x2 + dx <= 0 or y2 + dy <= 0 or x1 - dx >= size[0] or y1 - dy >= size[1]


def labels_text() -> str:
    """labels.txt: every kind that there is."""
    return "".join(f"{kind.value}\n" for kind in LABELS)


def read_labels(data: bytes) -> list[str]:
    """The names in labels.txt, in order."""
    return [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]


def read_mot(
    data: bytes, source: str, labels: Sequence[str], frames: int, size: tuple[int, int], padding: Mapping[Kind, float]
) -> tuple[dict[int, MotTrack], list[Problem]]:
    """The tracks of a gt.txt, in the order of their first lines, and what is wrong in it.

    Args:
        data: the file.
        source: its name, for the problems.
        labels: names of the classes.
        frames: of the video.
        size: width and height of the upright picture.
        padding: kind → share of a box added on each side; the usual one where it is missing.
    """
    reader = _Reader(source, labels, frames, size, padding)
    try:
        for number, line in enumerate(io.BytesIO(data), 1):
            reader.take(number, line)
    except TooMany as error:
        return {}, [*reader.problems, Problem(Place(source), (), str(error))]
    return reader.finish()


class _Reader:
    def __init__(
        self, source: str, labels: Sequence[str], frames: int, size: tuple[int, int], padding: Mapping[Kind, float]
    ) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._labels = labels
        self._frames = frames
        self._size = size
        self._padding = padding
        self._rows: dict[int, _Rows] = {}

    def take(self, number: int, line: bytes) -> None:
        if number > LINES_MAX:
            raise TooMany(f"more than {LINES_MAX} lines")
        if not line.strip():
            return
        wrong = self._take(number, line)
        if wrong:
            self._wrong(number, wrong)

    def finish(self) -> tuple[dict[int, MotTrack], list[Problem]]:
        tracks = {track: self._track(track, rows) for track, rows in self._rows.items()}
        return {track: one for track, one in tracks.items() if one is not None}, self.problems

    def _take(self, number: int, line: bytes) -> str:
        """What is wrong with a line, empty if nothing is."""
        values = _numbers(line)
        if values is None:
            return "not a line of numbers: frame, track, x, y, w, h, conf, class, visibility"
        if not all(value.is_integer() for value in (values[0], values[1], values[7])):
            return "frame, track and class are whole numbers"
        frame, track, label = int(values[0]), int(values[1]), int(values[7])
        x, y, w, h = values[2:6]
        if not 1 <= frame <= self._frames:
            return f"there is no frame {frame}: the video has {self._frames}, counted from 1"
        if track < 1:
            return f"track {track}: a box belongs to a track with a number from 1 on (in CVAT: draw tracks, not shapes)"
        if track >= 1 << 63:
            return "the track's number is too large"
        kind = self._kind(label)
        if kind is None:
            name = f"{self._labels[label - 1]!r}" if 1 <= label <= len(self._labels) else f"number {label}"
            return f"there is no class {name}; classes are {', '.join(LABELS)}"
        if w <= 0 or h <= 0:
            return f"track {track} at frame {frame}: width and height must be above 0"
        if self._off((x, y, x + w, y + h), kind):
            return f"track {track} at frame {frame}: the box lies off the picture of {self._size[0]}×{self._size[1]}"
        rows = self._rows.get(track)
        if rows is None:
            if len(self._rows) >= TRACKS_MAX:
                raise TooMany(f"more than {TRACKS_MAX} tracks")
            rows = self._rows[track] = _Rows(label, number)
        if rows.label != label:
            return f"track {track} has another class here than in line {rows.line}: one track is one thing"
        rows.frames.append(frame)
        rows.lines.append(number)
        rows.corners.extend((x, y, x + w, y + h))
        return ""

    def _kind(self, label: int) -> Kind | None:
        if not 1 <= label <= len(self._labels):
            return None
        name = self._labels[label - 1]
        return Kind(name) if name in LABELS else None

    def _off(self, box: tuple[float, float, float, float], kind: Kind) -> bool:
        """True where a box masks no pixel of the picture, or reaches further than anybody can mean."""
        width, height = self._size
        far = max(map(abs, box[::2])) > _FAR * width or max(map(abs, box[1::2])) > _FAR * height
        return far or is_off(box, self._padding.get(kind, 0.0), self._size)

    def _track(self, track: int, rows: _Rows) -> MotTrack | None:
        frames = np.frombuffer(rows.frames, np.int64)
        order = np.argsort(frames, kind="stable")
        frames = frames[order]
        lines = np.frombuffer(rows.lines, np.int64)[order]
        twice = np.flatnonzero(np.diff(frames) == 0)
        for index in twice[:_PROBLEMS_MAX].tolist():
            text = f"track {track} is at frame {frames[index]} twice, here and in line {lines[index]}"
            self._wrong(int(lines[index + 1]), text)
        kind = self._kind(rows.label)
        if len(twice) or kind is None:
            return None
        return MotTrack(kind, frames, np.frombuffer(rows.corners, np.float64).reshape(-1, 4)[order], lines)

    def _wrong(self, line: int, text: str) -> None:
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(Problem(Place(self._source, line, 1), (), text))
        elif len(self.problems) == _PROBLEMS_MAX:
            self.problems.append(Problem(Place(self._source, line, 1), (), "and more after this; mend these first"))


def _numbers(line: bytes) -> list[float] | None:
    """The numbers of a line up to the class; None where there are fewer, or something else stands there."""
    if len(line) > _LINE_MAX:
        return None
    fields = line.split(b",")
    if len(fields) < _COLUMNS:
        return None
    try:
        values = [float(text) for text in fields[:_COLUMNS]]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None
