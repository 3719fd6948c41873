"""Redacted access units and packets of sound, as the encoder stage and the decoder would send them."""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from services.media.encoding import H264Encoder, H264Options
from services.media.picture import Picture
from services.schema import pb
from tests.support.rendered import CAMERA, EPOCH, picture

TIMELINES: dict[str, tuple[Fraction, list[int], int]] = {
    "25 fps": (Fraction(1, 12800), [512 * i for i in range(60)], 512),
    "29.97 fps": (Fraction(1001, 30000), list(range(60)), 1),
    "29.97 fps, last picture longer": (Fraction(1, 30000), [1001 * i for i in range(60)], 2500),
    "variable, late start": (
        Fraction(1, 90000),
        [6048 + int(t) for t in np.cumsum(np.random.default_rng(1).integers(1500, 9000, 60))],
        777,
    ),
}
"""name → time base, pts, duration of the last picture."""


def units(
    times: Sequence[int],
    time_base: Fraction,
    last_duration: int,
    *,
    live: bool = False,
    epoch: int = EPOCH,
    crf: float = 23,
    keyframe_s: float = 0.5,
    paint: Callable[[int], Picture] = picture,
) -> list[pb.RedactedUnit]:
    """Pictures 0, 1, … at these times, encoded, in decoding order."""
    options = H264Options("ultrafast" if live else "veryfast", crf, 1, keyframe_s)
    encoder = H264Encoder(160, 96, time_base, frame_rate=25, live=live, options=options)
    encoded = [unit for number, pts in enumerate(times) for unit in encoder.encode(paint(number), pts)]
    encoded += encoder.flush()
    durations = {pts: later - pts for pts, later in pairwise(times)} | {times[-1]: last_duration}
    numbers = {pts: number for number, pts in enumerate(times)}
    return [
        pb.RedactedUnit(
            camera_id=CAMERA,
            epoch=epoch,
            seq=numbers[unit.pts],
            keyframe=unit.keyframe,
            pts=unit.pts,
            dts=unit.dts,
            duration=durations[unit.pts],
            time_base_num=time_base.numerator,
            time_base_den=time_base.denominator,
            width=160,
            height=96,
            payload=unit.payload,
        )
        for unit in encoded
    ]


def tone(seconds: float, codec: str = "aac", rate: int = 48000) -> list[pb.AudioUnit]:
    """A sine tone in packets, as they lie in a file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="nut") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for start in range(0, int(seconds * rate), 960):
            wave = 8000 * np.sin(np.arange(start, start + 960) * (2 * np.pi * 440 / rate))
            frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        stream = container.streams.audio[0]
        return [
            pb.AudioUnit(
                camera_id=CAMERA,
                epoch=EPOCH,
                index=index,
                pts=packet.pts,
                dts=packet.dts,
                duration=packet.duration,
                time_base_num=stream.time_base.numerator,
                time_base_den=stream.time_base.denominator,
                codec=stream.codec_context.codec.canonical_name,
                extradata=bytes(stream.codec_context.extradata or b""),
                sample_rate=stream.codec_context.sample_rate,
                channels=1,
                inline=bytes(packet),
            )
            for index, packet in enumerate(packet for packet in container.demux(stream) if packet.size)
        ]


def interleaved(
    video: Sequence[pb.RedactedUnit], audio: Sequence[pb.AudioUnit]
) -> list[pb.RedactedUnit | pb.AudioUnit]:
    """Both in the order of their decoding times."""
    return sorted([*video, *audio], key=lambda unit: Fraction(unit.dts * unit.time_base_num, unit.time_base_den))


def times_of(path: Path | str, kind: str = "video") -> list[Fraction]:
    """Presentation time of every decoded frame, in seconds."""
    with av.open(str(path)) as container:
        return [
            Fraction(frame.pts) * frame.time_base
            for packet in container.demux(next(s for s in container.streams if s.type == kind))
            for frame in packet.decode()
        ]
