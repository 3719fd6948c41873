"""Masks on a picture's own colour planes: nothing they show comes from what is under them.

Why nothing. A mask of picture-dependent tiles still tells people apart, even when it is coarse: on the AT&T faces (40
people, chance .025) an attacker who compares nothing but the tiles with a gallery masked the same way names .93 of them
at 4 cells along the face. One grey for the whole box, rounded to steps of 64 up or down by chance, is still too much:
he names .044 by single tracks, and .069 where he knows which five tracks show one person. So a mosaic here has the grey
of what lies around the box, which everybody sees anyway, broken into tiles by a pattern that has nothing to do with the
picture, and a blur is the same tiles, drawn smoothly. A track keeps its grey and its pattern for life: motion adds
nothing.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media import seal
from services.media.picture import Picture

Plane = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Even x1, y1, x2, y2 within a picture."""

CELLS = 4
"""Most tiles along the longer side of a masked box; fewer where strength is above 1."""
CELL_MIN_PX = 8
"""Shorter tiles are not drawn: a small box gets fewer of them."""
CLOSED_CELLS = 8
"""Tiles along the longer side of a closed picture."""

DRAWN = frozenset(("seal", "silhouette"))
"""Modes that draw a figure."""

_RING = 0.15  # of the longer side: how far around a box its grey is taken from
_STEP = 64
_PATTERN = 28  # tiles differ from the box's grey by at most this many levels
_DARK, _BRIGHT = 16, 235
_NEUTRAL = 128


def _around(picture: Picture, box: Box, unseen: Sequence[Box]) -> float:
    """Mean luma of what lies around a box and is not masked itself; neutral where there is no such thing."""
    x1, y1, x2, y2 = box
    ring = max(2, round(_RING * max(x2 - x1, y2 - y1)))
    left, top = max(x1 - ring, 0), max(y1 - ring, 0)
    luma = picture.y[top : y2 + ring, left : x2 + ring]
    free = np.ones(luma.shape, np.uint8)
    for hidden in (box, *unseen):
        columns, rows = (
            slice(max(hidden[axis] - start, 0), max(hidden[axis + 2] - start, 0))
            for axis, start in ((0, left), (1, top))
        )
        free[rows, columns] = 0
    return cv2.mean(luma, free)[0] if free.any() else float(_NEUTRAL)


def _level(luma: float, random: np.random.Generator) -> int:
    """A luma as one of 6 levels, rounded up or down by chance."""
    level = round((luma - _STEP / 2) / _STEP + random.uniform(-0.5, 0.5))
    return min(max(_STEP // 2 + level * _STEP, _DARK), _BRIGHT)


@dataclass(frozen=True, slots=True)
class Shade:
    """What one track's mask looks like.

    Attributes:
        grey: luma of the whole box.
        tiles: (rows, columns) luma, from `grey` and the pattern.
        side: longer side in pixels of the box it was made for.
    """

    grey: int
    tiles: Plane
    side: int


class Shades:
    """The shades of one stream's tracks: each is made when its track is first masked, and held.

    Only the number of tiles follows a box that has grown or shrunk to half or twice its size; the grey never changes.
    The track masked longest ago is forgotten when there are more than `capacity`.
    """

    def __init__(self, capacity: int = 1024, seed: int = 0) -> None:
        self._capacity = capacity
        self._shades: OrderedDict[Hashable, Shade] = OrderedDict()
        self._figures: OrderedDict[Hashable, seal.Figure] = OrderedDict()
        self._random = np.random.default_rng(seed)  # not a secret: it is independent of the picture

    def of(self, track: Hashable, picture: Picture, box: Box, strength: float, unseen: Sequence[Box] = ()) -> Shade:
        """The shade of a track whose box, within the picture, has even corners x1, y1, x2, y2.

        Nothing of the picture in the box or in those that are `unseen` is used.
        """
        width, height = box[2] - box[0], box[3] - box[1]
        side = max(width, height)
        held = self._shades.get(track)
        if held is not None and side < held.side * 2 and side * 2 > held.side:
            self._shades.move_to_end(track)
            return held
        grey = held.grey if held is not None else _level(_around(picture, box, unseen), self._random)
        shade = Shade(grey, self._tiles(grey, width, height, CELLS / max(1.0, strength)), side)
        self._shades[track] = shade
        if len(self._shades) > self._capacity:
            self._shades.popitem(last=False)
        return shade

    def figure(self, track: Hashable, *, flat: bool) -> seal.Figure:
        """The figure of a track; `flat` has one tone."""
        key = (track, flat)
        held = self._figures.get(key)
        if held is None:
            held = self._figures[key] = seal.Figure.thrown(self._random, flat=flat)
            if len(self._figures) > self._capacity:
                self._figures.popitem(last=False)
        self._figures.move_to_end(key)
        return held

    def _tiles(self, grey: int, width: int, height: int, cells: float) -> Plane:
        cell = max(CELL_MIN_PX, max(width, height) / cells)
        shape = max(1, round(height / cell)), max(1, round(width / cell))
        return _tiles(self._random, grey, shape)


def _tiles(random: np.random.Generator, grey: int, shape: tuple[int, int]) -> Plane:
    return np.clip(grey + random.integers(-_PATTERN, _PATTERN + 1, shape), _DARK, _BRIGHT).astype(np.uint8)


def outer_bounds(
    boxes: NDArray[np.float64], padding: NDArray[np.float64], width: int, height: int
) -> list[tuple[int, int, int, int]]:
    """Padded boxes as even pixel bounds within a picture.

    Args:
        boxes: (n, 4) finite x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, anywhere.
        padding: (n,) share of the box's size added on each side.
        width: of the picture.
        height: of the picture.

    Returns:
        n bounds x1, y1, x2, y2, rounded outwards; x1 >= x2 or y1 >= y2 where the box lies off the picture.
    """
    margin = (boxes[:, 2:] - boxes[:, :2]) * padding[:, None]
    limits = (width // 2, height // 2)
    low = np.clip(np.floor((boxes[:, :2] - margin) / 2), 0, limits)
    high = np.clip(np.floor((boxes[:, 2:] + margin) / 2) + 1, 0, limits)
    bounds = (np.hstack((low, high)) * 2).astype(np.int64)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in bounds.tolist()]


def mask(
    picture: Picture,
    bounds: Sequence[tuple[int, int, int, int]],
    tracks: Sequence[Hashable],
    modes: Sequence[str],
    strength: float,
    shades: Shades,
    bodies: NDArray[np.float64] | None = None,
) -> list[int]:
    """Masks boxes in place, in all three planes.

    Args:
        picture: of the caller's own; nobody else may be reading it.
        bounds: from `outer_bounds`.
        tracks: whose box each one is; the shade is held under this key.
        modes: of each box: solid, mosaic, blur, seal or silhouette.
        strength: above 1 draws fewer tiles and coarser outlines.
        shades: of this stream.
        bodies: (n, 4) the boxes before padding, which figures are drawn into; the bounds if left out.

    Returns:
        Which boxes touched the picture, by index.

    Raises:
        ValueError: on an unknown mode. The picture may be partly masked then.
    """
    visible = [index for index, (x1, y1, x2, y2) in enumerate(bounds) if x1 < x2 and y1 < y2]
    unseen = [bounds[index] for index in visible]
    drawn = [index for index in visible if modes[index] in DRAWN]
    # Everything is taken from the picture before anything is drawn, so that no box shows what another's mask did.
    shown = {
        index: None if modes[index] == "solid" else shades.of(tracks[index], picture, bounds[index], strength, unseen)
        for index in visible
        if modes[index] not in DRAWN
    }
    places = bounds if bodies is None else [(x1, y1, x2, y2) for x1, y1, x2, y2 in bodies.tolist()]
    sketches = [
        seal.sketch(
            picture,
            bounds[index],
            places[index],
            unseen,
            shades.figure(tracks[index], flat=modes[index] == "silhouette"),
            strength,
        )
        for index in drawn
    ]
    for index, shade in shown.items():
        _fill(picture, bounds[index], modes[index], shade)
    seal.draw(picture, sketches)
    return visible


def _fill(picture: Picture, box: Box, mode: str, shade: Shade | None) -> None:
    x1, y1, x2, y2 = box
    luma = picture.y[y1:y2, x1:x2]
    if shade is None:
        luma[:] = _DARK
    else:
        _stretch(shade.tiles, luma, _interpolation(mode))
    half = slice(y1 // 2, y2 // 2), slice(x1 // 2, x2 // 2)
    picture.u[half] = picture.v[half] = _NEUTRAL


def _stretch(tiles: Plane, area: Plane, interpolation: int) -> None:
    drawn = cv2.resize(tiles, area.shape[::-1], dst=area, interpolation=interpolation)
    if drawn is not area:  # OpenCV may always answer with an array of its own: then the picture would stay as it was
        raise RuntimeError("a mask was drawn beside the picture")


def _interpolation(mode: str) -> int:
    if mode == "mosaic":
        return cv2.INTER_NEAREST
    if mode == "blur":
        return cv2.INTER_LINEAR
    raise ValueError(f"no mask is called {mode!r}")


def close_picture(picture: Picture) -> None:
    """Masks the whole picture in place: its one coarse grey, in tiles that have nothing to do with it.

    Callers hold the result for as long as a run of closed pictures lasts.
    """
    width, height = picture.width, picture.height
    random = np.random.default_rng(0)
    grey = _level(cv2.mean(picture.y)[0], random)
    cell = max(width, height) / CLOSED_CELLS
    shape = max(1, round(height / cell)), max(1, round(width / cell))
    _stretch(_tiles(random, grey, shape), picture.y, cv2.INTER_NEAREST)
    picture.u[:] = picture.v[:] = _NEUTRAL


class Zone:
    """A polygon that is always masked, rasterised once for one picture size.

    Args:
        polygon: corners as shares of width and height.
        width: of the pictures it is drawn on.
        height: of the pictures it is drawn on.
    """

    def __init__(self, polygon: Sequence[tuple[float, float]], width: int, height: int) -> None:
        chroma = np.zeros((height // 2, width // 2), np.uint8)
        # Corners in sixteenths of a chroma pixel; the outline is drawn too, so that every pixel touched is inside.
        corners = np.round(np.array(polygon) * (width // 2, height // 2) * 16 - 8).astype(np.int32)
        cv2.fillPoly(chroma, [corners], 255, shift=4)
        cv2.polylines(chroma, [corners], isClosed=True, color=255, thickness=2, shift=4)
        x, y, w, h = cv2.boundingRect(chroma)
        self._half = slice(y, y + h), slice(x, x + w)
        self._full = slice(2 * y, 2 * (y + h)), slice(2 * x, 2 * (x + w))
        self._chroma = np.ascontiguousarray(chroma[self._half])
        self._luma = self._chroma.repeat(2, 0).repeat(2, 1)
        self._dark = np.full_like(self._luma, _DARK)
        self._neutral = np.full_like(self._chroma, _NEUTRAL)

    def draw(self, picture: Picture) -> None:
        """Fills it in place: black."""
        for plane, area, fill, inside in (
            (picture.y, self._full, self._dark, self._luma),
            (picture.u, self._half, self._neutral, self._chroma),
            (picture.v, self._half, self._neutral, self._chroma),
        ):
            cv2.copyTo(fill, inside, plane[area])
