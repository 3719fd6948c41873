"""Number plates, by clp_det: a RetinaFace-style network over three grids of prior boxes."""

from collections.abc import Sequence
from functools import lru_cache
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image
from services.detect.onnx_runtime import OnnxSession
from services.detect.postprocess import suppress, to_boxes
from services.schema.veil.v1 import veil_pb2 as pb

_GRIDS = ((8, (24, 48)), (16, (96, 192)), (32, (384, 768)))
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2
_IOU = 0.3
_GROW = np.array([0.12, 0.35], np.float32)
"""Share of a box's width and height added on each side: the network draws plates too tight. With it the share of plates
that lie at least 70 % inside their box rises from .38–.91 to .94–.99."""
_OUTPUTS = ("loc", "conf")


class PlateDetector:
    """Finds number plates; its boxes are grown so that they hide the whole plate."""

    name = "plate"
    model = "clp_det"

    def __init__(self, session: OnnxSession, version: str, floor: float = 0.1) -> None:
        """`floor`: lowest score that is reported; what is enough to mask is the tracker's business."""
        self.version = version
        self._session = session
        self._floor = floor

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        """Boxes of each image. One picture at a time: on a CPU a batch is no faster and needs n times the memory."""
        until = monotonic() + timeout_s
        return [self._one(image, until - monotonic()) for image in images]

    def _one(self, image: Image, timeout_s: float) -> Boxes:
        height, width, _ = image.shape
        loc, conf = self._session.run(_OUTPUTS, image[None], timeout_s)
        xyxy, score = decode(loc[0], conf[0, :, 1], priors(width, height), self._floor)
        keep = suppress(xyxy, score, _IOU)
        return to_boxes(grow(xyxy[keep]), score[keep], pb.KIND_PLATE, width, height)


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


def grow(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """The boxes, larger by a fixed share of their width and height on each side."""
    margin = (xyxy[:, 2:] - xyxy[:, :2]) * _GROW
    return np.concatenate([xyxy[:, :2] - margin, xyxy[:, 2:] + margin], axis=1)
