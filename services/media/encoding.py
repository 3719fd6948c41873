"""H.264 encoding of planar pictures: Annex B access units, parameter sets and the redaction mark at every IDR."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
from av.video.frame import PictureType

from services.media.marking import insert_mark
from services.media.picture import Picture

_LIMITED_RANGE, _FULL_RANGE = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_GUESSED_RATE = 25.0

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"]


@dataclass(frozen=True, slots=True)
class H264Options:
    """How pictures are compressed. The defaults are chosen on the table in services/encoder/README.md.

    Attributes:
        preset: x264's name for its trade of CPU against bytes.
        crf: constant quality, 0–51; lower is better and larger.
        threads: encoder threads.
        keyframe_s: longest distance between two IDR pictures, in seconds of the stream.
    """

    preset: Preset = "veryfast"
    crf: float = 23
    threads: int = 1
    keyframe_s: float = 2.0


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One access unit: Annex B payload, times in the encoder's time base."""

    payload: bytes
    pts: int
    dts: int
    keyframe: bool


class H264Encoder:
    """Compresses the pictures of one stream, all of one size.

    A file is compressed with B-frames and look-ahead, which saves a third of the bytes and delays each access unit by
    about ten pictures; a live stream gets each access unit at once, in presentation order.

    Args:
        width, height: of every picture, even.
        time_base: of every pts; kept exactly.
        frame_rate: mean pictures per second, 0 if unknown; steers rate control only.
        full_range: luma spans 0–255.
        live: no delay.
        options: quality and cost.
    """

    def __init__(
        self,
        width: int,
        height: int,
        time_base: Fraction,
        *,
        frame_rate: float = 0.0,
        full_range: bool = False,
        live: bool = False,
        options: H264Options | None = None,
    ) -> None:
        options = options or H264Options()
        rate = frame_rate if frame_rate > 0 else _GUESSED_RATE
        self.width, self.height, self.full_range = width, height, full_range
        self._time_base = time_base
        self._keyframe_ticks = options.keyframe_s / time_base
        self._next_keyframe = float("-inf")
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base, codec.framerate = time_base, Fraction(rate).limit_denominator(1001)
        codec.color_range = _FULL_RANGE if full_range else _LIMITED_RANGE
        codec.thread_count = options.threads
        # IDR pictures are forced by time, below; x264's own counter only catches what a wrong frame rate lets through.
        codec.gop_size = max(1, round(2 * rate * options.keyframe_s))
        codec.options = {"preset": options.preset, "crf": str(options.crf), "forced-idr": "1"}
        if live:
            codec.options["tune"] = "zerolatency"
        codec.open()
        self._codec = codec

    def fits(self, picture: Picture) -> bool:
        """Whether the picture has the stream's size and range."""
        return (picture.width, picture.height, picture.full_range) == (self.width, self.height, self.full_range)

    def encode(self, picture: Picture, pts: int) -> list[EncodedPicture]:
        """Takes one picture, whose pts exceeds the one before; returns the access units that are ready, if any."""
        if not self.fits(picture):
            raise ValueError(f"a {picture.width}×{picture.height} picture in a {self.width}×{self.height} stream")
        # Without a copy PyAV takes heights for multiples of four: others lose two lines, and colours slip down.
        make = av.VideoFrame.from_ndarray if picture.height % 4 else av.VideoFrame.from_numpy_buffer
        frame = make(picture.data, format="yuv420p")
        frame.pts, frame.time_base = pts, self._time_base
        if pts >= self._next_keyframe:
            frame.pict_type = PictureType.I
            self._next_keyframe = pts + self._keyframe_ticks
        return [self._finished(packet) for packet in self._codec.encode(frame)]

    def flush(self) -> list[EncodedPicture]:
        """The access units still inside. Nothing can be encoded afterwards."""
        return [self._finished(packet) for packet in self._codec.encode(None)]

    def _finished(self, packet: "av.Packet[Any]") -> EncodedPicture:
        if packet.pts is None or packet.dts is None:
            raise RuntimeError("the encoder returned a picture without time")
        payload = bytes(packet)
        if packet.is_keyframe:
            payload = insert_mark(payload)
            self._next_keyframe = max(self._next_keyframe, packet.pts + self._keyframe_ticks)
        return EncodedPicture(payload, packet.pts, packet.dts, packet.is_keyframe)
