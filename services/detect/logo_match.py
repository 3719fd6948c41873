"""Finds a logo in a picture: features that look alike, which of them agree on a place, and the outline that fits."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.logo_features import Features

INSTANCES_MOST = 12
"""Of one logo in one picture."""
LEAST_MATCHES = 4
"""Fewer agree by chance; a policy's default threshold asks for six to begin with."""
_MATCHES_MOST = 1500
_RATIO = 0.85
"""Most distance of a match, as a share of the distance to the next best place in the logo."""
_DISTANCE = 0.75
"""Most distance of two features that look alike; those of unlike ones are around 1."""
_SAME_PLACE = 0.05
"""Distance within which two features of a logo are one place, share of its longer side."""
_SCALES = (0.05, 8.0)
"""Least and greatest size in the picture, to that of the registered one."""
_CENTRE, _TURN, _ZOOM = 0.3, np.radians(35), 1.0
"""How far two matches of one instance may disagree on its centre (share of its size), angle and scale (octaves)."""
_OFF = 0.04
"""Most distance of a match from where the outline puts it, as a share of the logo's size there; at least 2 pixels."""
_STRETCH = 3.5
"""Most by which one side may be longer than another, in units of the logo's own."""
_PERSPECTIVE_FROM = 10
"""Matches that determine a perspective; with fewer the outline is a parallelogram."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A logo found.

    Attributes:
        corners: (4, 2) float32, pixels of the picture, clockwise from the logo's upper left.
        matches: features of the logo that lie where the outline puts them.
    """

    corners: NDArray[np.float32]
    matches: int

    @property
    def score(self) -> float:
        """From 0 to 1: 4 matches are worth .25, 6 are worth .33, 12 are worth .5."""
        return self.matches / (self.matches + 12)


def instances(logo: Features, size: tuple[int, int], picture: Features) -> Iterator[Instance]:
    """Instances of a logo of `size` (width, height) in a picture, the surest first, at most 12."""
    there, here = _matches(logo, picture, max(size))
    left = np.ones(len(there), bool)
    if not len(there):
        return
    agree = _agreement(logo, size, picture, there, here)
    for _ in range(INSTANCES_MOST):
        votes = (agree & left).sum(axis=1) * left
        if votes.max(initial=0) < LEAST_MATCHES:
            return
        seed = int(votes.argmax())
        members = agree[seed] & left
        outline = _outline(logo.xy[here[members]], picture.xy[there[members]], size)
        if outline is None:
            left[seed] = False
            continue
        moved, scale = outline
        off = np.linalg.norm(cv2.perspectiveTransform(logo.xy[None, here], moved)[0] - picture.xy[there], axis=1)
        fits = left & (off <= max(2.0, _OFF * scale * max(size)))
        count = len(np.unique(here[fits & agree[seed]]))
        left &= ~(fits | members)
        if count >= LEAST_MATCHES:
            corners = np.array([[[0, 0], [size[0], 0], size, [0, size[1]]]], np.float32)
            quad = cv2.perspectiveTransform(corners, moved)[0].astype(np.float32)
            # What lies inside belongs to this one: parts of a logo that look like each other are no second logo.
            left &= ~_inside(picture.xy[there], quad)
            yield Instance(quad, count)


def _matches(logo: Features, picture: Features, side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Features of the picture that look like one of the logo, and which one, nearest first."""
    if not len(logo) or not len(picture):
        none = np.zeros(0, np.intp)
        return none, none
    alike = picture.looks @ logo.looks.T
    best = alike.argmax(axis=1)
    nearest = _distance(alike[np.arange(len(best)), best])
    # A second feature at the same place is no rival.
    near = np.linalg.norm(logo.xy[:, None] - logo.xy[None], axis=2) < _SAME_PLACE * side
    alike[near[best]] = -1
    rival = _distance(alike.max(axis=1))
    (good,) = np.nonzero((nearest <= _DISTANCE) & (nearest <= _RATIO * rival))
    good = good[np.argsort(nearest[good], kind="stable")][:_MATCHES_MOST]
    return good, best[good]


def _distance(alike: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.sqrt(np.maximum(2 - 2 * alike, 0))


def _agreement(
    logo: Features, size: tuple[int, int], picture: Features, there: NDArray[np.intp], here: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """(n, n): which matches could belong to one instance, by the pose that each alone stands for."""
    zoom = picture.size[there] / logo.size[here]
    turn = picture.angle[there] - logo.angle[here]
    arm = (np.array(size, np.float32) / 2 - logo.xy[here]) * zoom[:, None]
    cos, sin = np.cos(turn), np.sin(turn)
    centre = picture.xy[there] + np.stack(
        [arm[:, 0] * cos - arm[:, 1] * sin, arm[:, 0] * sin + arm[:, 1] * cos], axis=1
    )
    reach = _CENTRE * max(size) * zoom
    apart = np.linalg.norm(centre[:, None] - centre[None], axis=2)
    turned = np.abs((turn[:, None] - turn[None] + np.pi) % (2 * np.pi) - np.pi)
    zoomed = np.abs(np.log2(zoom[:, None] / zoom[None]))
    agree: NDArray[np.bool_] = (
        (apart <= np.maximum(reach[:, None], reach[None])) & (turned <= _TURN) & (zoomed <= _ZOOM)
    )
    return agree


def _outline(
    logo: NDArray[np.float32], picture: NDArray[np.float32], size: tuple[int, int]
) -> tuple[NDArray[np.float64], float] | None:
    """(3, 3) that moves the logo's pixels into the picture, and its scale; None where no flat thing could look so."""
    reach = max(2.0, _OFF * float(np.ptp(picture, axis=0).max()))
    affine, inliers = cv2.estimateAffine2D(logo, picture, method=cv2.RANSAC, ransacReprojThreshold=reach)
    if affine is None or inliers.sum() < LEAST_MATCHES - 1:
        return None
    moved = np.vstack([affine, [0, 0, 1]])
    if not (scale := _plausible(moved, size)):
        return None
    if inliers.sum() >= _PERSPECTIVE_FROM:
        found, _ = cv2.findHomography(logo, picture, cv2.RANSAC, reach)
        if found is not None:
            bent = found.astype(np.float64)
            if better := _plausible(bent, size):
                return bent, better
    return moved, scale


def _inside(xy: NDArray[np.float32], quad: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the (n, 2) places lie in a convex outline, clockwise."""
    sides = np.roll(quad, -1, axis=0) - quad
    way = xy[:, None] - quad[None]
    to_the_right = sides[:, 0] * way[..., 1] - sides[:, 1] * way[..., 0] >= 0
    return np.asarray(to_the_right.all(axis=1))


def _plausible(moved: NDArray[np.float64], size: tuple[int, int]) -> float:
    """The scale of an outline; 0 if it is turned inside out, folded, or stretched beyond what perspective does."""
    width, height = size
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    behind = moved @ np.vstack([corners[0].T, np.ones(4)])
    if (behind[2] * behind[2, 0] <= 0).any():
        return 0.0
    quad = cv2.perspectiveTransform(corners, moved)[0]
    sides = np.roll(quad, -1, axis=0) - quad
    turns = sides[:, 0] * np.roll(sides, -1, axis=0)[:, 1] - sides[:, 1] * np.roll(sides, -1, axis=0)[:, 0]
    if (turns <= 0).any():
        return 0.0
    lengths = np.linalg.norm(sides, axis=1) / [width, height, width, height]
    scale = float(np.sqrt(lengths.max() * lengths.min()))
    inside = _SCALES[0] <= scale <= _SCALES[1] and lengths.max() <= _STRETCH * lengths.min()
    return scale if inside else 0.0
