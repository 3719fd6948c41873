"""What light, lens and camera do to a sample: exposure, night, colour, blur, noise, JPEG, small sensors."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.models.train.pictures import Rgb


def seen(random: np.random.Generator, rgb: Rgb) -> Rgb:
    """The sample as some camera might see it; most lose little, few much."""
    scene = _exposed(random, rgb)
    if random.random() < 0.1:
        scene = np.repeat(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if random.random() < 0.2:
        scene = _blurred(random, scene)
    if random.random() < 0.1:
        scene = _coarse(random, scene)
    if random.random() < 0.25:
        scene = _noisy(random, scene)
    return _compressed(random, scene) if random.random() < 0.4 else np.asarray(scene, np.uint8)


def _exposed(random: np.random.Generator, scene: Rgb) -> Rgb:
    """Gamma, contrast, white balance; one in ten by night."""
    night = random.random() < 0.1
    gamma = random.uniform(1.4, 2.6) if night else np.exp(random.normal(0, 0.3))
    curve = 255 * np.linspace(0, 1, 256) ** gamma
    contrast, level = np.exp(random.normal(0, 0.2)), curve[int(scene[::8, ::8].mean())]
    curve = (curve - level) * contrast + level * np.exp(random.normal(0, 0.15))
    table = curve[:, None] * np.exp(random.normal(0, 0.08, 3))
    return np.asarray(cv2.LUT(scene, np.clip(table, 0, 255).astype(np.uint8)[None]), np.uint8)


def _noisy(random: np.random.Generator, scene: Rgb) -> Rgb:
    """Grain, grey or coloured, cut from a sheet that is drawn once."""
    height, width, _ = scene.shape
    y, x = (int(random.integers(_SHEET - side)) for side in (height, width))
    grain = _sheet(3 if random.random() < 0.5 else 1)[y : y + height, x : x + width]
    strength = abs(random.normal(0, 8)) / _GRAIN
    scaled = (grain * np.float32(strength)).astype(np.int16)
    return np.asarray(cv2.add(scene, scaled, dtype=cv2.CV_8U), np.uint8)


_SHEET, _GRAIN = 1024, 32


@lru_cache(maxsize=2)
def _sheet(channels: int) -> NDArray[np.int16]:
    grain = np.random.default_rng(channels).normal(0, _GRAIN, (_SHEET, _SHEET, channels))
    return np.ascontiguousarray(np.broadcast_to(grain, (_SHEET, _SHEET, 3))).astype(np.int16)


def _blurred(random: np.random.Generator, scene: Rgb) -> Rgb:
    """Out of focus, or moved in a straight line."""
    if random.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(scene, (0, 0), random.uniform(0.4, 1.6)), np.uint8)
    length = int(random.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = random.normal(0, 0.5)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = np.array([length / 2, length / 2]) - 0.5
    start, end = (tuple(round(v) for v in point) for point in (middle - reach, middle + reach))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(scene, -1, kernel / max(kernel.sum(), 1)), np.uint8)


def _coarse(random: np.random.Generator, scene: Rgb) -> Rgb:
    """From a sensor with fewer pixels."""
    height, width = scene.shape[:2]
    share = random.uniform(0.5, 0.9)
    small = cv2.resize(scene, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _compressed(random: np.random.Generator, rgb: Rgb) -> Rgb:
    quality = int(random.integers(25, 95))
    _, encoded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
