"""How much of a face or plate a program destroyed, judged by pixels alone: the same rule for every program.

Source and output are compared where identity lives: in detail finer than about a fifth of the subject, after both were
reduced to `_CANONICAL` rows so that what a codec drops does not count. A pixel is destroyed where the two details no
longer agree.

Calibrated on five generated scenes, compressed again at crf 23 where nothing else is said. Share judged hidden,
faces / plates: clear 0 / 0, clear at crf 28 .01 / 0, at crf 32 .06 / .15; blur of sigma .02 of the width .01 / .45,
sigma .10 1 / 1; mosaic of 16 cells across .01 / .88, 8 cells .15 / 1, 6 cells .73 / .99, 4 cells 1 / 1; black 1 / 1,
black over the upper half .07 / .05, over the upper 80 % .92 / .98.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
"""(height, width) uint8."""

HIDDEN_SHARE = 0.75
"""Destroyed share of its detail from which a subject counts as hidden. It stands for 70 % of the area: the edge of a
mask spoils the comparison a little beyond itself."""

_CANONICAL = 24
_AGREEMENT = 0.6
_DETAIL = 2.0 / _CANONICAL  # sigma of what is coarser than detail, share of the height
_WINDOW = 1.0  # sigma of the neighbourhood that is compared, in reduced pixels
_NOISE = 1.0  # detail weaker than this many levels is not there
_CONTEXT = 0.15

_BLOCK = 16
_ALTERED_MSE = 40.0
_ALTERED_SHARE = 0.5


def destroyed_share(source: Luma, output: Luma, box: tuple[float, float, float, float]) -> float:
    """Share of the box's detail, as far as it lies in the picture, that is gone; 1 where there was none."""
    x1, y1, x2, y2 = box
    height = y2 - y1
    margin = _CONTEXT * height
    rows, columns = source.shape
    top, bottom = max(int(y1 - margin), 0), min(int(y2 + margin) + 1, rows)
    left, right = max(int(x1 - margin), 0), min(int(x2 + margin) + 1, columns)
    if top >= bottom or left >= right:
        return 1.0
    scale = min(1.0, _CANONICAL / height)
    size = (max(2, round((right - left) * scale)), max(2, round((bottom - top) * scale)))
    sigma = _DETAIL * height * scale
    a, b = (_detail(plane[top:bottom, left:right], size, sigma) for plane in (source, output))
    strength_a, strength_b, common = (_local(product) for product in (a * a, b * b, a * b))
    agreement = 2 * common / (strength_a + strength_b + _NOISE)
    inside = (
        slice(max(round((y1 - top) * scale), 0), round((y2 - top) * scale)),
        slice(max(round((x1 - left) * scale), 0), round((x2 - left) * scale)),
    )
    present = strength_a[inside] > _NOISE
    return float((agreement[inside][present] < _AGREEMENT).mean()) if present.any() else 1.0


def _detail(plane: Luma, size: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    reduced = cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(reduced - cv2.GaussianBlur(reduced, (0, 0), sigma))


def _local(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _WINDOW))


def altered_blocks(source: Luma, output: Luma) -> NDArray[np.bool_]:
    """(rows, columns) of 16×16 blocks that no longer show what they showed; a codec's losses don't count."""
    rows, columns = source.shape[0] // _BLOCK, source.shape[1] // _BLOCK
    a, b = (
        plane[: rows * _BLOCK, : columns * _BLOCK].astype(np.float32).reshape(rows, _BLOCK, columns, _BLOCK)
        for plane in (source, output)
    )
    error = ((a - b) ** 2).mean(axis=(1, 3))
    return np.asarray(error > np.maximum(_ALTERED_MSE, _ALTERED_SHARE * a.var(axis=(1, 3))))


def true_blocks(
    shape: tuple[int, int], boxes: list[tuple[float, float, float, float]], margin: float
) -> NDArray[np.bool_]:
    """The blocks of a picture of `shape` that a box touches, each grown by `margin` of its size on every side."""
    touched = np.zeros((shape[0] // _BLOCK, shape[1] // _BLOCK), np.bool_)
    for x1, y1, x2, y2 in boxes:
        dx, dy = margin * (x2 - x1), margin * (y2 - y1)
        top, left = max(int((y1 - dy) // _BLOCK), 0), max(int((x1 - dx) // _BLOCK), 0)
        touched[top : int((y2 + dy) // _BLOCK) + 1, left : int((x2 + dx) // _BLOCK) + 1] = True
    return touched
