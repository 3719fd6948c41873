"""Box arithmetic that detectors share: suppression, growth and padding of pictures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image

MAX_CANDIDATES = 2000
"""Most boxes looked at per picture: a broken or hostile picture must not cost quadratic time."""


def suppress(xyxy: NDArray[np.float32], score: NDArray[np.float32], iou: float) -> NDArray[np.intp]:
    """Indices of the boxes that stay, best first, when each one removes those that overlap it by more than `iou`."""
    order = np.argsort(-score, kind="stable")[:MAX_CANDIDATES]
    boxes = xyxy[order]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            rest = boxes[i + 1 :]
            corner = np.minimum(rest[:, 2:], boxes[i, 2:]) - np.maximum(rest[:, :2], boxes[i, :2])
            common = np.clip(corner, 0, None).prod(axis=1)
            alive[i + 1 :] &= common <= iou * (area[i] + area[i + 1 :] - common)
    return order[alive]


def grow(xyxy: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """The boxes, larger on each side by a share of their width and of their height; `share` is (2,)."""
    margin = (xyxy[:, 2:] - xyxy[:, :2]) * share
    return np.concatenate([xyxy[:, :2] - margin, xyxy[:, 2:] + margin], axis=1)


def to_boxes(xyxy: NDArray[np.float32], score: NDArray[np.float32], kind: int, width: int, height: int) -> Boxes:
    """Boxes of one kind, cut at the picture's edges; those that lie outside it are left out."""
    clipped = np.clip(xyxy, 0, np.array([width, height, width, height], np.float32))
    inside = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    kept = clipped[inside]
    return Boxes(kept, np.clip(score[inside], 0, 1), np.full(len(kept), kind, np.int32))


def stack_padded(images: Sequence[Image], multiple: int) -> NDArray[np.uint8]:
    """Images of one shape as a batch, black below and to the right up to a multiple of `multiple` pixels."""
    height, width, _ = images[0].shape
    padded_h, padded_w = -(-height // multiple) * multiple, -(-width // multiple) * multiple
    if len(images) == 1 and (padded_h, padded_w) == (height, width):
        return images[0][None]
    batch = np.zeros((len(images), padded_h, padded_w, 3), np.uint8)
    for i, image in enumerate(images):
        batch[i, :height, :width] = image
    return batch
