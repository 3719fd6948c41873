"""Masked pictures and their messages, as the renderer would send them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import VIDEO_RENDERED
from services.media.picture import Picture
from services.schema import pb

CAMERA, EPOCH = "gate", 1_700_000_000_000_000


def planes(number: int, width: int = 160, height: int = 96) -> NDArray[np.uint8]:
    """An I420 picture with a moving pattern whose mean luma is told by `luma_of`."""
    data = np.full((height * 3 // 2, width), 128, np.uint8)
    columns = np.arange(width)
    data[:height] = 40 + (columns + 3 * number) % 64
    data[: height // 2] = 40 + number * 5 % 160
    return data


def luma_of(number: int) -> int:
    """Luma of the upper half of `planes(number)`."""
    return 40 + number * 5 % 160


def picture(number: int, width: int = 160, height: int = 96, *, full_range: bool = False) -> Picture:
    return Picture(planes(number, width, height), full_range)


def noise(number: int) -> Picture:
    """A picture that compresses badly."""
    return Picture(np.random.default_rng(number).integers(16, 235, (144, 160), np.uint8))


def frame(seq: int, pts: int, time_base: Fraction, **fields: object) -> pb.RenderedFrame:
    base: dict[str, object] = {
        "camera_id": CAMERA,
        "epoch": EPOCH,
        "seq": seq,
        "pts": pts,
        "time_base_num": time_base.numerator,
        "time_base_den": time_base.denominator,
        "width": 160,
        "height": 96,
        "frame_rate": 25.0,
        "attached": True,
    }
    if "dropped" in fields or "jpeg" in fields:
        del base["attached"]
    return pb.RenderedFrame(**(base | fields))


def frames(times: Sequence[int], time_base: Fraction, last_duration: int, **fields: object) -> list[pb.RenderedFrame]:
    """One frame for each pts; each lasts up to the next."""
    durations = [later - pts for pts, later in pairwise(times)] + [last_duration]
    return [
        frame(seq, pts, time_base, duration=duration, **fields)
        for seq, (pts, duration) in enumerate(zip(times, durations, strict=True))
    ]


def end_of(count: int, reason: pb.EndOfStream.Reason = pb.EndOfStream.FINISHED, epoch: int = EPOCH) -> pb.EndOfStream:
    return pb.EndOfStream(camera_id=CAMERA, epoch=epoch, frames=count, reason=reason)


class Messages:
    """Numbers messages as the one partition of video.rendered would."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(
        self, body: pb.RenderedFrame | pb.AudioUnit | pb.EndOfStream, pixels: NDArray[np.uint8] | None = None
    ) -> Message:
        if isinstance(body, pb.RenderedFrame):
            rendered = pb.RenderedMessage(frame=body)
            if body.attached and pixels is None:
                pixels = planes(body.seq, body.width, body.height)
        elif isinstance(body, pb.AudioUnit):
            rendered = pb.RenderedMessage(audio=body)
        else:
            rendered = pb.RenderedMessage(end=body)
        record = Record(VIDEO_RENDERED, body.camera_id, rendered.SerializeToString(), pixels)
        position = Position(TopicPartition(VIDEO_RENDERED.name, 0), self.offset)
        self.offset += 1
        return Message(record, position, 0)

    def all(self, bodies: Iterable[pb.RenderedFrame | pb.AudioUnit | pb.EndOfStream]) -> list[Message]:
        return [self(body) for body in bodies]
