"""Masked videos in which a face or a plate is left open for a while, with the place of everything known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.encoding import H264Encoder, H264Options
from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture
from services.schema import pb
from tests.support.scene_sources import package_sources
from tests.support.scenes import SceneSpec, Subject, TrueBox, Truth, VideoWriter, generate

FPS = 25
SIZE = (640, 360)
EPOCH = 1_700_000_000_000_000
_PADDING = 0.25

SCENE = SceneSpec(
    name="leak",
    width=SIZE[0],
    height=SIZE[1],
    frames=6 * FPS,
    background="street",
    subjects=(
        Subject(0, 0, 149, (180, 150), (260, 160), (56, 60)),
        Subject(3, 0, 149, (420, 240), (460, 240), (28, 28)),
    ),
    noise=1.0,
)
"""A face and a plate, which are there all the time."""


@dataclass(frozen=True)
class Leak:
    """What is left open: a kind, from one frame up to another."""

    kind: str
    frames: range


@lru_cache(maxsize=1)
def _scene() -> tuple[list[NDArray[np.uint8]], Truth]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        truth = generate(path, SCENE, package_sources())
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)], truth


def boxes(number: int) -> tuple[TrueBox, ...]:
    """What is where in a frame."""
    return _scene()[1].frames[number]


def masked_pictures(leaks: Sequence[Leak] = (), mode: str = "mosaic") -> Iterator[Picture]:
    """The scene, everything masked by the product's masks but for the leaks."""
    shades = Shades()
    frames, truth = _scene()
    for number, (data, found) in enumerate(zip(frames, truth.frames, strict=True)):
        picture = Picture(data.copy())
        open_kinds = {leak.kind for leak in leaks if number in leak.frames}
        hidden = [box for box in found if box.kind not in open_kinds]
        corners = np.array([box.box for box in hidden], np.float64).reshape(-1, 4)
        bounds = outer_bounds(corners, np.full(len(hidden), _PADDING), picture.width, picture.height)
        mask(picture, bounds, [box.id for box in hidden], [mode] * len(hidden), 1.0, shades)
        yield picture


def write_masked(path: Path, leaks: Sequence[Leak] = (), mode: str = "mosaic") -> Path:
    """Writes the masked scene as a video."""
    with VideoWriter(path, *SIZE, FPS) as writer:
        for picture in masked_pictures(leaks, mode):
            writer.write(cv2.cvtColor(picture.data, cv2.COLOR_YUV2RGB_I420))
    return path


def redacted_units(
    pictures: Sequence[Picture], camera: str = "gate", epoch: int = EPOCH, *, live: bool = False
) -> list[pb.RedactedUnit]:
    """The pictures as an encoder sends them, an IDR picture every second; with B-frames unless they are live."""
    options = H264Options("ultrafast" if live else "veryfast", 23, 1, 1.0)
    encoder = H264Encoder(*SIZE, Fraction(1, FPS), frame_rate=FPS, live=live, options=options)
    encoded = [unit for number, picture in enumerate(pictures) for unit in encoder.encode(picture, number)]
    return [
        pb.RedactedUnit(
            camera_id=camera, epoch=epoch, seq=unit.pts, keyframe=unit.keyframe, pts=unit.pts, dts=unit.dts, duration=1,
            time_base_num=1, time_base_den=FPS, width=SIZE[0], height=SIZE[1], payload=unit.payload,
        )
        for unit in (*encoded, *encoder.flush())
    ]  # fmt: skip
