"""People who walk, stand, turn, hide and come back, and a detector that errs as detectors do.

Its errors are not independent from frame to frame: a face that is turned away or blurred is missed for a while.
The score of a subject is a level that depends on its size, plus a slow wave (0.4 s) and fast noise.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.policy.model import Policy
from services.schema import pb
from tests.support.book import Book
from tests.unit.tracker.harness import RATE, Harness, covered, result

WIDTH, HEIGHT = 1280.0, 720.0
HIDDEN_UNDER = 0.7
"""Share of a subject's area that must be masked for it to be hidden."""


@dataclass(frozen=True)
class Scene:
    """What happens, frame by frame.

    Attributes:
        truth: (frames, subjects, 4) corners, NaN where a subject can't be seen.
        found: (frames, subjects, 4) where the detector would put its box.
        score: (frames, subjects).
        noise: per frame, (n, 5) false alarms with their scores.
    """

    truth: NDArray[np.float64]
    found: NDArray[np.float64]
    score: NDArray[np.float64]
    noise: list[NDArray[np.float64]]


def scene(seed: int, frames: int = 750, subjects: int = 12, speed: float = 1.0) -> Scene:
    """A scene with subjects that come and go; `speed` scales all velocities."""
    rng = np.random.default_rng(seed)
    truth = np.full((frames, subjects, 4), np.nan)
    score = np.zeros((frames, subjects))
    for index in range(subjects):
        begin = 0 if index < subjects // 4 else int(rng.integers(0, frames * 3 // 4))
        truth[:, index] = _path(rng, frames, begin, speed)
        _hide(rng, truth[:, index])
        score[:, index] = _scores(rng, truth[:, index])
    size = truth[..., 2:] - truth[..., :2]
    centre = (truth[..., :2] + truth[..., 2:]) / 2 + size * rng.normal(0, 0.03, (frames, subjects, 2))
    size = size * np.exp(rng.normal(0, 0.04, (frames, subjects, 2)))
    found = np.concatenate([centre - size / 2, centre + size / 2], axis=2)
    return Scene(truth, found, score, [_false_alarms(rng) for _ in range(frames)])


def _path(rng: np.random.Generator, frames: int, begin: int, speed: float) -> NDArray[np.float64]:
    """One subject's corners: constant velocity plus a change of pace, a turn, the bobbing of a walk, a slow zoom."""
    t = np.arange(frames) / RATE
    height = float(np.exp(rng.uniform(math.log(24), math.log(96))))
    width = height * 0.8
    lengths_per_s = 0.0 if rng.random() < 0.25 else float(rng.uniform(0.5, 8)) * speed
    heading = rng.choice([0, math.pi]) + rng.normal(0, 0.3)
    pace = lengths_per_s * width * (1 + 0.4 * np.sin(2 * math.pi * rng.uniform(0.1, 0.5) * t + rng.uniform(0, 6)))
    turn = heading + np.where(t > rng.uniform(0, frames / RATE), rng.normal(0, 1.0), 0.0)
    step = np.stack([pace * np.cos(turn), pace * np.sin(turn)], axis=1) / RATE
    travelled = np.cumsum(step, axis=0) - np.cumsum(step, axis=0)[begin]
    if begin and lengths_per_s and rng.random() < 0.7:
        start = np.array([0.0 if math.cos(heading) > 0 else WIDTH, rng.uniform(0.2, 0.8) * HEIGHT])
    else:
        start = np.array([rng.uniform(0.1, 0.9) * WIDTH, rng.uniform(0.1, 0.9) * HEIGHT])
    bob = 0.12 * height * min(1.0, lengths_per_s) * np.sin(2 * math.pi * rng.uniform(1.5, 2.2) * t)
    zoom = np.exp(rng.normal(0, 0.08) * (t - t[begin]))
    centre = start + travelled + np.stack([np.zeros(frames), bob], axis=1)
    half = np.stack([width * zoom, height * zoom], axis=1) / 2
    corners = np.concatenate([centre - half, centre + half], axis=1)
    inside = np.clip(corners, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    area = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])
    gone = (area < 0.3 * 4 * half[:, 0] * half[:, 1]) | (t < t[begin])
    inside[gone] = np.nan
    return inside


def _hide(rng: np.random.Generator, path: NDArray[np.float64]) -> None:
    """Pillars and other people in the way, about every eight seconds."""
    for _ in range(rng.poisson(len(path) / RATE / 8)):
        start = int(rng.integers(0, len(path)))
        path[start : start + int(rng.uniform(0.2, 1.2) * RATE)] = np.nan


def _scores(rng: np.random.Generator, path: NDArray[np.float64]) -> NDArray[np.float64]:
    height = np.nan_to_num(path[:, 3] - path[:, 1])
    level = np.interp(height, [12, 24, 40, 64], [0.2, 0.42, 0.55, 0.65])
    keep = math.exp(-1 / (0.4 * RATE))
    wave = np.zeros(len(path))
    wave[0] = rng.normal(0, 0.13)
    for i in range(1, len(path)):
        wave[i] = keep * wave[i - 1] + rng.normal(0, 0.13 * math.sqrt(1 - keep * keep))
    value: NDArray[np.float64] = np.clip(level + wave + rng.normal(0, 0.05, len(path)), 0.0, 0.99)
    return value


def _false_alarms(rng: np.random.Generator) -> NDArray[np.float64]:
    strong, weak = rng.poisson(0.02), rng.poisson(0.5)
    n = strong + weak
    centre = rng.uniform(0, 1, (n, 2)) * [WIDTH, HEIGHT]
    half = np.exp(rng.uniform(math.log(10), math.log(40), (n, 1))) * [0.8, 1.0]
    score = np.concatenate([rng.uniform(0.3, 0.6, strong), rng.uniform(0.1, 0.3, weak)])
    return np.concatenate([centre - half, centre + half, score[:, None]], axis=1)


@dataclass(frozen=True)
class Exposure:
    """What a way of masking leaves open.

    Attributes:
        frames: subject-frames seen but not hidden.
        of: subject-frames seen.
        masked: masked area per frame, in pixels.
    """

    frames: int
    of: int
    masked: float


def found_at(happening: Scene, seq: int) -> list[tuple[float, float, float, float, float]]:
    """What the detector gives at a frame, weak boxes included."""
    seen = np.isfinite(happening.truth[seq, :, 0])
    rows = np.concatenate([happening.found[seq][seen], happening.score[seq][seen][:, None]], axis=1)
    rows = np.concatenate([rows, happening.noise[seq]])
    return [tuple(row) for row in rows[rows[:, 4] >= 0.1].tolist()]


def tracked(happening: Scene, policy: Policy, seed: int = 0) -> list[pb.RedactionSpan]:
    """The spans of a stage that looks at every 3rd to 8th frame."""
    rng = np.random.default_rng(seed)
    frames = len(happening.truth)
    harness = Harness(Book(policy))
    seq = 0
    while seq < frames:
        harness.look(seq, result(found_at(happening, seq)))
        seq += int(rng.integers(3, 9))
    harness.end(frames)
    return harness.spans


def exposure_of_spans(happening: Scene, spans: list[pb.RedactionSpan], padding: float) -> Exposure:
    """What spans leave open."""
    masks: list[list[tuple[float, ...]]] = []
    for span in spans:
        length = max(1, span.last_seq - span.first_seq)
        first = np.array([track.first for track in span.tracks]).reshape(-1, 4)
        last = np.array([track.last for track in span.tracks]).reshape(-1, 4)
        for seq in range(span.first_seq, span.last_seq + 1):
            boxes = first + (last - first) * ((seq - span.first_seq) / length)
            masks.append([tuple(row) for row in _padded(boxes, padding).tolist()])
    return _exposure(happening, masks)


def exposure_per_frame(happening: Scene, threshold: float, padding: float) -> Exposure:
    """What detection on every frame without tracking leaves open."""
    masks: list[list[tuple[float, ...]]] = []
    for seq in range(len(happening.truth)):
        strong = [row[:4] for row in found_at(happening, seq) if row[4] >= threshold]
        masks.append([tuple(row) for row in _padded(np.array(strong).reshape(-1, 4), padding).tolist()])
    return _exposure(happening, masks)


def _padded(boxes: NDArray[np.float64], padding: float) -> NDArray[np.float64]:
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] - padding * size, boxes[:, 2:] + padding * size], axis=1)


def _exposure(happening: Scene, masks: list[list[tuple[float, ...]]]) -> Exposure:
    open_frames = seen_frames = 0
    area = 0.0
    for truth, boxes in zip(happening.truth, masks, strict=True):
        seen = truth[np.isfinite(truth[:, 0])].tolist()
        seen_frames += len(seen)
        open_frames += sum(covered(subject, boxes) < HIDDEN_UNDER for subject in seen)
        clipped = [(max(x1, 0), max(y1, 0), min(x2, WIDTH), min(y2, HEIGHT)) for x1, y1, x2, y2 in boxes]
        area += sum(max(0.0, x2 - x1) * max(0.0, y2 - y1) for x1, y1, x2, y2 in clipped)
    return Exposure(open_frames, seen_frames, area / len(masks))
