"""Where a picture shows a mask: every mode draws without colour, and nothing but plain, tiled or evenly rising grey."""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.picture import Picture

_NEUTRAL = 128
_COLOUR = 4
"""Levels of colour that compression adds to a grey at most."""
_BEND = 6
"""Largest second difference of luma, in levels, inside a tile or a blurred mask after compression."""
_WINDOW = 13
_SMOOTH = 0.6
"""Share of unbent pixels around a pixel of a mask; the rest are the edges of tiles, 8 pixels apart or more."""
CLOSED = 0.97
"""Share of a picture under masks from which it counts as closed."""


def covered_map(picture: Picture) -> NDArray[np.float32]:
    """(height / 2, width / 2): 1 where the picture is like a mask, else 0."""
    bent = np.abs(cv2.Laplacian(picture.y, cv2.CV_16S, ksize=1)) > _BEND
    smooth = cv2.blur((~bent).astype(np.float32), (_WINDOW, _WINDOW)) >= _SMOOTH
    grey = np.maximum(_distance(picture.u), _distance(picture.v)) <= _COLOUR
    return (grey & smooth[::2, ::2]).astype(np.float32)


def covered_share(covered: NDArray[np.float32], box: tuple[float, float, float, float]) -> float:
    """Share of a box, in pixels of the picture, that lies under masks; 0 for a box without area."""
    x1, y1, x2, y2 = (int(value // 2) for value in box)
    area = covered[max(0, y1) : y2 + 1, max(0, x1) : x2 + 1]
    return float(area.mean()) if area.size else 0.0


def is_closed(picture: Picture) -> bool:
    """True where the whole picture is masked."""
    return bool(covered_map(picture).mean() >= CLOSED)


def _distance(plane: NDArray[np.uint8]) -> NDArray[np.int16]:
    return np.abs(plane.astype(np.int16) - _NEUTRAL)
