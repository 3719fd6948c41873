"""Reads the answers of Veil's own networks: a score and four sides for every cell of three grids."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
"""Pixels from one cell of a grid to the next, finest grid first."""


@lru_cache(maxsize=32)
def centres(height: int, width: int) -> NDArray[np.float32]:
    """(cells, 2) x, y of the cells' centres in pixels, row by row; the sides are multiples of the last stride."""
    grids = []
    for stride in STRIDES:
        y, x = np.meshgrid(np.arange(height // stride), np.arange(width // stride), indexing="ij")
        grids.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
    made = np.concatenate(grids).astype(np.float32)
    made.flags.writeable = False
    return made


def decode(
    answer: NDArray[np.float32], height: int, width: int, floor: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 4) boxes in pixels and (n,) scores of the cells that reach `floor`.

    `answer` is (5, cells) for a picture of `height` × `width`: score, then the distance of the left, top, right and
    bottom side from the cell's centre in pixels.
    """
    (hit,) = np.nonzero(answer[0] >= floor)
    centre, sides = centres(height, width)[hit], answer[1:, hit].T
    return np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1), answer[0, hit]
