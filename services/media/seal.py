"""Drawn figures in the place of people: a body's outline at body scale, and nothing else of what is under the mask.

A figure stands before what lies around its box. Of the pixels inside, it uses one thing: where a coarse cell differs
from the surroundings, which bends the outline of a body's template within bounds. The head is the template's. Tones and
folds are thrown for each track and held for its life; they have nothing to do with the picture. Another face, other
clothes, a logo: as long as the outline is the same, so is the figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.picture import Picture

Box = tuple[int, int, int, int]
"""Even x1, y1, x2, y2 within a picture."""
Body = tuple[float, float, float, float]
"""x1, y1, x2, y2 of a body, anywhere; it may reach over the picture's edge."""

_Grid = NDArray[np.float32]

ROWS, COLUMNS = 32, 16
"""Cells of a body: the finest outline there is."""
HEAD = 0.22
"""Share of a body's height, from the top, that shows nothing but the template."""
UPRIGHT = 1.2
"""Lowest height over width of a body; a lower box holds a group, a car or part of somebody, and is drawn as a blob."""

_TINY = 40  # cells along the longer side of what the surroundings are taken from
_RING = 0.12  # of the box's longer side: how far around it the surroundings reach
_DIFFERS = 0.4, 8.0, 40.0  # share of a body's mean contrast from which a cell is not background; least, most levels
_WEIGHTS = 1.0, 1.5, 1.5  # of luma, Cb and Cr where they differ
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


@dataclass(slots=True, eq=False)
class Figure:
    """What one track's figure looks like.

    Attributes:
        contrast: (ROWS, COLUMNS) luma relative to `base`: tones of head, clothes, folds.
        base: luma of the surroundings when the track was first masked; None before.
        outline: (ROWS, COLUMNS), above 0 inside; None before.
    """

    contrast: _Grid
    base: float | None = None
    outline: _Grid | None = None

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
        tones: (ROWS, COLUMNS) luma of the figure.
        outline: (ROWS, COLUMNS), above 0 inside.
    """

    box: Box
    body: Body
    area: Box
    around: tuple[_Grid, ...]
    tones: _Grid
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
    x1, y1, x2, y2 = area
    cell = max((x2 - x1) / _TINY, (y2 - y1) / _TINY, 2.0)
    size = max(2, round((x2 - x1) / cell)), max(2, round((y2 - y1) / cell))
    half = slice(y1 // 2, y2 // 2), slice(x1 // 2, x2 // 2)
    own = [
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for plane in (picture.y[y1:y2, x1:x2], picture.u[half], picture.v[half])
    ]
    free = _free(area, size, unseen)
    around = _surroundings(own, free)
    if figure.base is None:
        figure.base = float(around[0].mean())
    differs = np.asarray(
        sum(weight * cv2.absdiff(seen, behind) for weight, seen, behind in zip(_WEIGHTS, own, around, strict=True)),
        np.float32,
    )
    found = _outline(_warped(differs, area, body, (COLUMNS, ROWS)), _is_upright(body), strength)
    held = figure.outline
    figure.outline = found if held is None else held + _PACE * (found - held)
    tones = np.clip(figure.base + figure.contrast, _DARK, _BRIGHT)
    return Sketch(box, body, area, around, tones, _with_head(figure.outline, body))


def draw(picture: Picture, sketches: Sequence[Sketch]) -> None:
    """Draws sketches over their boxes in place, in all three planes: first what is around, then who stands there."""
    for plan in sketches:
        for number, plane in enumerate((picture.y, picture.u, picture.v)):
            part = _part(plan.box, 1 if number == 0 else 2)
            target = plane[part]
            target[:] = _warped(plan.around[number], plan.area, plan.box, target.shape[::-1])
    for plan in sorted(sketches, key=lambda plan: plan.body[3]):
        _draw_figure(picture, plan)


def _draw_figure(picture: Picture, plan: Sketch) -> None:
    x1, y1, x2, y2 = plan.box
    size = x2 - x1, y2 - y1
    edge = max(0.5, 0.35 * min((plan.body[2] - plan.body[0]) / COLUMNS, (plan.body[3] - plan.body[1]) / ROWS))
    solid = _warped(plan.outline * edge + 0.5, plan.body, plan.box, size, outside=-9.0)
    np.clip(solid, 0, 1, out=solid)
    tones = _warped(plan.tones, plan.body, plan.box, size)
    luma = picture.y[y1:y2, x1:x2]
    luma[:] = luma + solid * (tones - luma)
    quarter = cv2.resize(solid, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA)
    for plane in (picture.u, picture.v):
        chroma = plane[_part(plan.box, 2)]
        chroma[:] = chroma + quarter * (_NEUTRAL - chroma.astype(np.float32))


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
        columns = slice(max((left - x1) * size[0] // (x2 - x1), 0), max(-((x1 - right) * size[0] // (x2 - x1)), 0))
        rows = slice(max((top - y1) * size[1] // (y2 - y1), 0), max(-((y1 - bottom) * size[1] // (y2 - y1)), 0))
        free[rows, columns] = 0
    return free


def _surroundings(planes: Sequence[_Grid], free: _Grid) -> tuple[_Grid, ...]:
    """The planes with what is not free replaced by what is free near it; grey where nothing is."""
    total = free + _NOTHING
    shown = [plane * free for plane in planes]
    found = [plane + _NOTHING * _NEUTRAL for plane in shown]
    for side, weight in _KERNELS:
        total += weight * _blur(free, side)
        for number, plane in enumerate(shown):
            found[number] += weight * _blur(plane, side)
    return tuple(plane / total for plane in found)


def _blur(plane: _Grid, side: int) -> _Grid:
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_CONSTANT))


def _warped(grid: _Grid, place: Body, target: Body, size: tuple[int, int], outside: float | None = None) -> _Grid:
    """A grid that covers `place`, resampled to `size` = columns, rows that cover `target`."""
    move = np.zeros((2, 3))
    for axis in (0, 1):
        cells = grid.shape[1 - axis] / (place[axis + 2] - place[axis])
        step = (target[axis + 2] - target[axis]) / size[axis]
        move[axis, axis] = step * cells
        move[axis, 2] = (target[axis] + step / 2 - place[axis]) * cells - 0.5
    mode = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grid, move, size, flags=flags, borderMode=mode, borderValue=outside or 0.0))


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


def _with_head(outline: _Grid, body: Body) -> _Grid:
    """The outline with the template's head over the middle of the shoulders."""
    if not _is_upright(body):
        return outline
    solid = np.clip(outline[_HEAD_ROWS : _HEAD_ROWS + 4] + 0.5, 0, 1).sum(axis=0) + 1e-3
    centre = float(solid @ np.arange(COLUMNS) / solid.sum()) / (COLUMNS - 1) - 0.5
    y, x = np.mgrid[0:_HEAD_ROWS, 0:COLUMNS].astype(np.float32)
    y, x = (y + 0.5) / ROWS, ((x + 0.5) / COLUMNS - 0.5 - centre) * (body[2] - body[0]) / (body[3] - body[1])
    head = 3 - 3 * np.hypot(x / 0.055, (y - 0.105) / 0.068)
    neck = np.where(y > 0.14, 2 - np.abs(x) / 0.02, -4)
    shoulders = 40 * (1.7 * (y - 0.145) - np.abs(x))
    top = np.max((head, neck, shoulders), axis=0)
    return np.vstack((top, outline[_HEAD_ROWS:])).astype(np.float32)
