"""Draws docs/masks.jpg, one drawn scene under every mode: `python -m tests.eval.modes`."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Mode
from tests.support.scene_sources import REPOSITORY

OUT = REPOSITORY / "docs" / "masks.jpg"
_WIDTH, _HEIGHT = 300, 260
_PEOPLE = ((95, 40, 1.0, 0.14), (205, 62, 0.85, 0.3))  # middle, top, size, stride
_TALL, _WIDE = 190, 76
_NAME = 22

Image = NDArray[np.uint8]
"""(height, width, 3) BGR."""


def scene() -> tuple[Image, NDArray[np.float64]]:
    """A street with two people, and the boxes of their bodies."""
    random = np.random.default_rng(4)
    image = np.full((_HEIGHT, _WIDTH, 3), (176, 180, 178), np.uint8)
    image[:110] = (96, 128, 142)
    for x in range(12, _WIDTH, 60):
        cv2.rectangle(image, (x, 18), (x + 34, 70), (150, 120, 84), -1)
        cv2.rectangle(image, (x, 18), (x + 34, 70), (210, 214, 214), 2)
    image[110:126] = (120, 160, 128)
    cv2.line(image, (0, 240), (_WIDTH, 196), (228, 232, 232), 4)
    grain = random.normal(0, 4, image.shape[:2])[..., None]
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    boxes = []
    for number, (middle, top, size, stride) in enumerate(_PEOPLE):
        boxes.append((middle - _WIDE * size / 2, top, middle + _WIDE * size / 2, top + _TALL * size))
        _person(image, middle, top, size, stride, number)
    return image, np.array(boxes)


def _person(image: Image, middle: int, top: int, size: float, stride: float, number: int) -> None:
    def at(x: float, y: float) -> tuple[int, int]:
        return round(middle + x * _WIDE * size), round(top + y * _TALL * size)

    def thick(share: float) -> int:
        return max(1, round(share * _WIDE * size))

    coat, trousers, hair = (
        ((40, 40, 190), (92, 52, 36), (30, 40, 60)),
        ((60, 50, 40), (150, 120, 80), (70, 110, 150)),
    )[number]
    for side in (-1, 1):
        cv2.line(image, at(side * 0.12, 0.54), at(side * stride, 0.96), trousers, thick(0.2), cv2.LINE_AA)
        cv2.line(image, at(side * 0.27, 0.23), at(side * (0.3 + stride / 3), 0.55), coat, thick(0.14), cv2.LINE_AA)
    cv2.rectangle(image, at(-0.26, 0.19), at(0.26, 0.56), coat, -1)
    for row in range(5):
        cv2.line(image, at(-0.26, 0.25 + row * 0.07), at(0.26, 0.25 + row * 0.07), (215, 225, 225), thick(0.03))
    cv2.putText(image, "VEIL", at(-0.24, 0.42), cv2.FONT_HERSHEY_SIMPLEX, 0.55 * size, (0, 220, 255), 2, cv2.LINE_AA)
    cv2.ellipse(image, (at(0, 0.09), (thick(0.36), thick(0.44)), 0), (150, 178, 222), -1, cv2.LINE_AA)
    cv2.ellipse(image, at(0, 0.075), (thick(0.19), thick(0.2)), 0, 180, 360, hair, -1, cv2.LINE_AA)
    for x in (-0.07, 0.07):
        cv2.circle(image, at(x, 0.09), thick(0.025), (40, 30, 20), -1, cv2.LINE_AA)
    cv2.ellipse(image, at(0, 0.115), (thick(0.07), thick(0.04)), 0, 20, 160, (60, 60, 170), 2, cv2.LINE_AA)


def under(image: Image, boxes: NDArray[np.float64], mode: str, strength: float = 1.0) -> Image:
    """The image with every box masked, with the padding that policies have where they say nothing."""
    picture = Picture(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420))
    count = len(boxes)
    bounds = outer_bounds(boxes, np.full(count, 0.15), picture.width, picture.height)
    mask(picture, bounds, range(count), [mode] * count, strength, Shades(), boxes)
    return cv2.cvtColor(picture.data, cv2.COLOR_YUV2BGR_I420)


def sheet() -> Image:
    """The scene as it is and under each mode, with their names."""
    image, boxes = scene()
    shown = {"not masked": image} | {mode.value: under(image, boxes, mode.value) for mode in Mode}
    tiles = []
    for name, tile in shown.items():
        label = np.full((_NAME, _WIDTH, 3), 255, np.uint8)
        cv2.putText(label, name, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
        tiles.append(np.vstack((label, tile)))
    return np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])


def main(path: Path = OUT) -> None:
    """Writes the picture."""
    cv2.imwrite(str(path), sheet(), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.eval.modes", description=__doc__).parse_args()
    main()
