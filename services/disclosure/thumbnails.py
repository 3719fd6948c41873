"""Pictures of tracks to choose from: everyone in them is masked, and the place of the one is marked."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from services.disclosure.find import Box, Found, Search
from services.disclosure.footage import Footage
from services.disclosure.moments import Wanted, shots
from services.disclosure.subject import Subject
from services.disclosure.unveil import Unveiler
from services.media.picture import Picture
from services.media.planar_jpeg import PlanarJpegEncoder

_WIDE_PX = 640
_MARK = 235
_NOBODY = Subject(())


def thumbnails(footage: Footage, search: Search, found: Sequence[Found]) -> Iterator[tuple[int, bytes]]:
    """A JPEG for each track, by number: its largest moment with everyone in it masked, and its place marked.

    A frame that is not certain is closed, with the mark alone; one that is gone meanwhile is left out.
    """
    encoder = PlanarJpegEncoder(80)
    wanted: dict[tuple[str, int, int], list[Found]] = {}
    for one in found:
        wanted.setdefault((one.camera, one.epoch, one.best.seq), []).append(one)
    places = [Wanted(group[0].camera, group[0].epoch, group[0].best) for group in wanted.values()]
    for shot, covers in shots(footage, search, places):
        base = Unveiler(_NOBODY, covers).unveil(shot).picture
        for one in wanted[shot.camera, shot.epoch, shot.seq]:
            picture = base.copy()
            _mark(picture, one.best.box)
            yield one.number, encoder.encode(_smaller(picture))


def _mark(picture: Picture, box: Box) -> None:
    """Draws the outline of a box, bright between two dark lines."""
    corners = [round(value) for value in box]
    width = max(2, picture.width // 320)
    for luma, thickness in ((16, 3 * width), (_MARK, width)):
        cv2.rectangle(picture.y, (corners[0], corners[1]), (corners[2], corners[3]), luma, thickness)


def _smaller(picture: Picture) -> Picture:
    """At most as wide as a thumbnail."""
    if picture.width <= _WIDE_PX:
        return picture
    width = _WIDE_PX
    height = max(4, round(picture.height * width / picture.width / 4) * 4)
    planes = [
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).reshape(-1)
        for plane, size in (
            (picture.y, (width, height)),
            (picture.u, (width // 2, height // 2)),
            (picture.v, (width // 2, height // 2)),
        )
    ]
    return Picture(np.concatenate(planes).reshape(height * 3 // 2, width).astype(np.uint8), picture.full_range)
