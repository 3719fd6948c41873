"""Which parts of a picture are looked at in the camera's own resolution, and how often."""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.policy.model import Policy, Zone
from services.schema import pb

_SIDE = 960
"""Longest side of a tile: faces of 12 pixels are found in it, and one tile costs no more than a usual look."""
_OVERLAP = 64
"""Pixels by which neighbouring tiles overlap, so that what is small lies whole in one of them."""
_TILES_MAX = 64


class Tile(NamedTuple):
    """A part of the upright source picture, in even pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


class Details:
    """The tiles of one camera's detail zones, in turns, within the policy's share of the pixels of usual looks.

    Args:
        policy: names the zones and the share.
        width: of the upright source picture.
        height: of the same.
    """

    def __init__(self, policy: Policy, width: int, height: int) -> None:
        self.policy = policy
        zones = [zone for zone in policy.zones if zone.use == "detail"]
        found = [tile for zone in zones for tile in tiles(zone, width, height)]
        self._turns = deque(found[:_TILES_MAX])
        self._share = policy.detection.detail
        self._saved = 0.0

    def turn(self, looked_at: int) -> list[Tile]:
        """The tiles that go with a look at a picture of so many pixels; mostly one or none."""
        if not self._turns:
            return []
        # What is saved up is worth one round at most: after a pause there is no burst of tiles.
        self._saved = min(self._saved + self._share * looked_at, float(sum(tile.pixels for tile in self._turns)))
        taken: list[Tile] = []
        while len(taken) < len(self._turns) and self._saved >= self._turns[0].pixels:
            self._saved -= self._turns[0].pixels
            taken.append(self._turns[0])
            self._turns.rotate(-1)
        return taken


def tiles(zone: Zone, width: int, height: int) -> list[Tile]:
    """Overlapping tiles that cover the rectangle around a zone."""
    x, y = (np.array(zone.polygon) * (width, height)).T
    columns = _cuts(x.min(), x.max(), width)
    rows = _cuts(y.min(), y.max(), height)
    return [Tile(left, top, right - left, bottom - top) for top, bottom in rows for left, right in columns]


def _cuts(low: float, high: float, limit: int) -> list[tuple[int, int]]:
    """Overlapping stretches of one even length that cover low to high within 0 to `limit`, which is even."""
    first = min(2 * math.floor(low / 2), limit - 2)
    last = max(2 * math.ceil(high / 2), first + 2)
    count = max(1, math.ceil((last - first - _OVERLAP) / (_SIDE - _OVERLAP)))
    length = 2 * math.ceil((last - first + (count - 1) * _OVERLAP) / count / 2)
    starts = (np.linspace(first, last - length, count) // 2 * 2).astype(int).tolist()
    return [(start, start + length) for start in starts]


def compose(
    overview: NDArray[np.uint8], details: Sequence[tuple[Tile, NDArray[np.uint8]]], width: int, height: int
) -> tuple[NDArray[np.uint8], list[pb.View]]:
    """One picture of an overview with the details below it, and what is where in it.

    Args:
        overview: RGB (rows, columns, 3) of the whole source picture.
        details: tiles with their RGB pictures.
        width: of the source picture.
        height: of the source picture.
    """
    if not details:
        return overview, []
    parts = [(Tile(0, 0, width, height), overview), *details]
    shapes = [picture.shape for _, picture in parts]
    canvas = np.zeros((sum(shape[0] for shape in shapes), max(shape[1] for shape in shapes), 3), np.uint8)
    views, top = [], 0
    for tile, picture in parts:
        rows, columns, _ = picture.shape
        canvas[top : top + rows, :columns] = picture
        views.append(
            pb.View(
                y=top,
                width=columns,
                height=rows,
                source_x=tile.x,
                source_y=tile.y,
                source_width=tile.width,
                source_height=tile.height,
            )
        )
        top += rows
    return canvas, views
