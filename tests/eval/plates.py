"""Plates read before and after masking.

A plate counts as read if the reader is sure of four characters or more in two crops of it, and both say nearly the
same. Under a mask it counts as readable if that is so again, whatever it says, or if half of what was read before comes
out of either crop, however unsure.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from services.policy.model import KIND_DEFAULTS, Kind, KindRule
from tests.eval.reader import Reading, read
from tests.eval.treatments import CELLS, FACE_MODES, STRENGTHS, Masker, Treatment, plain_mosaic, veil
from tests.support.scene_sources import SHARED_DATA, package_sources

_FOLDERS = ("us", "br", "web", "kr_composite")
_CHARACTERS = 4
_SURE = 0.7
_ALIKE = 0.75  # of two crops of one plate
_LEAKED = 0.5  # of what was read before
_CROPS = (0.03, 0.1)  # of the plate's size, added on each side
_AROUND = 0.6  # of the plate's size, what is kept of its picture on each side
_SHORT = 12  # plates of a set in the short form

_PADDING = KindRule(**KIND_DEFAULTS[Kind.PLATE]).padding

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Plate:
    """A plate with its surroundings, in a picture with even sides."""

    picture: NDArray[np.uint8] = field(repr=False)
    box: Box


def measure(*, short: bool = False, say: Callable[[str], None] = print) -> dict[str, object]:
    """The section of eval.json: set of plates → how many were read, and of these under each mask."""
    return {name: on_set(name, plates, say, short=short) for name, plates in plate_sets(short=short)}


def plate_sets(*, short: bool) -> Iterator[tuple[str, list[Plate]]]:
    """The shared pictures if they are there, and drawn plates, which need nothing."""
    if SHARED_DATA.is_dir():
        for name in _FOLDERS[:1] if short else _FOLDERS:
            plates = list(_labelled(name))
            yield name, plates[:: max(1, len(plates) // _SHORT)] if short else plates
    yield "drawn", list(_drawn())


def _labelled(name: str) -> Iterator[Plate]:
    folder = SHARED_DATA / "plates" / name
    for file, entries in sorted(json.loads((folder / "truth.json").read_text()).items()):
        picture = cv2.cvtColor(cv2.imread(str(folder / file)), cv2.COLOR_BGR2RGB)
        for entry in entries:
            if entry["kind"] == "plate":
                yield _cut(picture, entry["box"])


def _drawn() -> Iterator[Plate]:
    for cutout in package_sources().of_kind("plate"):
        yield _cut(np.ascontiguousarray(cutout.rgba[..., :3]), cutout.box)


def _cut(picture: NDArray[np.uint8], box: Sequence[float]) -> Plate:
    x1, y1, x2, y2 = _grown(box, _AROUND)
    left, top = max(int(x1), 0), max(int(y1), 0)
    right, bottom = min(int(x2), picture.shape[1]), min(int(y2), picture.shape[0])
    right, bottom = right - (right - left) % 2, bottom - (bottom - top) % 2
    inner = tuple(float(value) - offset for value, offset in zip(box, (left, top, left, top), strict=True))
    return Plate(np.ascontiguousarray(picture[top:bottom, left:right]), inner)  # type: ignore[arg-type]


def _grown(box: Sequence[float], share: float) -> Box:
    dx, dy = share * (box[2] - box[0]), share * (box[3] - box[1])
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy


def on_set(name: str, plates: Sequence[Plate], say: Callable[[str], None], *, short: bool) -> dict[str, object]:
    """All figures of one set."""
    say(f"plates: {name}, {len(plates)}")
    before = [readings(plate.picture, plate.box) for plate in plates]
    legible = [index for index, both in enumerate(before) if is_read(both)]
    figures = {}
    for treatment in chosen(short=short):
        masker = treatment.stream()
        after = {index: readings(_masked(plates[index], masker, index), plates[index].box) for index in legible}
        readable = sum(is_readable(before[index], both) for index, both in after.items())
        figures[treatment.name] = {"ours": treatment.ours, "readable": readable}
    return {"plates": len(plates), "read": len(legible), "masks": figures}


def _masked(plate: Plate, masker: Masker, track: int) -> NDArray[np.uint8]:
    return masker(plate.picture, _grown(plate.box, _PADDING), track)


def chosen(*, short: bool) -> list[Treatment]:
    """What is compared."""
    plain = [plain_mosaic(cells) for cells in ((32,) if short else (*CELLS, 32))]
    return [*plain, *(veil(mode, strength) for mode in FACE_MODES for strength in ((1.0,) if short else STRENGTHS))]


def readings(picture: NDArray[np.uint8], box: Box) -> tuple[Reading, Reading]:
    """What the reader makes of a close and of a wide crop."""
    close, wide = (read(_crop(picture, _grown(box, share))) for share in _CROPS)
    return close, wide


def _crop(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    x1, y1, x2, y2 = (max(round(value), 0) for value in box)
    return picture[y1 : max(y2, y1 + 2), x1 : max(x2, x1 + 2)]


def is_read(both: tuple[Reading, Reading]) -> bool:
    """Whether the reader is sure of a plate."""
    sure = all(each.confidence >= _SURE and len(each.text) >= _CHARACTERS for each in both)
    return sure and alike(both[0].text, both[1].text) >= _ALIKE


def is_readable(before: tuple[Reading, Reading], after: tuple[Reading, Reading]) -> bool:
    """Whether a masked plate gives anything away."""
    leaked = (alike(each.text, old.text) for each in after for old in before)
    return is_read(after) or max(leaked) >= _LEAKED


def alike(a: str, b: str) -> float:
    """1 for equal texts, 0 for those that share no character in order."""
    return SequenceMatcher(None, a, b, autojunk=False).ratio() if a and b else 0.0


def table(section: Mapping[str, Any]) -> Table:
    """One row for each mask, one column for each set."""
    made = Table(title="Plates read", caption="of those that the reader reads in the original")
    made.add_column("mask")
    for name, figures in section.items():
        made.add_column(f"{name}, {figures['read']} of {figures['plates']}", justify="right")
    masks = {mask: None for figures in section.values() for mask in figures["masks"]}
    for mask in masks:
        cells = (str(figures["masks"][mask]["readable"]) for figures in section.values())
        made.add_row(mask, *cells)
    return made
