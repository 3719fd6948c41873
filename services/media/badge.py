"""The small corner badge that marks a picture as redacted."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.picture import Picture

_TEXT = "REDACTED"
_HEIGHT_SHARE = 0.035  # of the picture's height: readable on a wall of many pictures, in nobody's way
_HEIGHT_MIN_PX = 12
_DARK, _BRIGHT = 24, 220
_LIKE = 12.0  # levels by which compression changes it, at most, on the mean


def draw_badge(picture: Picture) -> None:
    """Draws the badge in place, in the lower left corner; a picture too small to hold it stays as it is."""
    patch = _patch_for(picture)
    height, width = patch.shape
    if height > picture.height or width > picture.width:
        return
    picture.y[-height:, :width] = patch
    picture.u[-(height // 2) :, : width // 2] = 128
    picture.v[-(height // 2) :, : width // 2] = 128


def _patch_for(picture: Picture) -> NDArray[np.uint8]:
    return _patch(max(_HEIGHT_MIN_PX, round(picture.height * _HEIGHT_SHARE) // 2 * 2))


def badge_of(picture: Picture) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 of the badge where the picture, compressed or not, shows it; else None."""
    patch = _patch_for(picture)
    height, width = patch.shape
    if height > picture.height or width > picture.width:
        return None
    if np.abs(picture.y[-height:, :width].astype(np.int16) - patch).mean() > _LIKE:
        return None
    return 0, picture.height - height, width, picture.height


@lru_cache(maxsize=16)
def _patch(height: int) -> NDArray[np.uint8]:
    """Luma of the badge, (height, width), both even."""
    font, margin = cv2.FONT_HERSHEY_SIMPLEX, height // 4
    scale = cv2.getFontScaleFromHeight(font, height - 2 * margin)
    (text_width, _), _ = cv2.getTextSize(_TEXT, font, scale, 1)
    patch = np.full((height, (text_width + 2 * margin + 1) // 2 * 2), _DARK, np.uint8)
    cv2.putText(patch, _TEXT, (margin, height - margin), font, scale, _BRIGHT, 1, cv2.LINE_AA)
    return patch
