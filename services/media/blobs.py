"""Boxes of what differs: single points are dropped, fragments of one body are joined."""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.alignment import Luma

Mask = Luma
"""(height, width) uint8, 0 or 255."""

_LEAST = 12
"""Points of the smallest thing: a person of 12 by 4 points has a third of them left over for what looks like the
background. Rain drops and snow flakes, thin and blurred by scaling, have fewer."""

_SURE = 4
"""Of them, points that differ twice as much as they need to: noise gives patches of few points that barely do."""

_LEFT = 1.5
"""Times stronger edges along the outline of a change in the picture before: what was there has left."""

_JOIN = (5, 9)
"""Width and height in points of gaps that are bridged: bodies are tall, and break at the belt and the collar."""

_REACH = 0.35
"""Gap between two boxes, as a share of the taller one's height, up to which one above the other is one body."""

_OVERLAP = 0.5
"""Share of the narrower box's width that lies over the other, for the same."""


def above(values: Luma, level: float) -> Mask:
    """Points of more than a level."""
    return cv2.threshold(values, level, 255, cv2.THRESH_BINARY)[1]


def cleaned(weak: Mask, strong: Mask) -> Mask:
    """The parts of `weak` that are large enough, and sure enough, to be something."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(weak, connectivity=8)
    sure = np.bincount(labels[strong > 0], minlength=count)
    keep = (stats[:, cv2.CC_STAT_AREA] >= _LEAST) & (sure >= _SURE)
    keep[0] = False
    return np.where(keep[labels], 255, 0).astype(np.uint8)


def without_left(mask: Mask, before: Luma, after: Luma) -> Mask:
    """The parts of a mask of changes without those where something was before and is no more.

    Things have edges along their outline, and what they hid has none there. What can't be told apart stays.

    Args:
        mask: points that differ between the two pictures.
        before: luma of the older one.
        after: of the newer one.
    """
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    kernel = np.ones((3, 3), np.uint8)
    edges = [cv2.morphologyEx(luma, cv2.MORPH_GRADIENT, kernel) for luma in (before, after)]
    kept = mask.copy()
    for label in range(1, count):
        part = (labels == label).astype(np.uint8) * 255
        outline = cv2.morphologyEx(part, cv2.MORPH_GRADIENT, kernel)
        was, now = (cv2.mean(edge, mask=outline)[0] for edge in edges)
        if was > _LEFT * now:
            kept[part > 0] = 0
    return kept


def boxes_of(mask: Mask) -> NDArray[np.float32]:
    """Boxes around the things in a mask, (n, 4) x1, y1, x2, y2 in points; x2 and y2 lie behind the last."""
    kernel = np.ones(_JOIN[::-1], np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask, kernel), connectivity=8)
    corners = stats[1:count, :4].astype(np.float32)
    corners[:, 2:] += corners[:, :2]
    # The bridges stick out on all sides; at the picture's edge they were cut off.
    height, width = mask.shape
    half_w, half_h = _JOIN[0] // 2, _JOIN[1] // 2
    corners[:, 0] += np.where(corners[:, 0] > 0, half_w, 0)
    corners[:, 1] += np.where(corners[:, 1] > 0, half_h, 0)
    corners[:, 2] -= np.where(corners[:, 2] < width, half_w, 0)
    corners[:, 3] -= np.where(corners[:, 3] < height, half_h, 0)
    return _joined(corners)


def _joined(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Joins boxes that stand above each other as parts of one body do, and boxes within others."""
    merged = [tuple(box) for box in boxes.tolist()]
    at = 0
    while at < len(merged):
        box = merged[at]
        other = next((i for i in range(len(merged)) if i != at and _belong(box, merged[i])), None)
        if other is None:
            at += 1
            continue
        x1, y1, x2, y2 = merged.pop(other)
        at -= other < at
        merged[at] = min(box[0], x1), min(box[1], y1), max(box[2], x2), max(box[3], y2)
        at = 0
    return np.array(merged, np.float32).reshape(-1, 4)


def _belong(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    across = min(a[2], b[2]) - max(a[0], b[0])
    if across < _OVERLAP * min(a[2] - a[0], b[2] - b[0]):
        return False
    gap = max(a[1], b[1]) - min(a[3], b[3])
    return gap <= _REACH * max(a[3] - a[1], b[3] - b[1])
