"""Logos that the operator registers, found by their features: nothing is trained, and no network runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image
from services.detect.logo_features import Features, logo_features, picture_features
from services.detect.logo_match import instances
from services.detect.postprocess import suppress, to_boxes
from services.schema import pb

_LONG_SIDE, _MOST_SCALE = 960, 1.5
"""Smaller pictures are looked at enlarged to this longer side, but never by more than that factor."""
_MOST_SIDE = 1280
"""Larger ones are looked at in this size: features of all sizes are sought, which costs memory by the pixel."""
_IOU = 0.3
"""Of two logos at one place the surer one stays: many trade marks share a letter or a ring."""


@dataclass(frozen=True, slots=True)
class Found:
    """A logo in a picture.

    Attributes:
        name: as it was registered.
        corners: (4, 2) float32, pixels of the picture, clockwise from the logo's upper left.
        score: 0–1.
    """

    name: str
    corners: NDArray[np.float32]
    score: float


class LogoDetector:
    """Finds registered logos at other sizes and angles, several times in one picture, also partly covered.

    Args:
        logos: by name.
        stamp: of the logos, for the version.
        floor: lowest score that is reported.
    """

    name = "logo"
    model = "sift"

    def __init__(self, logos: Mapping[str, Image], stamp: str, floor: float = 0.1) -> None:
        self.version = f"1+{stamp}"
        self._floor = floor
        self._logos: Sequence[tuple[str, tuple[int, int], Features]] = [
            (name, (logo.shape[1], logo.shape[0]), logo_features(logo)) for name, logo in logos.items()
        ]

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        """Boxes of each image. All images together have `timeout_s`. Raises TimeoutError between two logos."""
        until = monotonic() + timeout_s
        return [self._boxes(image, until) for image in images]

    def find(self, image: Image, timeout_s: float) -> list[Found]:
        """Which logos are where, the surest first. Raises TimeoutError."""
        return self._find(image, monotonic() + timeout_s)

    def _boxes(self, image: Image, until: float) -> Boxes:
        height, width, _ = image.shape
        found = self._find(image, until)
        if not found:
            return Boxes.empty()
        score = np.array([one.score for one in found], np.float32)
        return to_boxes(_upright(found), score, pb.KIND_LOGO, width, height)

    def _find(self, image: Image, until: float) -> list[Found]:
        scale = _scale_for(image)
        if scale != 1:
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how).astype(np.uint8, copy=False)
        features = picture_features(image)
        found = []
        for name, size, logo in self._logos:
            if monotonic() >= until:
                raise TimeoutError("not all logos were looked for in time")
            found += [
                Found(name, instance.corners / np.float32(scale), instance.score)
                for instance in instances(logo, size, features)
                if instance.score >= self._floor
            ]
        if not found:
            return found
        score = np.array([one.score for one in found], np.float32)
        return [found[i] for i in suppress(_upright(found), score, _IOU)]


def _upright(found: Sequence[Found]) -> NDArray[np.float32]:
    """(n, 4) boxes around what was found."""
    corners = np.stack([one.corners for one in found])
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def _scale_for(image: Image) -> float:
    """How much larger the picture is made: logos are small, and cameras of low resolution make them smaller."""
    side = float(max(image.shape[:2]))
    return min(max(_LONG_SIDE / side, 1), _MOST_SCALE, _MOST_SIDE / side)
