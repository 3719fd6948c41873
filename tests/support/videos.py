"""Small synthetic videos whose every picture carries its own number in blocks large enough to survive compression."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 12
Painter = Callable[[int, int, int], NDArray[np.uint8]]
"""number, width, height → RGB (height, width, 3)."""


def paint_numbered(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A slowly moving pattern below a band that spells `number` in black and white blocks, highest bit at the left."""
    picture = np.empty((height, width, 3), np.uint8)
    rows, columns = np.ogrid[:height, :width]
    picture[..., 0] = 64 + (columns + 2 * number) % 128
    picture[..., 1] = 64 + (rows + number) % 128
    picture[..., 2] = 96
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        picture[: height // 4, left:right] = 235 if number >> (BITS - 1 - bit) & 1 else 16
    return picture


def read_number(luma: NDArray[np.uint8]) -> int:
    """The number that `paint_numbered` put into a picture; `luma` is (height, width)."""
    height, width = luma.shape
    number = 0
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        margin = max(1, (right - left) // 4)
        block = luma[height // 16 : height // 5, left + margin : right - margin]
        number = number << 1 | int(block.mean() > 125)
    return number


def make_video(
    path: Path,
    *,
    frames: int = 25,
    size: tuple[int, int] = (192, 128),
    codec: str = "libx264",
    fps: int = 25,
    b_frames: int = 0,
    gop: int = 12,
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotation: int = 0,
    audio: bool = False,
    format: str | None = None,  # noqa: A002 (PyAV's own name)
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    paint: Painter = paint_numbered,
) -> Path:
    """Writes a video and returns its path; the container follows from the suffix.

    Args:
        size: width and height as shown, after rotation.
        pts: one per frame, in `time_base` (default 1/fps each).
        rotation: clockwise degrees that a player must turn the stored pictures by; a multiple of 90.
        audio: adds a sine tone of the same length, AAC.
        options: for the encoder; win over those that this function sets.
        container_options: for the muxer.
    """
    base = time_base or Fraction(1, fps)
    times = list(pts) if pts is not None else list(range(frames))
    stored = size if rotation % 180 == 0 else size[::-1]
    with av.open(path, "w", format=format, options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = stored
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = base
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if codec not in ("mjpeg", "rawvideo"):
            stream.codec_context.max_b_frames = b_frames
        stream.codec_context.options = _encoder_options(codec, gop, b_frames) | dict(options or {})
        if rotation:
            stream.set_display_rotation(-rotation)
        sound = container.add_stream("aac", rate=48000, layout="mono") if audio else None
        for number, time in enumerate(times):
            picture = np.ascontiguousarray(np.rot90(paint(number, *size), rotation // 90))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = time, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _add_tone(container, sound, seconds=float((times[-1] + 1) * base))
    return path


def _encoder_options(codec: str, gop: int, b_frames: int) -> dict[str, str]:
    if codec == "libx264":
        parameters = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:threads=1"
        return {"preset": "veryfast", "crf": "20", "x264-params": parameters}
    if codec == "libx265":
        parameters = f"keyint={gop}:min-keyint={gop}:bframes={b_frames}:log-level=none:pools=none:frame-threads=1"
        return {"preset": "ultrafast", "x265-params": parameters}
    return {"q": "4"}


def _add_tone(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    count = 1024
    for start in range(0, int(seconds * 48000), count):
        wave = 0.2 * np.sin(np.arange(start, start + count) * (2 * np.pi * 440 / 48000))
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
