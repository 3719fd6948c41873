"""Features of logos and pictures: places that look the same at any size and angle, and what is around them."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Image

LEAST_FEATURES = 20
"""Of a logo; with fewer it is lost as soon as a part of it is small or covered."""
_LOGO_MOST = 400
_PICTURE_MOST = 6000
_CONTRAST = 0.02
"""Half of what SIFT's author takes: cameras see logos through haze and dirty glass."""


_KNOWN_MOST = 64
"""Twice as many as can be registered: at most 13 MB."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features as parallel arrays.

    Attributes:
        xy: (n, 2) float32, pixels.
        size: (n,) float32, diameter in pixels.
        angle: (n,) float32, radians.
        looks: (n, 128) float32 of length 1; the more two have in common, the nearer their product is to 1.
    """

    xy: NDArray[np.float32]
    size: NDArray[np.float32]
    angle: NDArray[np.float32]
    looks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.size)


_known: "OrderedDict[bytes, Features]" = OrderedDict()
_lock = threading.Lock()


def logo_features(logo: Image) -> Features:
    """The strongest features of a logo, at most 400; those of the last 64 logos are kept, as each takes 0.1 s."""
    key = hashlib.sha256(repr(logo.shape).encode() + np.ascontiguousarray(logo).data).digest()
    with _lock:
        features = _known.pop(key) if key in _known else _features_of(logo)
        _known[key] = features
        while len(_known) > _KNOWN_MOST:
            _known.popitem(last=False)
    return features


def _features_of(logo: Image) -> Features:
    """A margin of its edge's colour lets a logo's outline count."""
    height, width, _ = logo.shape
    margin = max(height, width) // 8
    edged = cv2.copyMakeBorder(logo, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    found = _features(edged.astype(np.uint8, copy=False), _LOGO_MOST)
    return Features(found.xy - np.float32(margin), found.size, found.angle, found.looks)


def picture_features(picture: Image) -> Features:
    """The strongest features of a picture, at most 6,000."""
    return _features(picture, _PICTURE_MOST)


def _features(picture: Image, most: int) -> Features:
    # One for each call: the same may not be used by two threads at once.
    sift = cv2.SIFT.create(nfeatures=most, contrastThreshold=_CONTRAST)
    points, looks = sift.detectAndCompute(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None)
    points = points[:most]
    if looks is None or not points:
        none = np.zeros(0, np.float32)
        return Features(np.zeros((0, 2), np.float32), none, none, np.zeros((0, 128), np.float32))
    # The root of each share instead of its square: differences of a few strong edges count for less.
    shares = looks[:most] / np.maximum(looks[:most].sum(axis=1, keepdims=True), 1e-6)
    return Features(
        np.array([point.pt for point in points], np.float32),
        np.array([point.size for point in points], np.float32),
        np.radians(np.array([point.angle for point in points], np.float32)),
        np.sqrt(shares).astype(np.float32),
    )
