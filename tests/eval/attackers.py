"""Attackers who name the people in masked pictures; each has its own way to look at a picture and to compare."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.eval.faces import Pictures
from tests.eval.recogniser import descriptors

Features = NDArray[np.float32]
"""(n, d), one row for each picture."""

Labels = NDArray[np.int64]

_THUMB = 24  # pixels of the thumbnail's side: three for each cell of a mosaic of 8
_GREY_BINS = 17
_RIDGE = 0.01  # weight of the penalty, as a share of the mean variance


@dataclass(frozen=True)
class Attacker:
    """One attacker.

    Attributes:
        look: pictures → features.
        scores: gallery's features, whose they are, probes' features → (probes, people); the highest one is named.
    """

    name: str
    look: Callable[[Pictures], Features]
    scores: Callable[[Features, Labels, Features], NDArray[np.float32]]


def thumbnails(pictures: Pictures) -> Features:
    """Luma of 24×24 pixels, 0–1."""
    grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures)
    small = [cv2.resize(plane, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA) for plane in grey]
    return np.stack(small).reshape(len(pictures), -1).astype(np.float32) / 255


def brightness(pictures: Pictures) -> Features:
    """Mean luma of the whole picture, the one number that a mask of Veil depends on."""
    return thumbnails(pictures).mean(axis=1, keepdims=True)


def nearest(gallery: Features, people: Labels, probes: Features) -> NDArray[np.float32]:
    """Minus the distance to each person's nearest picture."""
    squares = (probes**2).sum(1)[:, None] + (gallery**2).sum(1)[None] - 2 * probes @ gallery.T
    return np.stack([-squares[:, people == person].min(axis=1) for person in range(people.max() + 1)], axis=1)


def regression(gallery: Features, people: Labels, probes: Features) -> NDArray[np.float32]:
    """Ridge regression onto one column for each person, trained on the gallery."""
    mean = gallery.mean(axis=0)
    centred = (gallery - mean).astype(np.float64)
    wanted = np.eye(int(people.max()) + 1)[people]
    gram = centred.T @ centred
    penalty = _RIDGE * max(np.trace(gram) / len(gram), 1e-9)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), centred.T @ (wanted - wanted.mean(axis=0)))
    return np.asarray((probes - mean) @ weights, np.float32)


def likelihood(gallery: Features, people: Labels, probes: Features) -> NDArray[np.float32]:
    """Log share of each person's pictures that are as bright as the probe: the best use of a single number."""
    seen, asked = ((features[:, 0] * (_GREY_BINS - 1)).round().astype(int) for features in (gallery, probes))
    counts = np.full((int(people.max()) + 1, _GREY_BINS), 0.5)
    np.add.at(counts, (people, seen), 1.0)
    shares = np.log(counts / counts.sum(axis=1, keepdims=True))
    return np.asarray(shares[:, asked].T, np.float32)


def attackers(*, recogniser: bool = True) -> list[Attacker]:
    """All of them; without the recogniser they need nothing but numpy."""
    plain = [
        Attacker("pixels", thumbnails, nearest),
        Attacker("trained pixels", thumbnails, regression),
        Attacker("brightness", brightness, likelihood),
    ]
    learned = [
        Attacker("recogniser", descriptors, nearest),
        Attacker("trained recogniser", descriptors, regression),
    ]
    return [*plain, *learned] if recogniser else plain
