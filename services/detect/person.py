"""Persons, by SSD MobileNetV2 on Open Images: a fixed small picture, 1,917 prior boxes."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image, Tensors
from services.detect.network import NetworkDetector
from services.detect.postprocess import suppress, to_boxes
from services.schema import pb

_SIDE = 300
_GRIDS = (19, 10, 5, 3, 2, 1)
_SCALES = (*np.linspace(0.2, 0.95, len(_GRIDS)).tolist(), 1.0)
_RATIOS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
_CODING = np.array([10, 10, 5, 5], np.float32)
_IOU = 0.5
_PERSON = 4
"""Column of the class among the network's logits."""
_CLASSES = 24


class PersonDetector(NetworkDetector):
    """Finds persons. Scores run low: .25 is a person."""

    name = "person"
    model = "ssd_mobilenetv2_oidv4"
    outputs = ("box_encodings", "class_predictions")

    def inputs(self, image: Image) -> Sequence[Image]:
        small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        return [small.astype(np.uint8, copy=False)]

    def _shapes(self, _height: int, _width: int, /) -> Sequence[tuple[int, ...]]:
        count = len(priors())
        return (count, 4), (count, _CLASSES)

    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        ((encodings, logits),) = answers
        height, width, _ = image.shape
        size = np.array([width, height, width, height], np.float32)
        xyxy, score = decode(encodings, logits[:, _PERSON], priors(), self._floor)
        keep = suppress(xyxy, score, _IOU)
        return to_boxes(xyxy[keep] * size, score[keep], pb.KIND_PERSON, width, height)


@cache
def priors() -> NDArray[np.float32]:
    """(1917, 4) prior boxes as centre y, centre x, height, width, in shares of the picture, in the network's order."""
    boxes = []
    for layer, grid in enumerate(_GRIDS):
        scale, following = _SCALES[layer], _SCALES[layer + 1]
        if layer == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, ratio) for ratio in _RATIOS] + [(float(np.sqrt(scale * following)), 1.0)]
        sizes = np.array([(side / np.sqrt(ratio), side * np.sqrt(ratio)) for side, ratio in shapes])
        centres = (np.arange(grid) + 0.5) / grid
        y, x, shape = np.meshgrid(centres, centres, np.arange(len(shapes)), indexing="ij")
        boxes.append(np.stack([y, x, sizes[shape, 0], sizes[shape, 1]], axis=-1).reshape(-1, 4))
    return np.concatenate(boxes).astype(np.float32)


def decode(
    encodings: NDArray[np.float32], logit: NDArray[np.float32], prior: NDArray[np.float32], floor: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 4) boxes x1, y1, x2, y2 in shares of the picture and (n,) scores of the priors that reach `floor`."""
    (hit,) = np.nonzero(logit >= np.log(floor / (1 - floor)))
    delta, base = encodings[hit] / _CODING, prior[hit]
    centre = base[:, :2] + delta[:, :2] * base[:, 2:]
    half = base[:, 2:] * np.exp(delta[:, 2:]) / 2
    yxyx = np.concatenate([centre - half, centre + half], axis=1)
    return yxyx[:, [1, 0, 3, 2]], (1 / (1 + np.exp(-logit[hit]))).astype(np.float32)
