"""A video whose every frame says which one it is, and where the face and the plate in it are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.samples import sample
from tests.support.frames import luma
from tests.support.similarity import CLEAR, region_similarity

WIDTH, HEIGHT, RATE = 640, 360, 10
_ROOT = Path(__file__).resolve().parents[2]
_FACES = _ROOT / "tests" / "support" / "carphone_faces.json"
_PLATES = _ROOT.parent / "shared" / "data" / "plates" / "us"
_PLATE = "0026.jpg"
_FACE_AT, _FACE_SCALE = (8, 40), 2
_PLATE_WIDTH = 240
_BITS = 10
_STRIP = 24  # height of the number's strip at the upper edge: the badge is at the lower one
_GREY = 96

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class TruthVideo:
    """A video without B-frames, a keyframe each second, and the boxes of its frames.

    Attributes:
        path: of the file.
        boxes: (frames, subjects, 4) float64, x1, y1, x2, y2 in pixels: the face, then the plate where there is one.
    """

    path: Path
    boxes: NDArray[np.float64]

    @cached_property
    def planes(self) -> Sequence[Picture]:
        """Luma of every frame, as a decoder gives it."""
        return luma(self.path)

    def exposed(self, number: int, plane: Picture) -> int:
        """How many subjects of frame `number` can be made out in `plane`, a masked luma plane of it."""
        source = self.planes[number]
        return sum(region_similarity(source, plane, box) >= CLEAR for box in self.boxes[number])


def truth_video(
    path: Path, *, codec: str = "libx264", width: int = WIDTH, rounds: int = 1, rate: int = RATE
) -> TruthVideo:
    """Writes the video to `path`, or finds it there: 24 s at the usual rate, whose end leads into their beginning.

    The plate comes from pictures beside the repository; without them there is only the face.

    Args:
        codec: FFmpeg's name of an encoder.
        width: of the pictures, a multiple of 32; the height follows at 16:9.
        rounds: how often it plays; frames of a later round carry the numbers of the first.
        rate: frames per second.
    """
    drawn = [_frame(number) for number in range(2 * len(_faces()) - 2)]
    boxes = np.array([box for _, box in drawn]) * (width / WIDTH)
    if not path.exists():
        part = path.with_suffix(".part" + path.suffix)
        _write(part, [picture for picture, _ in drawn] * rounds, codec, width, rate)
        part.rename(path)
    return TruthVideo(path, boxes)


def number_of(plane: Picture) -> int | None:
    """The number in a frame's strip; None where it can't be read, as in a closed frame."""
    height, width = plane.shape
    strip = plane[height * _STRIP // HEIGHT // 4 : height * _STRIP // HEIGHT * 3 // 4]
    edges = np.linspace(0, width, 2 * _BITS + 1).astype(int)
    blocks = [strip[:, a + (b - a) // 4 : b - (b - a) // 4].mean() for a, b in pairwise(edges)]
    if any(60 < block < 190 for block in blocks):
        return None
    bits = [block > 125 for block in blocks]
    if any(bit == check for bit, check in zip(bits[:_BITS], bits[_BITS:], strict=True)):
        return None
    return sum(bit << place for place, bit in enumerate(bits[:_BITS]))


@cache
def _faces() -> list[list[float]]:
    return list(json.loads(_FACES.read_text()))


@cache
def _frame(number: int) -> tuple[Picture, list[NDArray[np.float64]]]:
    """BGR picture and boxes of one frame. The clip runs forward, then back: it has no cut."""
    faces = _faces()
    at = number if number < len(faces) else 2 * len(faces) - 2 - number
    canvas = np.full((HEIGHT, WIDTH, 3), _GREY, np.uint8)
    clip = cv2.resize(_clip()[at], None, fx=_FACE_SCALE, fy=_FACE_SCALE, interpolation=cv2.INTER_CUBIC)
    x, y = _FACE_AT
    canvas[y : y + clip.shape[0], x : x + clip.shape[1]] = clip
    boxes = [np.array(faces[at]) * _FACE_SCALE + [x, y, x, y]]
    if (plate := _plate()) is not None:
        picture, box = plate
        x, y = WIDTH - _PLATE_WIDTH - 12, 40 + round(60 * at / len(faces))
        canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        boxes.append(box + np.array([x, y, x, y]))
    for place in range(2 * _BITS):
        bit = (number >> place % _BITS & 1) ^ (place >= _BITS)
        left, right = WIDTH * place // (2 * _BITS), WIDTH * (place + 1) // (2 * _BITS)
        canvas[:_STRIP, left:right] = 235 if bit else 16
    return canvas, boxes


@cache
def _clip() -> list[Picture]:
    with av.open(str(sample("carphone_pristine.mp4"))) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


@cache
def _plate() -> tuple[Picture, NDArray[np.float64]] | None:
    path = _PLATES / _PLATE
    if not path.exists():
        return None
    box = np.array(json.loads((_PLATES / "truth.json").read_text())[_PLATE][0]["box"])
    picture = cv2.imread(str(path))
    assert picture is not None, path
    width = box[2] - box[0]
    left, top = (max(0, int(box[0] - 1.1 * width)), max(0, int(box[1] - 0.9 * width)))
    right, bottom = int(box[2] + 1.1 * width), int(box[3] + 0.9 * width)
    crop = picture[top:bottom, left:right]
    scale = _PLATE_WIDTH / crop.shape[1]
    small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8), (box - [left, top, left, top]) * scale


def _write(path: Path, pictures: Sequence[Picture], codec: str, width: int, rate: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = width, width * HEIGHT // WIDTH, "yuv420p"
        stream.gop_size = rate
        stream.max_b_frames = 0
        stream.options = {"crf": "18", "preset": "veryfast", "x265-params": "log-level=error:bframes=0"}
        for picture in pictures:
            scaled = cv2.resize(picture, (stream.width, stream.height), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scaled, format="bgr24")))
        container.mux(stream.encode(None))
