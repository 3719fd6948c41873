"""Batches of samples, made ahead by processes of their own: the same seed makes the same ones, however many work."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.models.train.pictures import Array
from deploy.models.train.samples import Sample, Sampler, padded
from services.detect.cells import STRIDES, centres

_AHEAD = 4
"""Batches that are ready or being made."""


@dataclass(frozen=True)
class Batch:
    """Samples side by side.

    Attributes:
        rgb: (n, height, width, 3) uint8.
        boxes: kind → (n, objects, 4), rows of zeros where there are fewer.
        ignored: kind → (n, cells) bool, cells whose centre lies in an area that counts neither way.
    """

    rgb: NDArray[np.uint8]
    boxes: Mapping[str, Array]
    ignored: Mapping[str, NDArray[np.bool_]]


def batches(make: Callable[[], Sampler], seed: int, size: int, start: int, end: int, workers: int) -> Iterator[Batch]:
    """Batches number `start` to `end` of `size` samples; `make` is called once in each of the `workers` processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (make,)) as pool:
        waiting: deque[Future[Batch]] = deque()
        for number in range(start, end):
            waiting.append(pool.submit(_make, seed, number, size))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_sampler: list[Sampler] = []


def _begin(make: Callable[[], Sampler]) -> None:
    cv2.setNumThreads(1)
    _sampler.append(make())


def _make(seed: int, number: int, size: int) -> Batch:
    return gathered([_sampler[0].sample(np.random.default_rng((seed, number, i))) for i in range(size)])


def gathered(samples: Sequence[Sample]) -> Batch:
    """Several samples of one size as a batch."""
    height, width, _ = samples[0].rgb.shape
    points = centres(height, width)
    kinds = samples[0].boxes
    return Batch(
        np.stack([sample.rgb for sample in samples]),
        {kind: padded([sample.boxes[kind] for sample in samples]) for kind in kinds},
        {kind: np.stack([_within(points, sample.ignored[kind]) for sample in samples]) for kind in kinds},
    )


def cell_strides(height: int, width: int) -> Array:
    """(cells,) stride of each cell, in the same order."""
    counts = [(height // stride) * (width // stride) for stride in STRIDES]
    return np.repeat(np.array(STRIDES, np.float32), counts)


def _within(points: Array, areas: Array) -> NDArray[np.bool_]:
    after = (points[:, None] >= areas[None, :, :2]).all(axis=2)
    before = (points[:, None] <= areas[None, :, 2:]).all(axis=2)
    return np.asarray(np.any(after & before, axis=1), np.bool_)
