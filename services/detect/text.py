"""Text, by PP-OCRv4's detector: a map of how surely each pixel belongs to the core of a line of text."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image, Tensors
from services.detect.network import NetworkDetector
from services.detect.postprocess import stack_padded, to_boxes
from services.schema import pb

_MULTIPLE = 32
_LONG_SIDE, _MOST_SCALE = 960, 1.5
"""Smaller pictures are looked at enlarged to this longer side, but never by more than that factor. Of the words on
street pictures 640 wide .81 are hidden instead of .71; beyond 960, half as much again costs twice the time for .05."""
_MOST_SIDE = 1920
"""Larger ones are looked at in this size: at twice as much no look would end in time."""
_CORE = 0.2
"""Likelihood from which a pixel belongs to the core of a line, which is a thin band in the middle of its letters."""
_GROW = 2.0
"""How far a core is grown on all sides: so many times the quotient of its area and circumference."""
_SPECK = 4
"""Pixels; smaller cores are noise."""
_MOST = 300
"""Most regions reported: with more, neighbours are joined until there are not, so that nothing is left out."""


class TextDetector(NetworkDetector):
    """Finds lines and words, level or tilted, printed or written; its boxes lie along the picture's edges."""

    name = "text"
    model = "ppocr_det"
    outputs = ("text",)

    def inputs(self, image: Image) -> Sequence[Image]:
        width, height = _looked_at(image)
        if (height, width) != image.shape[:2]:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        return [stack_padded([image], _MULTIPLE)[0]]

    def _shapes(self, height: int, width: int, /) -> Sequence[tuple[int, ...]]:
        return ((1, height, width),)

    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        ((text,),) = answers
        height, width, _ = image.shape
        looked_at = _looked_at(image)
        to_given = np.array([width / looked_at[0], height / looked_at[1]] * 2, np.float32)
        xyxy, score = decode(text[0], self._floor)
        return to_boxes(xyxy * to_given, score, pb.KIND_TEXT, width, height)


def decode(text: NDArray[np.float32], floor: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 4) boxes in pixels of the map and (n,) scores of the regions that reach `floor`; `text` is (h, w), 0–1.

    A region's score is the mean likelihood of its core. At most 300 regions are given.
    """
    core = (text >= _CORE).astype(np.uint8)
    labels, cores = _regions(core)
    pixels = np.bincount(labels[core > 0], minlength=1)
    score = np.bincount(labels[core > 0], text[core > 0], minlength=1) / np.maximum(pixels, 1)
    boxes, scores = [], []
    for outline in cores:
        x, y = outline[0, 0]
        label = labels[y, x]
        if pixels[label] >= _SPECK and score[label] >= floor:
            boxes.append(grown(outline))
            scores.append(score[label])
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32)


def grown(outline: NDArray[np.int32]) -> NDArray[np.float32]:
    """(4,) box around a core that is grown to the size of its letters; `outline` is (n, 1, 2), x before y."""
    centre, (width, height), angle = cv2.minAreaRect(outline)
    # An outline runs through the middles of its outermost pixels.
    width, height = width + 1, height + 1
    margin = _GROW * width * height / (width + height)
    corners = cv2.boxPoints((centre, (width + margin, height + margin), angle)) + 0.5
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)


def _regions(core: NDArray[np.uint8]) -> tuple[NDArray[np.int32], Sequence[NDArray[np.int32]]]:
    """Number of the region of each pixel, 0 for none, and the outlines of the outermost regions, at most `_MOST`."""
    joined, reach = core, 1
    while True:
        found, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if len(found) <= _MOST:
            break
        reach *= 2
        joined = cv2.dilate(core, np.ones((reach + 1, reach + 1), np.uint8)).astype(np.uint8, copy=False)
    _, labels = cv2.connectedComponents(joined, connectivity=8)
    return labels.astype(np.int32, copy=False), [outline.astype(np.int32, copy=False) for outline in found]


def _looked_at(image: Image) -> tuple[int, int]:
    """Width and height at which text is looked for."""
    height, width, _ = image.shape
    side = max(width, height)
    scale = min(max(_LONG_SIDE / side, 1), _MOST_SCALE, _MOST_SIDE / side)
    return round(width * scale), round(height * scale)
