"""What the kinds head and text add to faces, look by look, and what they cost: `python -m tests.eval.kinds`.

Heads are those of the street camera (PETS 2009 S2L1), the top seventh of each person of MOT15 from 48 pixels on, in the
middle half of its width: few show a face that a detector could find. Faces are those marked by hand on photographs of
streets and of groups. Neither is tracked: what a single look hides is compared.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from services.inference.load import load_detectors
from services.policy.model import Kind, Policy
from services.tracker.look import head_of
from tests.eval.persons import person_truth
from tests.support.scene_sources import SHARED_DATA

_KINDS = (Kind.FACE, Kind.HEAD, Kind.TEXT)
_PEOPLE: Mapping[str, tuple[Kind, ...]] = {
    "face": (Kind.FACE,),
    "head": (Kind.HEAD,),
    "face, head": (Kind.FACE, Kind.HEAD),
}
_SETS: Mapping[str, tuple[Kind, ...]] = {**_PEOPLE, "text": (Kind.TEXT,)}
_VIDEOS = ("vtest.avi", "store-aisle-detection.mp4", "classroom.mp4", "face-demographics-walking.mp4")
_BANDS = ((8, 16), (16, 24), (24, 48), (48, 1000))
_PICTURES, _FRAMES, _LOOKS = 60, 300, 24
_LEAST_PERSON = 48
_COVERED = 0.7
_DEADLINE_S = 60.0

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]


class Looker:
    """Looks at pictures with all detectors, and adds up what it took."""

    def __init__(self) -> None:
        self._policy = Policy(name="kinds", kinds=list(_KINDS))  # type: ignore[arg-type]
        self._detectors = load_detectors(self._policy.detectors)
        self.took_s: dict[str, list[float]] = defaultdict(list)

    def masks(self, picture: Picture, kinds: Sequence[Kind] = _KINDS) -> Mapping[Kind, list[Box]]:
        """Padded boxes of what is over the policy's thresholds, in pixels of the picture."""
        height, width, _ = picture.shape
        side = self._policy.detection.side_for(width, height)
        scale = side / max(width, height)
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
        return {kind: self._padded(kind, self._found(kind.detector, small), scale) for kind in kinds}

    def _found(self, name: str, picture: Picture) -> list[list[float]]:
        """Centre, size and score of each box."""
        began = time.process_time()
        (boxes,) = self._detectors[name].detect([picture], _DEADLINE_S)
        self.took_s[name].append(time.process_time() - began)
        low, high = boxes.xyxy[:, :2], boxes.xyxy[:, 2:]
        rows: list[list[float]] = np.column_stack([(low + high) / 2, high - low, boxes.score]).tolist()
        return rows

    def _padded(self, kind: Kind, rows: Sequence[list[float]], scale: float) -> list[Box]:
        rule = self._policy.rule(kind)
        boxes = []
        for row in rows:
            x, y, w, h, score = head_of(row) if kind is Kind.HEAD else row
            if score >= rule.threshold:
                dx, dy = w * (0.5 + rule.padding), h * (0.5 + rule.padding)
                boxes.append(((x - dx) / scale, (y - dy) / scale, (x + dx) / scale, (y + dy) / scale))
        return boxes


def hidden(picture: Picture, masks: Sequence[Box], truth: Sequence[Box]) -> list[bool]:
    """For each true box, whether masks cover most of it."""
    covered = painted(picture, masks)
    return [bool(covered[_within(box, picture)].mean() >= _COVERED) for box in truth]


def painted(picture: Picture, masks: Sequence[Box]) -> NDArray[np.bool_]:
    """(height, width), True where a mask lies."""
    canvas = np.zeros(picture.shape[:2], np.bool_)
    for box in masks:
        canvas[_within(box, picture)] = True
    return canvas


def _within(box: Box, picture: Picture) -> tuple[slice, slice]:
    x1, y1, x2, y2 = (max(0, round(value)) for value in box)
    return slice(y1, max(y2, y1 + 1)), slice(x1, max(x2, x1 + 1))


def heads() -> Iterator[tuple[Picture, list[Box]]]:
    """Pictures of the street camera, with the heads of who is in them."""
    truth = person_truth(768, 576)
    for number, picture in _frames("vtest.avi", _FRAMES // _LOOKS, _LOOKS):
        persons = [one.box for one in truth[number] if one.height >= _LEAST_PERSON and one.visible > 0.99]
        yield picture, [(_x(b, 0.25), b[1], _x(b, 0.75), b[1] + (b[3] - b[1]) / 7) for b in persons]


def _x(box: Box, share: float) -> float:
    return box[0] + share * (box[2] - box[0])


def photographs(name: str) -> Iterator[tuple[Picture, list[Box]]]:
    """Photographs with the faces in them."""
    marked = json.loads((SHARED_DATA / "faces" / name / "truth.json").read_text())
    names = sorted(marked)
    for each in names[:: max(1, len(names) // _PICTURES)]:
        picture = cv2.imread(str(SHARED_DATA / "faces" / name / each))
        assert picture is not None, each
        yield np.ascontiguousarray(picture[..., ::-1], np.uint8), [tuple(face["box"]) for face in marked[each]]


def _frames(video: str, every: int, most: int) -> Iterator[tuple[int, Picture]]:
    with av.open(str(SHARED_DATA / "video" / video)) as reader:
        shown = islice(enumerate(reader.decode(reader.streams.video[0])), 0, every * most, every)
        for number, frame in shown:
            yield number, frame.to_ndarray(format="rgb24")


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.eval.kinds", description=__doc__).parse_args()
    if not (SHARED_DATA / "video" / _VIDEOS[0]).is_file():
        print(f"The pictures are not there: {SHARED_DATA}", file=sys.stderr)
        return 2
    looker, console = Looker(), Console()
    table = Table("hidden in a look", "number", *_PEOPLE)
    found: dict[str, list[list[bool]]] = defaultdict(list)
    for picture, truth in heads():
        found["heads, street camera"] += judged(looker, picture, truth)
    for name in ("street", "group"):
        for picture, truth in photographs(name):
            for box, row in zip(truth, judged(looker, picture, truth), strict=True):
                found[_band(box)].append(row)
    for name, rows in sorted(found.items()):
        table.add_row(name, str(len(rows)), *(f"{share:.0%}" for share in np.mean(rows, axis=0)))
    console.print(table)
    shares = Table("share of the picture masked", *_SETS)
    looker.took_s.clear()  # the photographs are of all sizes
    for video in _VIDEOS:
        looks = [(picture, looker.masks(picture)) for _, picture in _frames(video, 40, 6)]
        cells = []
        for kinds in _SETS.values():
            parts = [
                painted(picture, [box for kind in kinds for box in masks[kind]]).mean() for picture, masks in looks
            ]
            cells.append(f"{np.mean(parts):.1%}")
        shares.add_row(video, *cells)
    console.print(shares)
    base = np.median(looker.took_s["face"])
    costs = (f"{name} {np.median(took) / base:.1f}" for name, took in looker.took_s.items())
    console.print("CPU of a look, in looks for faces:", ", ".join(costs))
    return 0


def judged(looker: Looker, picture: Picture, truth: Sequence[Box]) -> list[list[bool]]:
    """For each true box, which sets of kinds for people hide it."""
    masks = looker.masks(picture, (Kind.FACE, Kind.HEAD))
    columns = [hidden(picture, [box for kind in kinds for box in masks[kind]], truth) for kinds in _PEOPLE.values()]
    return [list(row) for row in zip(*columns, strict=True)]


def _band(box: Box) -> str:
    height = box[3] - box[1]
    return next((f"faces {low:2}–{high} px" for low, high in _BANDS if low <= height < high), "faces, others")


if __name__ == "__main__":
    sys.exit(main())
