"""How fast a disclosure is rendered: `python -m tests.bench.disclosure`, CPU seconds against seconds of film."""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from services.disclosure.render import Job, render
from services.disclosure.request import Sight
from services.policy.model import Kind
from tests.support.disclosures import EPOCH
from tests.support.own_footage import FPS, ME, SEES, Footage, film, pieces, segment, span

SIZE = (1280, 720)
OTHERS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of film at 25 frames a second")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw at a time")
    given = parser.parse_args()
    frames = given.seconds * FPS
    street = _street()
    with tempfile.TemporaryDirectory() as folder:
        units = film(
            Path(folder) / "film.mp4", frames, size=SIZE, crf=23, painter=lambda number, *_: _paint(street, number)
        )
        spans = []
        for first in range(0, frames, 5):
            last = min(first + 4, frames - 1)
            tracks = [segment(one, _at(one, first), _at(one, last)) for one in range(ME, ME + 1 + OTHERS)]
            spans.append(span(first, last, tracks))
        sight = Sight(camera="gate", epoch=EPOCH, track=ME, kind=Kind.PERSON, first_seq=0, last_seq=frames - 1)
        job = Job(EPOCH, EPOCH + 3600_000_000, [sight], (), {SEES.fingerprint: SEES}, "bench", "bench")
        began, cpu = time.monotonic(), _cpu_s()
        done = render(Footage({"gate": list(pieces(units, spans))}), job, Path(folder), given.workers)
        lasted, spent = time.monotonic() - began, _cpu_s() - cpu
        size = (Path(folder) / "video-1.mp4").stat().st_size
    part = done.parts[0]
    seconds = frames / FPS
    source = sum(len(unit.inline) for unit in units) * 8 / seconds / 1e6
    print(f"{SIZE[0]}×{SIZE[1]}, {FPS} frames a second, {OTHERS} masked, {part.open} of {part.frames} frames open")
    print(f"{seconds:.0f} s of film in {spent:.1f} s of CPU: {seconds / spent:.1f} times real time on one core")
    print(
        f"{given.workers} workers: {seconds / lasted:.1f} times real time by the clock, which a busy machine stretches"
    )
    print(f"{spent / frames * 1000:.1f} ms a frame; {source:.1f} Mbit/s in, {size * 8 / seconds / 1e6:.1f} Mbit/s out")


def _cpu_s() -> float:
    """Of this process and of those that it has waited for."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def _street() -> NDArray[np.uint8]:
    """Something with as much detail as a street has, and a little noise of its own."""
    random = np.random.default_rng(0)
    coarse = random.integers(40, 200, (45, 80, 3), np.uint8)
    picture = cv2.resize(coarse, (SIZE[0] + 64, SIZE[1]), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def _paint(street: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    picture = street[:, : SIZE[0]].copy()
    noise = np.random.default_rng(number % 7).integers(-3, 4, picture.shape[:2], np.int16)
    picture = np.clip(picture + noise[..., None], 0, 255).astype(np.uint8)
    for one in range(ME, ME + 1 + OTHERS):
        x1, y1, x2, y2 = (round(value) for value in _at(one, number))
        part = street[y1:y2, 200 + 20 * one : 200 + 20 * one + x2 - x1][::-1]
        picture[y1:y2, x1:x2] = 255 - part[:, : picture[y1:y2, x1:x2].shape[1]]
    return picture


def _at(one: int, number: int) -> tuple[float, float, float, float]:
    x = 60 + 150 * one + 60 * np.sin(number / 20 + one)
    return x, 200.0 + 20 * one, x + 80, 420.0 + 20 * one


if __name__ == "__main__":
    main()
