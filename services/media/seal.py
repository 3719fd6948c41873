"""Drawn figures in the place of people: a body's outline at body scale, and nothing else of what is under the mask.

A figure stands before what lies around its box. Of the pixels inside, it uses one thing: where a coarse cell differs
from the surroundings, which bends the outline of a body's template within bounds. The head is the template's. Tones and
folds are thrown for each track and held for its life; they have nothing to do with the picture. Another face, other
clothes, a logo: as long as the outline is the same, so is the figure.

What lies around is spread inwards smoothly, with the grain of a place beside the box from which nothing is masked: a
detector that learns from sealed pictures would otherwise learn people by the smooth patch they stand on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.picture import Picture

Box = tuple[int, int, int, int]
"""Even x1, y1, x2, y2 within a picture."""
Body = tuple[float, float, float, float]
"""x1, y1, x2, y2 of a body, anywhere; it may reach over the picture's edge."""

_Grid = NDArray[np.float32]
_Plane = NDArray[np.uint8]
_Value = TypeVar("_Value", np.uint8, np.float32)

ROWS, COLUMNS = 32, 16
"""Cells of a body: the finest outline there is."""
HEAD = 0.22
"""Share of a body's height, from the top, that shows nothing but the template."""
UPRIGHT = 1.2
"""Lowest height over width of a body; a lower box holds a group, a car or part of somebody, and is drawn as a blob."""

_TINY = 40  # cells along the longer side of what the surroundings are taken from
_RING = 0.12  # of the box's longer side: how far around it the surroundings reach
_DIFFERS = 0.4, 8.0, 40.0  # share of a body's mean contrast from which a cell is not background; least, most levels
_WEIGHTS = np.array(((1.0, 1.5, 1.5),))  # of luma, Cb and Cr where they differ
_BEND = 2.0  # most that the picture adds to the template, in its own unit
_SOFT = 0.35  # cells, at strength 1
_PACE = 0.6  # share of a new outline in the held one
_DARK, _BRIGHT = 24, 225
_NEUTRAL = 128
_DARKER = 0.7  # share of figures darker than what is around them, as people are outdoors
_CONTRAST = 60.0, 120.0
_FEET = 0.9  # share of a box's height: detectors and people who draw boxes leave some room
_FOLDS = 20.0
_WAIST = 0.45, 0.56
_KERNELS = ((5, 1e-4), (15, 1e-7), (41, 1e-10))  # cells, weight: the nearest free cells decide
_NOTHING = 1e-14
_NEAR = 0.03  # of the box's longer side: grain is what differs from the mean of what is nearer than that
_GRAIN = 40  # levels: enough for lines on a road, too little for a second person
_SLACK = 0.25  # of the box's width: how far from other boxes grain is looked for


@dataclass(slots=True, eq=False)
class Figure:
    """What one track's figure looks like.

    Attributes:
        contrast: (ROWS, COLUMNS) luma relative to `base`: tones of head, clothes, folds.
        base: luma of the surroundings when the track was first masked; None before.
        outline: (ROWS, COLUMNS), above 0 inside; None before.
        aside: how many pixels to the right the place lies whose texture the surroundings have; None before.
    """

    contrast: _Grid
    base: float | None = None
    outline: _Grid | None = None
    aside: int | None = None

    @classmethod
    def thrown(cls, random: np.random.Generator, *, flat: bool) -> "Figure":
        """A new figure, by chance alone; a flat one has a single tone."""
        head, upper, lower = random.uniform(*_CONTRAST, 3) * (-1 if random.random() < _DARKER else 1)
        if flat:
            return cls(np.full((ROWS, COLUMNS), upper, np.float32))
        if random.random() > _DARKER:
            lower = -lower
        rows = (np.arange(ROWS) + 0.5) / ROWS
        contrast = np.where(rows < 0.17, head, np.where(rows < random.uniform(*_WAIST), upper, lower))[:, None]
        folds = cv2.GaussianBlur(random.normal(0, 1, (ROWS, COLUMNS)), (0, 0), 1.2)
        folds[rows < HEAD] = 0
        return cls((contrast + folds * (_FOLDS / folds.std())).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """All that a drawing knows of the picture.

    Attributes:
        box: what is masked.
        body: whose outline it is.
        area: what `around` covers.
        around: luma, Cb, Cr of the surroundings, (rows, columns) each.
        grain: how luma differs from its mean nearby, 128 where it does not, at a place beside the box where nothing is
            masked; (height, width) of the box. None where there is no such place.
        tones: (ROWS, COLUMNS) luma of the figure.
        outline: (ROWS, COLUMNS), above 0 inside.
    """

    box: Box
    body: Body
    area: Box
    around: tuple[_Plane, ...]
    grain: _Plane | None
    tones: _Plane
    outline: _Grid


def sketch(picture: Picture, box: Box, body: Body, unseen: Sequence[Box], figure: Figure, strength: float) -> Sketch:
    """Looks once at a box, and moves its figure's held outline on.

    Args:
        picture: before anything is masked.
        box: to be masked.
        body: the box before padding.
        unseen: every box of this picture that is masked: nothing in them is taken for surroundings.
        figure: of the track.
        strength: above 1 makes the outline coarser.
    """
    area = _grown(picture, box)
    body = body[0], body[1], max(body[2], body[0] + 1), max(body[3], body[1] + 1)
    own = _reduced(picture, area)
    around = _surroundings(own, _free(area, own.shape[1::-1], unseen))
    if figure.base is None:
        figure.base = float(around[..., 0].mean())
    differs = np.asarray(cv2.transform(cv2.absdiff(own, around), _WEIGHTS), np.float32)
    found = _outline(_warped(differs, area, body, (COLUMNS, ROWS)), _is_upright(body), strength)
    held = figure.outline
    figure.outline = found if held is None else held + _PACE * (found - held)
    figure.aside = _aside(picture, box, unseen, figure.aside)
    grain = None if figure.aside is None else _grain(picture, box, figure.aside)
    tones = np.clip(figure.base + figure.contrast, _DARK, _BRIGHT).astype(np.uint8)
    planes = tuple(np.ascontiguousarray(plane) for plane in np.moveaxis((around + 0.5).astype(np.uint8), 2, 0))
    return Sketch(box, body, area, planes, grain, tones, _with_head(figure.outline, body))


def draw(picture: Picture, sketches: Sequence[Sketch]) -> None:
    """Draws sketches over their boxes in place, in all three planes: first what is around, then who stands there."""
    for plan in sketches:
        _draw_around(picture, plan)
    for plan in sorted(sketches, key=lambda plan: plan.body[3]):
        _draw_figure(picture, plan)


def _draw_around(picture: Picture, plan: Sketch) -> None:
    for number, plane in enumerate((picture.y, picture.u, picture.v)):
        scale = 1 if number == 0 else 2
        x1, y1, x2, y2 = (value // scale for value in plan.area)
        whole = cv2.resize(plan.around[number], (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
        rows, columns = _part(plan.box, scale)
        shown = whole[rows.start - y1 : rows.stop - y1, columns.start - x1 : columns.stop - x1]
        if number == 0 and plan.grain is not None:
            shown = cv2.addWeighted(shown, 1, plan.grain, 1, -_NEUTRAL)
        plane[rows, columns] = shown


def _draw_figure(picture: Picture, plan: Sketch) -> None:
    x1, y1, x2, y2 = (round(value) for value in plan.body)
    body = x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)
    left, top = (-(-max(body[axis], plan.box[axis]) // 2) * 2 for axis in (0, 1))
    right, bottom = (min(body[axis], plan.box[axis]) // 2 * 2 for axis in (2, 3))
    if left >= right or top >= bottom:
        return
    place = left, top, right, bottom
    edge = max(0.5, 0.35 * min((plan.body[2] - plan.body[0]) / COLUMNS, (plan.body[3] - plan.body[1]) / ROWS))
    outline = _stretched(plan.outline, body, place)
    solid = np.asarray(cv2.addWeighted(outline, 255 * edge, outline, 0, 127.5, dtype=cv2.CV_8U), np.uint8)
    _blend(picture.y[_part(place, 1)], solid, _stretched(plan.tones, body, place))
    quarter = _halved(solid)
    for plane in (picture.u, picture.v):
        _blend(plane[_part(place, 2)], quarter, np.uint8(_NEUTRAL))


def _stretched(grid: NDArray[_Value], body: Box, place: Box) -> NDArray[_Value]:
    """A grid that covers `body`, in pixels, of which those in `place`, within it, are wanted."""
    size = place[2] - place[0], place[3] - place[1]
    wide, tall = body[2] - body[0], body[3] - body[1]
    if wide * tall > 2 * size[0] * size[1]:  # most of it would be thrown away
        return _warped(grid, body, place, size)
    whole: NDArray[_Value] = np.asarray(cv2.resize(grid, (wide, tall), interpolation=cv2.INTER_LINEAR), grid.dtype)
    return whole[place[1] - body[1] :, place[0] - body[0] :][: size[1], : size[0]]


def _blend(plane: _Plane, share: _Plane, over: _Plane | np.uint8) -> None:
    """Draws `over` in place, where `share` is 255 all of it."""
    mixed = share.astype(np.uint16) * over + cv2.bitwise_not(share).astype(np.uint16) * plane
    plane[:] = (mixed + 127) // 255


def _part(box: Box, scale: int) -> tuple[slice, slice]:
    x1, y1, x2, y2 = (value // scale for value in box)
    return slice(y1, y2), slice(x1, x2)


def _grown(picture: Picture, box: Box) -> Box:
    ring = 2 * max(4, round(_RING * max(box[2] - box[0], box[3] - box[1]) / 2))
    x1, y1, x2, y2 = box
    return max(x1 - ring, 0), max(y1 - ring, 0), min(x2 + ring, picture.width), min(y2 + ring, picture.height)


def _free(area: Box, size: tuple[int, int], unseen: Sequence[Box]) -> _Grid:
    """1 in cells that no box touches, else 0."""
    free = np.ones(size[::-1], np.float32)
    x1, y1, x2, y2 = area
    for left, top, right, bottom in unseen:
        if left >= x2 or right <= x1 or top >= y2 or bottom <= y1:
            continue
        columns = slice(max((left - x1) * size[0] // (x2 - x1), 0), max(-((x1 - right) * size[0] // (x2 - x1)), 0))
        rows = slice(max((top - y1) * size[1] // (y2 - y1), 0), max(-((y1 - bottom) * size[1] // (y2 - y1)), 0))
        free[rows, columns] = 0
    return free


def _reduced(picture: Picture, area: Box) -> _Grid:
    """Luma, Cb and Cr of an area's cells, (rows, columns, 3)."""
    x1, y1, x2, y2 = area
    cell = max((x2 - x1) / _TINY, (y2 - y1) / _TINY, 2.0)
    size = max(2, round((x2 - x1) / cell)), max(2, round((y2 - y1) / cell))
    planes = []
    for plane, scale in ((picture.y, 1), (picture.u, 2), (picture.v, 2)):
        part = plane[_part(area, scale)]
        # Halves are quick, other shares are not.
        while not any(side % 2 for side in part.shape) and min(part.shape[0] / size[1], part.shape[1] / size[0]) > 2:
            part = _halved(part)
        planes.append(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    return np.dstack(planes).astype(np.float32)


def _halved(plane: _Plane) -> _Plane:
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _surroundings(own: _Grid, free: _Grid) -> _Grid:
    """The cells with what is not free replaced by what is free near it; grey where nothing is."""
    shown = np.dstack((own * free[..., None], free))
    total = shown + np.array((*3 * (_NOTHING * _NEUTRAL,), _NOTHING), np.float32)
    for side, weight in _KERNELS:
        total += weight * cv2.blur(shown, (side, side), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(total[..., :3] / total[..., 3:])


def _aside(picture: Picture, box: Box, unseen: Sequence[Box], held: int | None) -> int | None:
    """How far to the right of a box, or to the left, the next place of its size lies from which nothing is masked.

    The held one stays for as long as that is true of it: then what does not move is drawn as something that does not.
    """
    reach = _reach(box)
    x1, y1, x2, y2 = box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach
    bars = [(left - x2, right - x1) for left, top, right, bottom in (box, *unseen) if top < y2 and bottom > y1]
    slack = round(_SLACK * (box[2] - box[0]))
    choices = [] if held is None else [held]
    choices += sorted((step for low, high in bars for step in (low - slack, high + slack)), key=abs)
    for step in choices:
        if x1 + step >= 0 and x2 + step <= picture.width and not any(low < step < high for low, high in bars):
            return step
    return None


def _grain(picture: Picture, box: Box, aside: int) -> _Plane:
    """How luma beside a box differs from its mean nearby, 128 where it does not; (height, width) of the box."""
    reach = _reach(box)
    x1, y1, x2, y2 = box
    top = max(y1 - reach, 0)
    part = picture.y[top : y2 + reach, x1 - reach + aside : x2 + reach + aside]
    mean = cv2.blur(part, (2 * reach + 1, 2 * reach + 1))
    inner = slice(y1 - top, y2 - top), slice(reach, reach + x2 - x1)
    differs = cv2.addWeighted(part[inner], 1, mean[inner], -1, _NEUTRAL)
    return np.asarray(np.clip(differs, _NEUTRAL - _GRAIN, _NEUTRAL + _GRAIN), np.uint8)


def _reach(box: Box) -> int:
    """Pixels around a place that its grain is told by."""
    return max(2, round(_NEAR * max(box[2] - box[0], box[3] - box[1])))


def _warped(grid: NDArray[_Value], place: Body, target: Body, size: tuple[int, int]) -> NDArray[_Value]:
    """A grid that covers `place`, resampled to `size` = columns, rows that cover `target`; its edge goes on outside."""
    move = np.zeros((2, 3))
    for axis in (0, 1):
        cells = grid.shape[1 - axis] / (place[axis + 2] - place[axis])
        step = (target[axis + 2] - target[axis]) / size[axis]
        move[axis, axis] = step * cells
        move[axis, 2] = (target[axis] + step / 2 - place[axis]) * cells - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grid, move, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), grid.dtype)


def _is_upright(body: Body) -> bool:
    return body[3] - body[1] >= UPRIGHT * (body[2] - body[0])


def _outline(differs: _Grid, upright: bool, strength: float) -> _Grid:
    template = _template(upright)
    share, least, most = _DIFFERS
    bar = min(max(share * float(differs[_CORE].mean()), least), most)
    bend = np.clip((differs / bar - 1) * 2, -1, 1)
    bend[: _HEAD_ROWS + 1] = 0
    bend = cv2.GaussianBlur(bend, (0, 0), _SOFT * max(1.0, strength))
    return np.asarray(template + _BEND * bend, np.float32)


_HEAD_ROWS = round(HEAD * ROWS)
_CORE = slice(ROWS * 5 // 16, ROWS * 9 // 16), slice(COLUMNS * 3 // 8, COLUMNS * 5 // 8)


@lru_cache(maxsize=2)
def _template(upright: bool) -> _Grid:
    """How surely each cell of a body's box belongs to it; the picture decides where this is near 0."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    y, x = (y + 0.5) / ROWS, np.abs((x + 0.5) / COLUMNS - 0.5) * 2
    if not upright:
        return np.asarray(np.minimum((1.0 - np.hypot(x, y * 2 - 1)) * 6, 4), np.float32)
    half = np.interp(y, (0.14, 0.2, 0.26, 0.45, 0.6, 1.0), (0.25, 0.45, 0.62, 0.6, 0.55, 0.55))
    body = (half - x) * 4
    gap = 1.2 - 6 * (y - 0.6)  # between the legs, wider downwards
    legs = np.minimum(body, np.maximum(gap, (x - 0.15) * 4))
    feet = (_FEET - y) * 25
    return np.asarray(np.clip(np.minimum(np.where(y > 0.6, legs, body), feet), -4, 4), np.float32)


_HEAD_Y, _HEAD_X = np.mgrid[0:_HEAD_ROWS, 0:COLUMNS].astype(np.float32)
_HEAD_Y = (_HEAD_Y[:, :1] + 0.5) / ROWS
_HEAD_X = (_HEAD_X[:1] + 0.5) / COLUMNS - 0.5
_ROUND = np.square((_HEAD_Y - 0.105) / 0.068)
_NECK = np.where(_HEAD_Y > 0.14, 2.0, -9.0)
_SHOULDERS = 40 * 1.7 * (_HEAD_Y - 0.145)


def _with_head(outline: _Grid, body: Body) -> _Grid:
    """The outline with the template's head over the middle of the shoulders."""
    if not _is_upright(body):
        return outline
    solid = np.clip(outline[_HEAD_ROWS : _HEAD_ROWS + 4] + 0.5, 0, 1).sum(axis=0) + 1e-3
    centre = float(solid @ _HEAD_X[0] / solid.sum())
    x = np.abs(_HEAD_X - centre) * ((body[2] - body[0]) / (body[3] - body[1]))
    head = 3 - 3 * np.sqrt(np.square(x / 0.055) + _ROUND)
    whole = outline.copy()
    whole[:_HEAD_ROWS] = np.maximum(np.maximum(head, _NECK - x / 0.02), _SHOULDERS - 40 * x)
    return whole
