"""A picture of the place of a suspect, in which every find is masked before anything is cut out or written (I3)."""

from collections.abc import Sequence

import cv2
import numpy as np

from services.auditor.find import Box
from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture

PADDING = 0.4
"""Share of a find's size that is masked around it on each side: a detector of faces leaves out hair and chin."""
_SURROUNDINGS = 3.0
"""Sizes of the box that are shown on each side."""
_LONG_SIDE = 360
_QUALITY = 85
_OUTLINE = (40, 40, 230)


def remasked(picture: Picture, boxes: Sequence[Box]) -> Picture:
    """A copy of `picture` in which all `boxes` are solid: of what they hold, nothing is left."""
    copy = picture.copy()
    if boxes:
        bounds = outer_bounds(np.array(boxes, np.float64), np.full(len(boxes), PADDING), copy.width, copy.height)
        mask(copy, bounds, range(len(boxes)), ["solid"] * len(boxes), 1.0, Shades())
    return copy


def place_of(masked: Picture, box: Box) -> bytes:
    """A JPEG of a box's surroundings, the box outlined; `masked` is from `remasked`."""
    width, height = box[2] - box[0], box[3] - box[1]
    side = max(width, height) * _SURROUNDINGS
    x1, y1 = max(0, int(box[0] - side)), max(0, int(box[1] - side))
    x2, y2 = min(masked.width, int(box[2] + side) + 1), min(masked.height, int(box[3] + side) + 1)
    pixels = np.ascontiguousarray(cv2.cvtColor(masked.data, cv2.COLOR_YUV2BGR_I420)[y1:y2, x1:x2])
    scale = _LONG_SIDE / max(pixels.shape[:2])
    pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    margin = np.array([-width, -height, width, height]) * PADDING
    corners = np.round((np.array(box) + margin - (x1, y1, x1, y1)) * scale).astype(int)
    cv2.rectangle(pixels, corners[:2].tolist(), corners[2:].tolist(), _OUTLINE, 2)
    ok, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return jpeg.tobytes() if ok else b""
