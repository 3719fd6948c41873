"""What is done to a face before the attacker sees it: the field's usual masks, and Veil's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Mode
from tests.eval.faces import FaceSet

CELLS = (4, 6, 8, 16)
"""Plain mosaics that are compared, in cells along the longer side."""

SIGMAS = (0.05, 0.1)
"""Plain blurs that are compared, as shares of the width."""

STRENGTHS = (0.5, 1.0, 2.0)
FACE_MODES = (Mode.SOLID, Mode.MOSAIC, Mode.BLUR)


Masker = Callable[[NDArray[np.uint8], Sequence[float], int], NDArray[np.uint8]]
"""RGB picture with even sides, x1, y1, x2, y2 and track → a picture of its own with that box masked."""


@dataclass(frozen=True)
class Treatment:
    """One way to mask.

    Attributes:
        ours: drawn by the renderer's own code.
        varies: two tracks of one face differ.
        stream: makes what masks the pictures of a new stream.
    """

    name: str
    ours: bool
    varies: bool
    stream: Callable[[], Masker]

    def repeated(self, faces: FaceSet, times: int) -> NDArray[np.uint8]:
        """(times, n, height, width, 3): each face's box as so many tracks of one stream; once where they are equal."""
        masker, track = self.stream(), count()
        rounds = range(times if self.varies else 1)
        x1, y1, x2, y2 = faces.box
        return np.stack(
            [np.stack([masker(scene, faces.box, next(track))[y1:y2, x1:x2] for scene in faces.scenes]) for _ in rounds]
        )


def treatments(strengths: Sequence[float] = STRENGTHS) -> Iterator[Treatment]:
    """Everything that is compared; Veil's modes at the strengths given."""
    yield Treatment("none", ours=False, varies=False, stream=lambda: lambda picture, box, track: picture)
    for cells in CELLS:
        yield plain_mosaic(cells)
    for sigma in SIGMAS:
        yield plain_blur(sigma)
    for mode in FACE_MODES:
        for strength in strengths:
            yield veil(mode, strength)


def plain_mosaic(cells: int) -> Treatment:
    """A mosaic as the field draws it: each cell shows the mean of what is under it."""
    return _plain(f"plain mosaic, {cells} cells", lambda area: mosaicked(area, cells))


def mosaicked(picture: NDArray[np.uint8], cells: int) -> NDArray[np.uint8]:
    """A plain mosaic of so many cells along the longer side."""
    height, width = picture.shape[:2]
    cell = max(height, width) / cells
    shape = max(1, round(width / cell)), max(1, round(height / cell))
    coarse = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST))


def plain_blur(sigma: float) -> Treatment:
    """A Gaussian blur; sigma as a share of the width."""
    name = f"plain blur, sigma {sigma:g}"
    return _plain(name, lambda area: cv2.GaussianBlur(area, (0, 0), sigma * area.shape[1]))


def _plain(name: str, masked: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Treatment:
    def masker(picture: NDArray[np.uint8], box: Sequence[float], track: int) -> NDArray[np.uint8]:
        x1, y1, x2, y2 = (max(round(value), 0) for value in box)
        picture = picture.copy()
        picture[y1:y2, x1:x2] = masked(picture[y1:y2, x1:x2])
        return picture

    return Treatment(name, ours=False, varies=False, stream=lambda: masker)


def veil(mode: Mode, strength: float = 1.0) -> Treatment:
    """Veil's mask: the renderer's code on the picture's colour planes."""

    def stream() -> Masker:
        shades = Shades()

        def masker(picture: NDArray[np.uint8], box: Sequence[float], track: int) -> NDArray[np.uint8]:
            planes = to_planes(picture)
            bounds = outer_bounds(np.array([box], np.float64), np.zeros(1), planes.width, planes.height)
            mask(planes, bounds, [track], [mode.value], strength, shades)
            return to_rgb(planes)

        return masker

    varies = mode is not Mode.SOLID
    return Treatment(f"veil {mode}, strength {strength:g}", ours=True, varies=varies, stream=stream)


def to_planes(picture: NDArray[np.uint8]) -> Picture:
    """The colour planes of an RGB picture with even sides."""
    return Picture(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420))


def to_rgb(planes: Picture) -> NDArray[np.uint8]:
    """Back again."""
    return np.asarray(cv2.cvtColor(planes.data, cv2.COLOR_YUV2RGB_I420))
