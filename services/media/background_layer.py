"""One learnt background: how a view looks when nobody is in it, point by point."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.alignment import Luma
from services.media.blobs import Mask, above, cleaned

_FOLLOW_S = 20.0
"""Time in which the background takes on 1 − 1/e of a change in what is not masked: dawn takes minutes."""

_LEAST = 7
"""Luma levels by which a point must differ at least: compressed video is off by 2 or 3."""

_NOISES = 4.5
"""Times the mean difference of points where nothing is: 3.6 standard deviations of even noise."""

_NOISE_MAX = 12.0
"""Mean difference of points where nothing is beyond which a person would no longer stand out."""

_NOISE_SHARE = 0.2
"""Of a look in the noise that is known."""

_LIGHT_STEP = 8.0
"""Luma levels by which the light of the whole picture may change from look to look and still be followed."""

_LIGHT_LEAST = 0.5
"""Luma levels below which the light has not changed."""

_THIN = 3
"""Every third point of every third row tells the light."""

_EVEN = 25.0
"""Variance of a background so even that it can't tell a brighter light from a stronger one."""

_RESTLESS = 4.0
"""A moment at which a point is not still takes back so many moments at which it was."""

_TOLERANCE = np.ones((3, 3), np.uint8)
"""A point may look like any of its neighbours: edges move with the least shake, and with every scaling."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs from the background, in its coordinates.

    Attributes:
        moved: what is large and sure enough to be something, and what is held.
        changed: every point that differs.
        share: of them in the picture, held ones left out.
        background: (height, width) float32, in the light of the picture.
        over: by how many levels each point differs from all that it may look like.
    """

    moved: Mask
    changed: Mask
    share: float
    background: NDArray[np.float32]
    over: Luma


class Layer:
    """A background and what is known of the points before it.

    Points that differ are never blended in. One that has been different and still for `absorb_s` becomes background,
    so that somebody who stands still stays masked for that long, and so does the place of one who was there first.

    Attributes:
        held: not 0 where the background is not known: those points count as moved until they are absorbed.
        moved: what the newest picture that was learnt from hides.
        shift: points by which the newest picture that was compared lay to the right of and below it.

    Args:
        background: (height, width).
        held: see above.
        noise: mean difference of points where nothing is, in luma levels.
        absorb_s: how long a point must be still to become background.
    """

    def __init__(self, background: Luma, held: Mask, noise: float, absorb_s: float) -> None:
        self._background = background.astype(np.float32)
        self._absorb_s = absorb_s
        self._noise = noise
        self.held = held
        self.moved = held.copy()
        self.shift = (0, 0)
        self._candidate = background.copy()
        self._still = np.zeros(background.shape, np.float32)

    @property
    def luma(self) -> Luma:
        """The background, (height, width)."""
        return cv2.convertScaleAbs(self._background)

    @property
    def is_noisy(self) -> bool:
        """True where there is too much noise to tell what moves."""
        return self._noise > _NOISE_MAX

    def compare(self, luma: Luma) -> Difference:
        """What differs in a picture that lies on the background, apart from a little light all over."""
        background = self._lit(luma)
        base = cv2.convertScaleAbs(background)
        brighter = cv2.subtract(luma, cv2.dilate(base, _TOLERANCE))
        darker = cv2.subtract(cv2.erode(base, _TOLERANCE), luma)
        over = cv2.max(brighter, darker)
        level = max(float(_LEAST), _NOISES * self._noise)
        changed = above(over, level)
        strong = above(over, 2 * level)
        free = cv2.bitwise_and(changed, cv2.bitwise_not(self.held))
        moved = cv2.bitwise_or(cleaned(changed, strong), self.held)
        room = max(1, free.size - cv2.countNonZero(self.held))
        return Difference(moved, changed, cv2.countNonZero(free) / room, background, over)

    def learn(self, luma: Luma, difference: Difference, shown: Mask, elapsed_s: float) -> None:
        """Takes on what a picture shows that was compared.

        Args:
            luma: the picture.
            difference: what `compare` said of it.
            shown: not 0 where it shows what the background shows.
            elapsed_s: since the look before.
        """
        self._background = difference.background
        self.moved = difference.moved
        quiet = cv2.bitwise_and(cv2.bitwise_not(cv2.dilate(self.moved, _TOLERANCE)), shown)
        if cv2.countNonZero(quiet):
            noise = cv2.mean(difference.over, mask=quiet)[0]
            self._noise += _NOISE_SHARE * (noise - self._noise)
            cv2.accumulateWeighted(luma, self._background, 1 - math.exp(-elapsed_s / _FOLLOW_S), mask=quiet)
        self._absorb(luma, cv2.bitwise_and(self.moved, shown), elapsed_s)

    def _absorb(self, luma: Luma, moved: Mask, elapsed_s: float) -> None:
        level = 2 * max(float(_LEAST), _NOISES * self._noise)
        inside = moved > 0
        same = cv2.absdiff(luma, self._candidate) <= level
        still = np.where(same, self._still + elapsed_s, self._still - _RESTLESS * elapsed_s)
        self._still = np.where(inside, still, 0).astype(np.float32)
        other = (self._still < 0) | ~inside
        np.copyto(self._candidate, luma, where=other)
        self._still[other] = 0
        done = self._still > self._absorb_s
        if done.any():
            np.copyto(self._background, self._candidate, where=done, casting="same_kind")
            self.held[done] = 0
            self._still[done] = 0

    def _lit(self, luma: Luma) -> NDArray[np.float32]:
        """The background in the picture's light, where that differs a little all over."""
        quiet = self.moved[::_THIN, ::_THIN] == 0
        if np.count_nonzero(quiet) < quiet.size // 5:
            return self._background.copy()
        base = self._background[::_THIN, ::_THIN][quiet]
        off = luma[::_THIN, ::_THIN][quiet] - base
        near = np.abs(off - np.median(off)) <= 2 * _LIGHT_STEP
        base, off = base[near], off[near]
        middle, spread = float(base.mean()), float(base.var())
        slope = float(np.mean((base - middle) * off)) / spread if spread > _EVEN else 0.0
        step = float(off.mean())
        if abs(step) > _LIGHT_STEP or abs(step) + abs(slope) * spread**0.5 < _LIGHT_LEAST:
            return self._background.copy()
        lit: NDArray[np.float32] = self._background * np.float32(1 + slope) + np.float32(step - slope * middle)
        return lit.clip(0, 255)
