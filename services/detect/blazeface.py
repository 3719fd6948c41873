"""Faces for the auditor, by BlazeFace's full-range network: of another family and training than what masks.

As published it looks at squares of 192 pixels. Every layer is a convolution, so here it reads whole pictures.
"""

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
_MOST_SCALE, _MOST_SIDE = 2.0, 1920
"""The picture is looked at as it is and enlarged, to this longer side at most: small faces are found in the second."""


class BlazeFaceDetector(NetworkDetector):
    """Finds faces from about 12 pixels high."""

    name = "audit-face"
    model = "blazeface_full"
    outputs = ("boxes", "scores")

    def inputs(self, image: Image) -> Sequence[Image]:
        return [stack_padded([_resized(image, scale)], _MULTIPLE)[0] for scale in _scales(image)]

    def _shapes(self, height: int, width: int, /) -> Sequence[tuple[int, ...]]:
        cells = (height // _CELL) * (width // _CELL)
        return (cells, 16), (cells, 1)

    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        height, width, _ = image.shape
        found, scores = [], []
        for scale, (boxes, logits) in zip(_scales(image), answers, strict=True):
            columns = -(-max(1, round(width * scale)) // _MULTIPLE) * _MULTIPLE // _CELL
            xyxy, score = decode(boxes, logits[:, 0], columns, self._floor)
            found.append(xyxy / np.float32(scale))
            scores.append(score)
        xyxy, score = np.concatenate(found), np.concatenate(scores)
        keep = suppress(xyxy, score, _IOU)
        return to_boxes(xyxy[keep], score[keep], pb.KIND_FACE, width, height)


def decode(
    boxes: NDArray[np.float32], logits: NDArray[np.float32], columns: int, floor: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 4) boxes in pixels and (n,) scores of the cells that reach `floor`.

    `boxes` is (cells, 16), of which the first four are the centre's distance from the cell's and the size, in pixels;
    the cells lie row by row, `columns` in each.
    """
    score = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    (hit,) = np.nonzero(score >= floor)
    rows, row_columns = np.divmod(hit, columns)
    centre = np.stack([row_columns, rows], axis=1) * _CELL + _CELL / 2 + boxes[hit, :2]
    half = np.abs(boxes[hit, 2:4]) / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32), score[hit].astype(np.float32)


def _scales(image: Image) -> Sequence[float]:
    largest = min(_MOST_SCALE, _MOST_SIDE / max(image.shape[:2]))
    return (1.0, largest) if largest > 1.2 else (min(1.0, largest),)


def _resized(image: Image, scale: float) -> Image:
    if scale == 1:
        return image
    height, width, _ = image.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=way).astype(np.uint8, copy=False)
