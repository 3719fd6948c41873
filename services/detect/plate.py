"""Number plates, by clp_det: a RetinaFace-style network over three grids of prior boxes."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image, Tensors
from services.detect.network import NetworkDetector
from services.detect.postprocess import grow, suppress, to_boxes
from services.schema import pb

_GRIDS = ((8, (24, 48)), (16, (96, 192)), (32, (384, 768)))
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2
_IOU = 0.3
_GROW = np.array([0.12, 0.35], np.float32)
"""Share of a box's width and height added on each side: the network draws plates too tight. With it the share of plates
that lie at least 70 % inside their box rises from .38–.91 to .94–.99."""
_HALF_FROM = 128
"""A second look at half size, for a quarter more time, finds the large plates. Recall at IoU .3 of plates 128, 256, 400
and 480 pixels wide rises from .99, .98, .89 and .64 to 1.00; smaller ones gain nothing and lose nothing."""


class PlateDetector(NetworkDetector):
    """Finds number plates; its boxes are grown so that they hide the whole plate."""

    name = "plate"
    model = "clp_det"
    outputs = ("loc", "conf")

    def inputs(self, image: Image) -> Sequence[Image]:
        height, width, _ = image.shape
        if min(height, width) < _HALF_FROM:
            return [image]
        half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return [image, half.astype(np.uint8, copy=False)]

    def _shapes(self, height: int, width: int, /) -> Sequence[tuple[int, ...]]:
        count = len(priors(width, height))
        return (count, 4), (count, 2)

    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        height, width, _ = image.shape
        boxes, scores = [], []
        for times, (loc, conf) in enumerate(answers, start=1):
            found, score = decode(loc, conf[:, 1], priors(width // times, height // times), self._floor)
            boxes.append(found * times)
            scores.append(score)
        xyxy, score = np.concatenate(boxes), np.concatenate(scores)
        keep = suppress(xyxy, score, _IOU)
        return to_boxes(grow(xyxy[keep], _GROW), score[keep], pb.KIND_PLATE, width, height)


@lru_cache(maxsize=32)
def priors(width: int, height: int) -> NDArray[np.float32]:
    """(n, 4) prior boxes of a picture as centre x, centre y, width, height in pixels, in the network's order."""
    grids = []
    for step, sizes in _GRIDS:
        rows, columns = -(-height // step), -(-width // step)
        y, x, side = np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, np.array(sizes), indexing="ij")
        grids.append(np.stack([x * step, y * step, side, side], axis=-1).reshape(-1, 4))
    made = np.concatenate(grids).astype(np.float32)
    made.flags.writeable = False
    return made


def decode(
    loc: NDArray[np.float32], confidence: NDArray[np.float32], prior: NDArray[np.float32], floor: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 4) boxes in pixels and (n,) scores of the priors that reach `floor`; `loc` is (priors, 4)."""
    (hit,) = np.nonzero(confidence >= floor)
    delta, base = loc[hit], prior[hit]
    centre = base[:, :2] + delta[:, :2] * _CENTRE_VARIANCE * base[:, 2:]
    half = base[:, 2:] * np.exp(delta[:, 2:] * _SIZE_VARIANCE) / 2
    return np.concatenate([centre - half, centre + half], axis=1), confidence[hit]
