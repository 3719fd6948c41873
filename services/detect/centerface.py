"""Faces, by CenterFace: a heat map of face centres at a quarter of the picture's size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image
from services.detect.postprocess import stack_padded, suppress, to_boxes
from services.detect.single_picture import SinglePictureDetector
from services.schema import pb

_CELL = 4
_MULTIPLE = 32
_IOU = 0.3
_SCALE = 5 / 6
"""The size at which faces are looked for, as a share of the given picture's, which suits the smaller plates. Faces of
24 pixels and more are found as surely, for 0.7 of the time."""
_SHRINK_FROM = 640
"""Smaller pictures are looked at as they are: a camera of low resolution has no detail to spare."""
_OUTPUTS = ("heatmap", "size", "offset")


class FaceDetector(SinglePictureDetector):
    """Finds faces from about 8 pixels high, masked ones too."""

    name = "face"
    model = "centerface"

    def _one(self, image: Image, timeout_s: float) -> Boxes:
        height, width, _ = image.shape
        if max(height, width) > _SHRINK_FROM:
            shrunk = round(width * _SCALE), round(height * _SCALE)
            image = cv2.resize(image, shrunk, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        to_given = np.array([width / image.shape[1], height / image.shape[0]] * 2, np.float32)
        heatmap, size, offset = self._session.run(_OUTPUTS, stack_padded([image], _MULTIPLE), timeout_s)
        xyxy, score = decode(heatmap[0, 0], size[0], offset[0], self._floor)
        keep = suppress(xyxy, score, _IOU)
        return to_boxes(xyxy[keep] * to_given, score[keep], pb.KIND_FACE, width, height)


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
