"""Scenes with truth by construction: real faces and plates moving over real backgrounds, written as video."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.scene_sources import Cutout, Picture, Sources

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


@dataclass(frozen=True)
class Subject:
    """One face or plate on its way.

    Attributes:
        cutout: index into the sources' cut-outs.
        first, last: frames between which it moves, both included; it is gone outside them.
        start, end: centre of the box in pixels at both ends.
        heights: of the box at both ends, in pixels.
        acceleration: -1 slows down to the end, +1 starts slowly, 0 keeps its speed.
        bob: height of its up and down, share of the box's height.
        gain: brightness factor.
    """

    cutout: int
    first: int
    last: int
    start: tuple[float, float]
    end: tuple[float, float]
    heights: tuple[float, float]
    acceleration: float = 0.0
    bob: float = 0.0
    bob_frames: float = 14.0
    gain: float = 1.0

    def at(self, frame: float) -> tuple[float, float, float]:
        """Centre x, y and height of its box."""
        share = (frame - self.first) / max(self.last - self.first, 1)
        share -= self.acceleration * share * (1 - share)
        height = self.heights[0] * (self.heights[1] / self.heights[0]) ** share
        swing = self.bob * height * np.sin(2 * np.pi * frame / self.bob_frames)
        x, y = ((1 - share) * a + share * b for a, b in zip(self.start, self.end, strict=True))
        return x, y + swing, height


@dataclass(frozen=True)
class Occluder:
    """A block that hides what passes behind it; `start` and `end` are its centre in the first and last frame."""

    size: tuple[int, int]
    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True)
class SceneSpec:
    """Everything that decides a scene's pixels, beside the sources.

    Attributes:
        shutter: share of the frame time during which motion blurs.
        shake: amplitude of a slow camera drift, in pixels.
        noise: standard deviation of the sensor's noise, 0–255.
    """

    name: str
    width: int
    height: int
    frames: int
    background: str
    subjects: tuple[Subject, ...]
    occluders: tuple[Occluder, ...] = ()
    fps: int = 25
    gain: float = 1.0
    shutter: float = 0.4
    shake: float = 0.0
    noise: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class TrueBox:
    """One subject in one frame.

    Attributes:
        box: uncut: it may reach out of the picture.
        visible: share of the box that is inside the picture and not behind anything.
        height: of the box, in pixels.
        blur: length of its motion blur, in pixels.
        brightness: mean luma inside the box, 0–255.
    """

    id: int
    kind: str
    box: Box
    visible: float
    height: float
    blur: float
    brightness: float


@dataclass(frozen=True)
class Truth:
    """What is where in each frame of a video."""

    width: int
    height: int
    fps: float
    frames: tuple[tuple[TrueBox, ...], ...]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Truth":
        raw = json.loads(path.read_text())
        frames = tuple(tuple(TrueBox(**{**b, "box": tuple(b["box"])}) for b in boxes) for boxes in raw["frames"])
        return cls(raw["width"], raw["height"], raw["fps"], frames)


def generate(path: Path, scene: SceneSpec, sources: Sources) -> Truth:
    """Writes the scene's video to `path` and its truth beside it (`.truth.json`). The same spec gives the same file."""
    painter = _Painter(scene, sources)
    frames = []
    with VideoWriter(path, scene.width, scene.height, scene.fps) as writer:
        for index in range(scene.frames):
            canvas, boxes = painter.paint(index)
            writer.write(canvas)
            frames.append(boxes)
    truth = Truth(scene.width, scene.height, scene.fps, tuple(frames))
    truth.save(truth_path(path))
    return truth


def truth_path(video: Path) -> Path:
    """Where a video's truth lies."""
    return video.with_suffix(".truth.json")


class VideoWriter:
    """RGB pictures to H.264 in the container that the path's suffix names."""

    def __init__(self, path: Path, width: int, height: int, fps: Fraction | int, crf: int = 18) -> None:
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=Fraction(fps))
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        # With macroblock trees the same pictures don't always give the same file.
        self._stream.options = {"crf": str(crf), "preset": "veryfast", "x264-params": "mbtree=0"}
        self._stream.thread_count = 2

    def write(self, picture: Picture) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", threads=1)
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


class _Painter:
    """Paints one scene frame by frame."""

    def __init__(self, scene: SceneSpec, sources: Sources) -> None:
        self._scene = scene
        self._sprites = [_Sprite(sources.cutouts[subject.cutout]) for subject in scene.subjects]
        self._backdrop = [_fitted(frame, scene) for frame in sources.backgrounds[scene.background]]
        random = np.random.default_rng(scene.seed)
        shape = (6, scene.height, scene.width, 1)
        self._noise = np.round(random.normal(0, scene.noise, shape)).astype(np.int16)
        self._texture = random.integers(40, 160, (len(scene.occluders), 3))

    def paint(self, index: int) -> tuple[Picture, tuple[TrueBox, ...]]:
        scene = self._scene
        canvas = self._background(index)
        # Which subject's box is seen at each pixel; -1 is anything else.
        owner = np.full((scene.height, scene.width), -1, np.int16)
        present = [i for i, subject in enumerate(scene.subjects) if subject.first <= index <= subject.last]
        present.sort(key=lambda i: scene.subjects[i].at(index)[2])
        poses = {}
        for i in present:
            subject, sprite = scene.subjects[i], self._sprites[i]
            x, y, height = subject.at(index)
            before = subject.at(index - scene.shutter)
            smear = (x - before[0], y - before[1])
            box = sprite.paint(canvas, owner, i, (x, y), height, smear, subject.gain)
            poses[i] = (box, height, float(np.hypot(*smear)))
        for occluder, colour in zip(scene.occluders, self._texture, strict=True):
            share = index / max(scene.frames - 1, 1)
            x, y = ((1 - share) * a + share * b for a, b in zip(occluder.start, occluder.end, strict=True))
            w, h = occluder.size
            region = _clip((x - w / 2, y - h / 2, x + w / 2, y + h / 2), scene)
            canvas[region] = colour
            owner[region] = -1
        canvas = self._exposed(canvas, index)
        return canvas, tuple(self._truth(i, *poses[i], canvas, owner) for i in sorted(poses))

    def _background(self, index: int) -> Picture:
        backdrop = self._backdrop
        if len(backdrop) > 1:
            period = 2 * len(backdrop) - 2
            step = index % period
            frame = backdrop[min(step, period - step)]
        else:
            frame = backdrop[0]
        if not self._scene.shake:
            return frame.copy()
        drift = self._scene.shake * np.array([np.sin(index / 23), np.sin(index / 31 + 1)])
        move = np.array([[1, 0, drift[0]], [0, 1, drift[1]]], np.float32)
        size = (self._scene.width, self._scene.height)
        return cv2.warpAffine(frame, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    def _exposed(self, canvas: Picture, index: int) -> Picture:
        """The picture as a sensor gives it: dimmed, then noisy."""
        noise = np.roll(self._noise[index % 6], (index * 37) % self._scene.width, axis=1)
        if self._scene.gain != 1:
            canvas = cv2.convertScaleAbs(canvas, alpha=self._scene.gain)
        return np.clip(canvas + noise, 0, 255).astype(np.uint8)

    def _truth(
        self, i: int, box: Box, height: float, blur: float, canvas: Picture, owner: NDArray[np.int16]
    ) -> TrueBox:
        region = _clip(box, self._scene)
        seen = owner[region] == i
        area = max((box[2] - box[0]) * (box[3] - box[1]), 1.0)
        luma = canvas[region] @ np.array([0.299, 0.587, 0.114])
        rounded = tuple(round(v, 2) for v in box)
        return TrueBox(
            id=i,
            kind=self._sprites[i].kind,
            box=rounded,  # type: ignore[arg-type]
            visible=round(min(float(seen.sum()) / area, 1.0), 3),
            height=round(height, 2),
            blur=round(blur, 2),
            brightness=round(float(luma.mean()), 1) if luma.size else 0.0,
        )


class _Sprite:
    """A cut-out that can be painted at any place and size."""

    def __init__(self, cutout: Cutout) -> None:
        self.kind = cutout.kind
        self._box = np.array(cutout.box)
        # Halved copies: shrinking by more than two in one step would alias.
        self._levels = [cutout.rgba]
        while min(self._levels[-1].shape[:2]) > 16:
            h, w = self._levels[-1].shape[:2]
            self._levels.append(cv2.resize(self._levels[-1], (w // 2, h // 2), interpolation=cv2.INTER_AREA))

    def paint(
        self,
        canvas: Picture,
        owner: NDArray[np.int16],
        label: int,
        centre: tuple[float, float],
        height: float,
        smear: tuple[float, float],
        gain: float,
    ) -> Box:
        """Blends it into `canvas` with its box's middle at `centre`; returns the box."""
        scale = height / (self._box[3] - self._box[1])
        level = min(max(int(np.floor(np.log2(1 / scale))), 0), len(self._levels) - 1) if scale < 1 else 0
        source = self._levels[level]
        full_h, full_w = self._levels[0].shape[:2]
        ratio = np.array([full_w / source.shape[1], full_h / source.shape[0]]) * scale
        origin = np.array(centre) - (self._box[:2] + self._box[2:]) / 2 * scale
        margin = int(np.ceil(np.hypot(*smear) / 2)) + 1
        low = np.floor(origin).astype(int) - margin
        high = np.ceil(origin + np.array([full_w, full_h]) * scale).astype(int) + margin
        # Half pixels: centres of pixels stay centres of pixels.
        shift = origin - low + ratio / 2 - 0.5
        move = np.array([[ratio[0], 0, shift[0]], [0, ratio[1], shift[1]]], np.float32)
        patch = cv2.warpAffine(source, move, (int(high[0] - low[0]), int(high[1] - low[1])), flags=cv2.INTER_LINEAR)
        patch = _smeared(patch, smear)
        box = np.concatenate([origin + self._box[:2] * scale, origin + self._box[2:] * scale])
        _blend(canvas, owner, patch, low, gain)
        mine = owner[_clip(tuple(box), canvas)]
        mine[...] = label
        return float(box[0]), float(box[1]), float(box[2]), float(box[3])


def _blend(
    canvas: Picture, owner: NDArray[np.int16], patch: NDArray[np.uint8], low: Sequence[int], gain: float
) -> None:
    height, width = canvas.shape[:2]
    x1, y1 = max(low[0], 0), max(low[1], 0)
    x2, y2 = min(low[0] + patch.shape[1], width), min(low[1] + patch.shape[0], height)
    if x1 >= x2 or y1 >= y2:
        return
    part = patch[y1 - low[1] : y2 - low[1], x1 - low[0] : x2 - low[0]].astype(np.float32)
    target = canvas[y1:y2, x1:x2]
    mixed = part[..., :3] * gain + target * (1 - part[..., 3:] / 255)
    target[...] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    owner[y1:y2, x1:x2][part[..., 3] > 128] = -1


def _smeared(patch: NDArray[np.uint8], smear: tuple[float, float]) -> NDArray[np.uint8]:
    """Blurs along the way the subject went while the shutter was open."""
    length = float(np.hypot(*smear))
    if length < 1:
        return patch
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    middle = (side - 1) / 2
    for step in np.linspace(-0.5, 0.5, 4 * side):
        kernel[round(middle + step * smear[1]), round(middle + step * smear[0])] += 1
    return cv2.filter2D(patch, -1, kernel / kernel.sum(), borderType=cv2.BORDER_CONSTANT)


def _fitted(frame: Picture, scene: SceneSpec) -> Picture:
    """Covers the scene's size without distortion."""
    h, w = frame.shape[:2]
    scale = max(scene.width / w, scene.height / h)
    size = (max(scene.width, round(w * scale)), max(scene.height, round(h * scale)))
    resized = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (size[1] - scene.height) // 2, (size[0] - scene.width) // 2
    return np.ascontiguousarray(resized[top : top + scene.height, left : left + scene.width])


def _clip(box: Sequence[float], area: SceneSpec | Picture) -> tuple[slice, slice]:
    """The whole pixels of a box inside the picture, as slices of rows and columns."""
    height, width = (area.height, area.width) if isinstance(area, SceneSpec) else area.shape[:2]
    x1, x2 = (int(np.clip(round(v), 0, width)) for v in (box[0], box[2]))
    y1, y2 = (int(np.clip(round(v), 0, height)) for v in (box[1], box[3]))
    return slice(y1, y2), slice(x1, x2)
