"""Looks at a find again, closer and mirrored: a subject is found again, what only happens to look like one is not."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from services.auditor.find import Box, Find
from services.detect.interface import Detector, Image

VIEWS = 3
"""Of a find: the one that it was found in, and two closer ones."""
MOST = 24
"""Finds of a kind looked at again in one picture, the surest first; with more, something is open for certain."""
_COMMON = 0.5
"""Share of the smaller of two boxes, from which they are of the same thing: lines of text join and part."""


@dataclass(frozen=True, slots=True)
class _View:
    """How a find is looked at again.

    Attributes:
        height: that it is brought to, in pixels.
        around: what is shown on each side of it, in sides of a square as large as it.
    """

    height: int
    around: float
    mirrored: bool


_CLOSER = {
    "face": (_View(40, 1.5, mirrored=False), _View(56, 1.5, mirrored=True)),
    "plate": (_View(28, 1.0, mirrored=False), _View(44, 1.0, mirrored=True)),
}


def seen_again(find: Find, image: Image, detector: Detector, timeout_s: float) -> Find:
    """The find with the mean of its scores over all views; a view that does not show it counts as 0.

    Raises DetectorError, TimeoutError.
    """
    scores = [_score(find, image, view, detector, timeout_s) for view in _CLOSER[find.kind]]
    return replace(find, score=(find.score + sum(scores)) / VIEWS)


def _score(find: Find, image: Image, view: _View, detector: Detector, timeout_s: float) -> float:
    shown, box = _closer(find.box, image, view)
    (boxes,) = detector.detect([shown], timeout_s)
    low = np.maximum(boxes.xyxy[:, :2], box[:2])
    high = np.minimum(boxes.xyxy[:, 2:], box[2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    smaller = np.minimum((boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]).prod(axis=1), (box[2:] - box[:2]).prod())
    return float(boxes.score[(common > 0) & (common >= _COMMON * smaller)].max(initial=0.0))


def _closer(box: Box, image: Image, view: _View) -> tuple[Image, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The surroundings of a box in another size, and where the box is in them."""
    height, width, _ = image.shape
    margin = view.around * math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    x1, y1 = max(0, int(box[0] - margin)), max(0, int(box[1] - margin))
    x2, y2 = min(width, int(box[2] + margin) + 1), min(height, int(box[3] + margin) + 1)
    scale = view.height / (box[3] - box[1])
    size = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(image[y1:y2, x1:x2], size, interpolation=way).astype(np.uint8, copy=False)
    there = (np.array(box, np.float64) - (x1, y1, x1, y1)) * scale
    if view.mirrored:
        shown = np.ascontiguousarray(shown[:, ::-1])
        there = np.array([size[0] - there[2], there[1], size[0] - there[0], there[3]])
    return shown, there
