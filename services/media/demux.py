"""Reading a source: its stream description and its access units, numbered in presentation order."""

from __future__ import annotations  # PyAV's packets are generic for the type checker only

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import av
from av.codec.context import ThreadType
from av.video.stream import VideoStream

from services.media.decoding import is_full_range, number_of, packet_of, video_context
from services.media.order import OrderByDecoding, OrderByPts, SourceUnit
from services.media.sources import SourceError, masked, open_container, source_errors, video_stream
from services.schema.veil.v1.veil_pb2 import StreamInfo

_Packet: TypeAlias = "av.Packet[Any]"

# Compressed pictures read ahead at most until the first one can be decoded.
_MOST_PRELUDE = 300
# Less than that is missing from files that are whole, too: the last picture's duration is a guess.
_SHORT_S = 1.0

# What the line can pass on: the decoder has all it needs in StreamInfo.
CODECS = frozenset(
    {"h264", "hevc", "libdav1d", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "msmpeg4v2", "vp8", "vp9"}
)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a player needs to know of a sound stream."""

    codec: str
    extradata: bytes
    sample_rate: int
    channels: int
    time_base_num: int
    time_base_den: int


@dataclass(frozen=True, slots=True)
class SourceSound:
    """One compressed packet of sound; `index` counts them within the epoch."""

    payload: bytes = field(repr=False)
    index: int
    pts: int
    dts: int
    duration: int


class Demuxer:
    """One opened source.

    Attributes:
        info: description of the video stream; `rotation`, sizes and range come from its first decoded picture.
        audio: the first sound stream, None without one.

    Args:
        sound: read the sound stream as well.

    Raises SourceError on construction if the source can't be opened, holds no video, or a codec that is not supported.
    """

    def __init__(
        self, url: str, *, live: bool, sound: bool = False, open_timeout_s: float = 10.0, read_timeout_s: float = 10.0
    ) -> None:
        self._name = masked(url)
        self._url = url
        self._live = live
        self._container = open_container(url, open_timeout_s, read_timeout_s)
        self._prelude: deque[_Packet] = deque()
        self._sound_packets = 0
        self._read_units = 0
        self._end_s = 0.0
        self._last_damaged = False
        try:
            self._stream = video_stream(self._container, url)
            tracks = self._container.streams.audio
            self._audio_stream = tracks[0] if sound and tracks else None
            streams: list[Any] = [self._stream] + ([self._audio_stream] if self._audio_stream else [])
            self._packets: Iterator[_Packet] = self._container.demux(*streams)
            self.info = self._describe()
            self.audio = _audio_format(self._audio_stream) if self._audio_stream else None
            self._order = self._make_order()
            if live:
                self._date_first()
        except BaseException:
            self._container.close()
            raise

    def units(self, stop: Callable[[], bool] = lambda: False) -> Iterator[SourceUnit | SourceSound]:
        """Access units in decoding order, with the sound between them as it was read.

        Ends with the source, or once `stop` says so. Raises SourceError if the source breaks off, after the last unit
        that could be read.
        """
        broken: SourceError | None = None
        started = False
        while not stop():
            try:
                packet = self._next_packet()
            except SourceError as error:
                broken = error
                break
            if packet is None:
                break
            if packet.stream_index != self._stream.index:
                yield self._sound(packet)
                continue
            if not started and self._live and not packet.is_keyframe:
                continue
            self._read_units += 1
            self._end_s = max(self._end_s, _end_s(packet))
            self._last_damaged = packet.is_corrupt
            # A file's first picture is taken for a keyframe: were it none, decoding shows it and the frames count.
            yield from self._order.push(self._unit(packet, keyframe=packet.is_keyframe or not started))
            started = True
        yield from self._order.flush()
        if broken is None and not self._live and not stop():
            broken = self._shortfall()
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Releases the source."""
        self._container.close()

    def _next_packet(self) -> _Packet | None:
        if self._prelude:
            return self._prelude.popleft()
        return self._read()

    def _read(self) -> _Packet | None:
        with source_errors(self._url):
            while (packet := next(self._packets, None)) is not None:
                if packet.size:
                    return packet
        return None

    def _shortfall(self) -> SourceError | None:
        """What a file that was cut off still says of itself: it ends like any other."""
        if self._container.format.name.startswith("mov") and self._read_units < self._stream.frames:
            return SourceError(f"{self._name}: ends after {self._read_units} of {self._stream.frames} frames.")
        if self._last_damaged:
            return SourceError(f"{self._name}: cut off in frame {self._read_units}.")
        told_s = _told_duration_s(self._stream.metadata.get("DURATION", ""))
        if self._container.format.name.startswith("matroska") and self._end_s < told_s - _SHORT_S:
            return SourceError(f"{self._name}: ends after {self._end_s:.1f} of {told_s:.1f} seconds.")
        return None

    def _unit(self, packet: _Packet, keyframe: bool) -> SourceUnit:
        return SourceUnit(
            payload=bytes(packet),
            keyframe=keyframe,
            pts=packet.pts,
            dts=packet.dts,
            duration=packet.duration or 0,
            captured_us=time.time_ns() // 1000,
            damaged=packet.is_corrupt,
        )

    def _sound(self, packet: _Packet) -> SourceSound:
        pts = packet.pts if packet.pts is not None else packet.dts or 0
        dts = packet.dts if packet.dts is not None else pts
        self._sound_packets += 1
        return SourceSound(bytes(packet), self._sound_packets - 1, pts, dts, packet.duration or 0)

    def _describe(self) -> StreamInfo:
        context = self._stream.codec_context
        if context.name not in CODECS:
            raise SourceError(f"{self._name}: its codec {context.name} is not supported.")
        # Taken first: decoding may replace it.
        extradata = bytes(context.extradata or b"")
        frame = self._first_frame()
        width, height = (frame.width, frame.height) if frame else (context.width, context.height)
        if not width or not height:
            raise SourceError(f"{self._name}: no picture in it could be decoded.")
        rotation = -frame.rotation % 360 // 90 * 90 if frame else 0
        upright = (width, height) if rotation % 180 == 0 else (height, width)
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        assert self._stream.time_base is not None  # noqa: S101 (demuxed streams have one)
        return StreamInfo(
            codec=context.name,
            extradata=extradata,
            width=upright[0] + upright[0] % 2,
            height=upright[1] + upright[1] % 2,
            rotation=rotation,
            time_base_num=self._stream.time_base.numerator,
            time_base_den=self._stream.time_base.denominator,
            frame_rate=float(rate),
            live=self._live,
            full_range=bool(frame and is_full_range(frame)),
            coded_width=width,
            coded_height=height,
        )

    def _first_frame(self) -> av.VideoFrame | None:
        """Reads ahead to the first picture: rotation and colour range are only known from one."""
        context = self._stream.codec_context
        context.thread_count, context.thread_type = 1, ThreadType.NONE
        for packet in self._read_ahead():
            frames = _decoded(context, packet)
            if frames:
                return frames[0]
        frames = _decoded(context, None)
        return frames[0] if frames else None

    def _date_first(self) -> None:
        """RTSP leaves out the times of the first pictures: counts them back from the first that has one."""
        undated: list[_Packet] = []
        for packet in self._read_ahead():
            if packet.pts is not None:
                for places, earlier in enumerate(reversed(undated), start=1):
                    earlier.pts = earlier.dts = packet.pts - places * (packet.duration or 0)
                return
            undated.append(packet)

    def _read_ahead(self) -> Iterator[_Packet]:
        """The first packets of the video stream; `units` gives them again."""
        for at in range(_MOST_PRELUDE):
            if at == len(self._prelude):
                packet = self._read()
                if packet is None:
                    return
                self._prelude.append(packet)
            if self._prelude[at].stream_index == self._stream.index:
                yield self._prelude[at]

    def _make_order(self) -> OrderByPts | OrderByDecoding:
        # Neither raw streams nor AVI say when a reordered picture is shown; FFmpeg's guess for AVI is wrong for these.
        delay = self._stream.codec_context.reorder_depth
        untimed = self._container.format.name in ("avi", "h264", "hevc") and self.info.codec in ("h264", "hevc")
        if delay and untimed and not self._live:
            return OrderByDecoding(_Shown(self._stream), delay)
        second = max(1, self.info.time_base_den // self.info.time_base_num)
        return OrderByPts(second, reordered=delay > 0, live=self._live)


class _Shown:
    """Asks a decoder in which order it shows pictures."""

    def __init__(self, stream: VideoStream) -> None:
        source = stream.codec_context
        self._context = video_context(source.name, source.extradata or b"")
        self._context.thread_count, self._context.thread_type = 1, ThreadType.NONE

    def __call__(self, payload: bytes | None, index: int) -> list[int]:
        packet = None if payload is None else packet_of(payload, (index,))
        return [number_of(frame) for frame in _decoded(self._context, packet)]


def _end_s(packet: _Packet) -> float:
    """When the packet's picture ends, seconds in the stream's own time; 0 where it has no time."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _told_duration_s(tag: str) -> float:
    """Matroska's tag DURATION, such as 00:00:10.040000000; 0 where it says nothing."""
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0


def _decoded(context: av.VideoCodecContext, packet: _Packet | None) -> list[av.VideoFrame]:
    try:
        return context.decode(packet)
    except av.error.FFmpegError:
        return []


def _audio_format(stream: av.AudioStream) -> AudioFormat:
    context = stream.codec_context
    assert stream.time_base is not None  # noqa: S101 (demuxed streams have one)
    return AudioFormat(
        codec=context.codec.canonical_name,
        extradata=bytes(context.extradata or b""),
        sample_rate=context.sample_rate,
        channels=context.channels,
        time_base_num=stream.time_base.numerator,
        time_base_den=stream.time_base.denominator,
    )
