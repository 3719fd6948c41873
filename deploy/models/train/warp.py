"""Geometry of samples: a crop of a picture, scaled, tilted and mirrored, with its boxes."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.models.train.pictures import Array, Rgb

Matrix = NDArray[np.float64]
"""(3, 3): takes x, y, 1 of the picture to the sample."""


@dataclass(frozen=True)
class Move:
    """How a picture comes into a sample: `matrix` maps its pixels, the sample is `width` × `height`."""

    matrix: Matrix
    width: int
    height: int

    @classmethod
    def about(
        cls,
        random: np.random.Generator,
        centre: tuple[float, float],
        scale: float,
        size: tuple[int, int],
        degrees: float,
        tilt: float = 0.0,
    ) -> "Move":
        """Brings `centre` to a random place of the sample, which is size (width, height).

        Args:
            random: decides place, turn, mirroring and tilt.
            centre: x, y in the picture.
            scale: pixels of the sample for one of the picture.
            size: of the sample.
            degrees: deviation of the turn.
            tilt: deviation of the vanishing, across the sample.
        """
        width, height = size
        turn = math.radians(random.normal(0, degrees)) if degrees else 0.0
        stretch = math.exp(random.normal(0, 0.06))
        mirrored = -1.0 if random.random() < 0.5 else 1.0
        cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
        linear = np.array([[cos * stretch * mirrored, -sin], [sin * stretch * mirrored, cos]])
        place = np.array([random.uniform(0.08, 0.92) * width, random.uniform(0.08, 0.92) * height])
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        matrix[:2, 2] = place - linear @ np.array(centre)
        if tilt:
            vanish = np.eye(3)
            vanish[2, :2] = random.normal(0, tilt, 2) / (width, height)
            about = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
            matrix = np.linalg.inv(about) @ vanish @ about @ matrix
        return cls(matrix, width, height)

    def picture(self, rgb: Rgb, ground: Rgb) -> Rgb:
        """The picture as it lies in the sample, over `ground`, which has the sample's size."""
        small, matrix = rgb, self.matrix
        factor = self.scale(rgb.shape[1] / 2, rgb.shape[0] / 2)
        if factor < 0.6:
            # Warping reads four pixels for one: what is made smaller is averaged before.
            width, height = (max(round(side * factor * 1.3), 2) for side in (rgb.shape[1], rgb.shape[0]))
            small = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            matrix = matrix @ np.diag([rgb.shape[1] / width, rgb.shape[0] / height, 1.0])
        target = np.ascontiguousarray(ground)
        cv2.warpPerspective(
            small,
            matrix,
            (self.width, self.height),
            dst=target,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        return target

    def scale(self, x: float, y: float) -> float:
        """Pixels of the sample for one of the picture, at a point of the picture."""
        return math.sqrt(abs(float(np.linalg.det(self._slope(x, y)))))

    def points(self, xy: Array) -> Array:
        """(n, 2) points of the picture in the sample."""
        found = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ self.matrix.T
        return np.asarray(found[:, :2] / found[:, 2:], np.float32)

    def boxes(self, xyxy: Array, *, round_things: bool) -> Array:
        """Boxes (n, 4) around the moved objects: quads, or ellipses if they are `round_things`."""
        if not round_things:
            quads = self.points(xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)).reshape(-1, 4, 2)
            return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
        moved = np.zeros_like(xyxy)
        for i, (x1, y1, x2, y2) in enumerate(xyxy.astype(np.float64)):
            centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
            half = np.array([(x2 - x1) / 2, (y2 - y1) / 2])
            reach = np.sqrt(self._slope(*centre) ** 2 @ half**2)
            at = self.points(centre[None])[0]
            moved[i] = np.concatenate([at - reach, at + reach])
        return moved

    def _slope(self, x: float, y: float) -> Matrix:
        """The map's derivative at a point."""
        across, down, depth = self.matrix @ np.array([x, y, 1.0])
        top = np.array([across, down])
        return np.asarray((self.matrix[:2, :2] * depth - np.outer(top, self.matrix[2, :2])) / depth**2)


def inside(xyxy: Array, width: int, height: int) -> tuple[Array, Array]:
    """The boxes cut at the sample's sides, and the share of each that lies inside."""
    cut = np.clip(xyxy, 0, np.array([width, height, width, height], np.float32))
    area = np.prod(np.maximum(xyxy[:, 2:] - xyxy[:, :2], 1e-3), axis=1)
    left = np.prod(np.maximum(cut[:, 2:] - cut[:, :2], 0), axis=1)
    return cut.astype(np.float32), np.asarray(left / area, np.float32)


def paste(scene: Rgb, patch: Rgb, quad: Array) -> None:
    """Draws the patch into the scene in place; `quad` is its top left, top right, bottom right and bottom left."""
    low = np.clip(np.floor(quad.min(axis=0)).astype(int) - 1, 0, scene.shape[1::-1])
    high = np.clip(np.ceil(quad.max(axis=0)).astype(int) + 2, 0, scene.shape[1::-1])
    if (high <= low).any():
        return
    quad = quad - low.astype(np.float32)
    scene = scene[low[1] : high[1], low[0] : high[0]]
    width = max(math.dist(quad[1], quad[0]), math.dist(quad[2], quad[3]), 2.0)
    height = max(math.dist(quad[3], quad[0]), math.dist(quad[2], quad[1]), 2.0)
    if width < patch.shape[1]:
        small = (max(round(width), 2), max(round(height), 2))
        patch = np.asarray(cv2.resize(patch, small, interpolation=cv2.INTER_AREA), np.uint8)
    sides = patch.shape[1], patch.shape[0]
    corners = np.array([[0, 0], [sides[0], 0], [sides[0], sides[1]], [0, sides[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, quad.astype(np.float32))
    size = scene.shape[1], scene.shape[0]
    # Half a pixel: corners are those of the pixels, matrices speak of their centres.
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]) @ matrix @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    drawn = cv2.warpPerspective(patch, half, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = np.zeros(scene.shape[:2], np.uint8)
    cv2.fillConvexPoly(cover, np.round(quad * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    share = cover[..., None].astype(np.float32) / 255
    scene[:] = (scene * (1 - share) + drawn * share).astype(np.uint8)
