"""Faces, by CenterFace: a heat map of face centres at a quarter of the picture's size."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image, Tensors
from services.detect.network import NetworkDetector
from services.detect.postprocess import stack_padded, suppress, to_boxes
from services.schema import pb

_CELL = 4
_MULTIPLE = 32
_IOU = 0.3
_SCALE = 5 / 6
"""The size at which faces are looked for, as a share of the given picture's, which suits the smaller plates. Faces of
24 pixels and more are found as surely, for 0.7 of the time."""
_SHRINK_FROM = 640
"""Smaller pictures are looked at as they are: a camera of low resolution has no detail to spare."""


class FaceDetector(NetworkDetector):
    """Finds faces from about 8 pixels high, masked ones too."""

    name = "face"
    model = "centerface"
    outputs = ("heatmap", "size", "offset")

    def inputs(self, image: Image) -> Sequence[Image]:
        width, height = _looked_at(image)
        if (height, width) != image.shape[:2]:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        return [stack_padded([image], _MULTIPLE)[0]]

    def _shapes(self, height: int, width: int, /) -> Sequence[tuple[int, ...]]:
        cells = height // _CELL, width // _CELL
        return (1, *cells), (2, *cells), (2, *cells)

    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        ((heatmap, size, offset),) = answers
        height, width, _ = image.shape
        looked_at = _looked_at(image)
        to_given = np.array([width / looked_at[0], height / looked_at[1]] * 2, np.float32)
        xyxy, score = decode(heatmap[0], size, offset, self._floor)
        keep = suppress(xyxy, score, _IOU)
        return to_boxes(xyxy[keep] * to_given, score[keep], pb.KIND_FACE, width, height)


def _looked_at(image: Image) -> tuple[int, int]:
    """Width and height at which faces are looked for."""
    height, width, _ = image.shape
    shrink = max(height, width) > _SHRINK_FROM
    return (round(width * _SCALE), round(height * _SCALE)) if shrink else (width, height)


def decode(
    heatmap: NDArray[np.float32], size: NDArray[np.float32], offset: NDArray[np.float32], floor: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 4) boxes in pixels and (n,) scores of the cells that reach `floor`.

    `heatmap` is (h, w); `size` (2, h, w) holds the logarithms of height and width in cells, `offset` (2, h, w) the
    centre's distance from the cell's corner, y before x.
    """
    rows, columns = np.nonzero(heatmap >= floor)
    half = np.exp(size[:, rows, columns]) * (_CELL / 2)
    centre_y = (rows + offset[0, rows, columns] + 0.5) * _CELL
    centre_x = (columns + offset[1, rows, columns] + 0.5) * _CELL
    xyxy = np.stack([centre_x - half[1], centre_y - half[0], centre_x + half[1], centre_y + half[0]], axis=1)
    return xyxy.astype(np.float32), heatmap[rows, columns]
