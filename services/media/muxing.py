"""Puts redacted access units and sound into a container file, packet by packet, without touching either."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol, cast

import av
from av.audio.codeccontext import AudioCodecContext

from services.media.marking import MARK_TEXT
from services.media.sink import SinkError, sink_errors
from services.schema import pb

_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}
_ENCODER_OF = {"mp3float": "mp3", "opus": "libopus", "aac_fixed": "aac", "ac3_fixed": "ac3"}


class Writer(Protocol):
    """Takes the bytes of a container in order; it can't be sought in."""

    def write(self, data: bytes, /) -> int:
        """Takes all of it. Raises OSError."""


class Muxer:
    """One container file.

    Args:
        path: of the file, or what takes its bytes.
        container: FFmpeg's name of the format: mp4, matroska, mpegts.
        video: any access unit of the stream: its size and time base are written down.
        audio: any packet of the sound, None where there is none.
        options: of the container.
        tags: metadata beside the mark that says the picture was redacted.
        shown: what error messages call the file.
    """

    def __init__(
        self,
        path: str | Writer,
        container: str,
        video: pb.RedactedUnit,
        audio: pb.AudioUnit | None,
        options: Mapping[str, str],
        tags: Mapping[str, str],
        shown: str,
    ) -> None:
        self._shown = shown
        self._over = False
        self._container = av.open(path, "w", format=container, options=dict(options))
        self._container.metadata.update({"comment": MARK_TEXT, **tags})
        self._time_base = Fraction(video.time_base_num, video.time_base_den)
        self._video = self._container.add_mux_stream(
            "h264", width=video.width, height=video.height, time_base=self._time_base
        )
        self._audio = self._add_audio(audio) if audio is not None else None

    def write(self, unit: pb.RedactedUnit, offset: int = 0) -> None:
        """Writes an access unit, its times moved by `offset` ticks of its time base. Raises SinkError."""
        packet = self._packet(unit.payload, self._video, unit.pts + offset, unit.dts + offset, unit.duration)
        packet.time_base = self._time_base
        packet.is_keyframe = unit.keyframe
        self._mux(packet)

    def write_audio(self, unit: pb.AudioUnit, offset: int = 0) -> None:
        """Writes a packet of sound, its times moved by `offset` ticks of its time base. Raises SinkError."""
        if self._audio is None:
            return
        packet = self._packet(unit.inline, self._audio, unit.pts + offset, unit.dts + offset, unit.duration)
        packet.time_base = Fraction(unit.time_base_num, unit.time_base_den)
        packet.is_keyframe = True
        self._mux(packet)

    def close(self) -> None:
        """Writes what the format keeps for the end. Raises SinkError."""
        self._over = True
        with sink_errors(self._shown):
            self._container.close()

    def _mux(self, packet: "av.Packet[Any]") -> None:
        # FFmpeg crashes the process if it is given a packet after its trailer was tried.
        if self._over:
            raise SinkError(f"can't write {self._shown}: it was closed")
        try:
            with sink_errors(self._shown):
                self._container.mux_one(packet)
        except SinkError:
            self._over = True
            raise

    def _add_audio(self, unit: pb.AudioUnit) -> av.AudioStream:
        # PyAV copies stream parameters from an open codec context only: an encoder is opened for its parameters,
        # never used, and given the source's own extradata.
        codec = _ENCODER_OF.get(unit.codec, unit.codec)
        try:
            stream = self._container.add_stream(codec, rate=unit.sample_rate)
            context = cast(AudioCodecContext, stream.codec_context)
            context.layout = _LAYOUTS[unit.channels]
            context.open()
        except (ValueError, KeyError, av.FFmpegError) as error:
            raise SinkError(
                f"{self._shown} can't hold {unit.codec} sound with {unit.channels} channels at {unit.sample_rate} Hz; "
                "write a .mov file, or let the policy drop sound"
            ) from error
        context.extradata = unit.extradata or None
        stream.time_base = Fraction(unit.time_base_num, unit.time_base_den)
        return cast(av.AudioStream, stream)

    @staticmethod
    def _packet(payload: bytes, stream: Any, pts: int, dts: int, duration: int) -> "av.Packet[Any]":
        packet = av.Packet(payload)
        packet.stream, packet.pts, packet.dts, packet.duration = stream, pts, dts, duration
        return packet
