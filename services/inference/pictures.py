"""Decodes detection pictures, which may be anything."""

import cv2
import numpy as np

from services.detect.interface import Image

_START = b"\xff\xd8"
_END = b"\xff\xd9"
# Start of frame in any coding, but not the tables and the reserved code that share its range.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class BadPicture(Exception):
    """The picture can't be looked at; the text never holds picture content."""


def decoded(jpeg: bytes, width: int, height: int) -> Image:
    """A JPEG as RGB (height, width, 3). Raises BadPicture if it is damaged, or not of that size."""
    # libjpeg fills what a cut-off file lacks with grey and calls it a picture: a face there would count as looked for.
    if not jpeg.endswith(_END):
        raise BadPicture("the JPEG is cut off")
    stated = _stated_size(jpeg)
    if stated is None:
        raise BadPicture("the JPEG can't be decoded")
    # Before memory is taken for it: a few bytes may state four billion pixels.
    if stated != (width, height):
        raise BadPicture("the picture is not of the size that its frame states")
    try:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        picture = None
    if picture is None:
        raise BadPicture("the JPEG can't be decoded")
    return picture.astype(np.uint8, copy=False)


def _stated_size(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height from a JPEG's header; None without one."""
    at = len(_START)
    if not jpeg.startswith(_START):
        return None
    while at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        if jpeg[at + 1] in _FRAME_MARKERS:
            return int.from_bytes(jpeg[at + 7 : at + 9]), int.from_bytes(jpeg[at + 5 : at + 7])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return None
