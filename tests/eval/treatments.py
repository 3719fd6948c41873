"""What is done to a face before the attacker sees it: the field's usual masks, and Veil's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Mode
from tests.eval.faces import Pictures

CELLS = (4, 6, 8, 16)
"""Plain mosaics that are compared, in cells along the longer side."""

SIGMAS = (0.05, 0.1)
"""Plain blurs that are compared, as shares of the width."""

STRENGTHS = (0.5, 1.0, 2.0)
FACE_MODES = (Mode.SOLID, Mode.MOSAIC, Mode.BLUR)


@dataclass(frozen=True)
class Treatment:
    """One way to mask.

    Attributes:
        ours: drawn by the renderer's own code.
        varies: two maskings of one picture differ.
        apply: masks each picture as a track of its own.
    """

    name: str
    ours: bool
    varies: bool
    apply: Callable[[Pictures], Pictures]

    def repeated(self, pictures: Pictures, times: int) -> Pictures:
        """(times, n, height, width, 3): as many maskings of each, in one stream; one where they would be equal."""
        times = times if self.varies else 1
        masked = self.apply(np.concatenate([pictures] * times))
        return masked.reshape(times, *pictures.shape)


def treatments(strengths: Sequence[float] = STRENGTHS) -> Iterator[Treatment]:
    """Everything that is compared; Veil's modes at the strengths given."""
    yield Treatment("none", ours=False, varies=False, apply=lambda pictures: pictures)
    for cells in CELLS:
        yield plain_mosaic(cells)
    for sigma in SIGMAS:
        yield plain_blur(sigma)
    for mode in FACE_MODES:
        for strength in strengths:
            yield veil(mode, strength)


def plain_mosaic(cells: int) -> Treatment:
    """A mosaic as the field draws it: each cell shows the mean of what is under it."""

    def apply(pictures: Pictures) -> Pictures:
        return np.stack([mosaicked(picture, cells) for picture in pictures])

    return Treatment(f"plain mosaic, {cells} cells", ours=False, varies=False, apply=apply)


def mosaicked(picture: NDArray[np.uint8], cells: int) -> NDArray[np.uint8]:
    """A plain mosaic of so many cells along the longer side."""
    height, width = picture.shape[:2]
    cell = max(height, width) / cells
    shape = max(1, round(width / cell)), max(1, round(height / cell))
    coarse = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST))


def plain_blur(sigma: float) -> Treatment:
    """A Gaussian blur; sigma as a share of the width."""

    def apply(pictures: Pictures) -> Pictures:
        return np.stack([cv2.GaussianBlur(picture, (0, 0), sigma * picture.shape[1]) for picture in pictures])

    return Treatment(f"plain blur, sigma {sigma:g}", ours=False, varies=False, apply=apply)


def veil(mode: Mode, strength: float = 1.0) -> Treatment:
    """Veil's mask over the whole picture."""

    def apply(pictures: Pictures) -> Pictures:
        shades = Shades()
        return np.stack([masked(picture, index, mode, strength, shades) for index, picture in enumerate(pictures)])

    varies = mode is not Mode.SOLID
    return Treatment(f"veil {mode}, strength {strength:g}", ours=True, varies=varies, apply=apply)


def masked(picture: NDArray[np.uint8], track: int, mode: str, strength: float, shades: Shades) -> NDArray[np.uint8]:
    """One picture under one of Veil's masks, as a viewer gets it: the renderer's code on its colour planes."""
    planes = to_planes(picture)
    cover(planes, (0, 0, planes.width, planes.height), track, mode, strength, shades)
    return to_rgb(planes)


def cover(
    planes: Picture, box: tuple[float, float, float, float], track: int, mode: str, strength: float, shades: Shades
) -> None:
    """Masks one box in place, without padding."""
    bounds = outer_bounds(np.array([box], np.float64), np.zeros(1), planes.width, planes.height)
    mask(planes, bounds, [track], [str(mode)], strength, shades)


def to_planes(picture: NDArray[np.uint8]) -> Picture:
    """The colour planes of an RGB picture with even sides."""
    return Picture(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420))


def to_rgb(planes: Picture) -> NDArray[np.uint8]:
    """Back again."""
    return np.asarray(cv2.cvtColor(planes.data, cv2.COLOR_YUV2RGB_I420))
