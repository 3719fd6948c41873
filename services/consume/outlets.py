"""Where tailed video goes: a pipe or stream file that goes on for ever, numbered files, an HLS folder, a server."""

import os
import time
from collections.abc import Callable
from fractions import Fraction
from io import FileIO
from pathlib import Path
from typing import Literal, Protocol

from services.consume.errors import ConsumeError
from services.media.file_sink import FileSink, part_of
from services.media.muxing import Muxer, Writer
from services.media.sink import Target, sink_errors
from services.media.sinks import open_sink
from services.schema import pb

StreamFormat = Literal["ts", "h264", "mp4", "mkv"]

_CONTAINERS = {"ts": "mpegts", "mp4": "mp4", "mkv": "matroska"}
_OPTIONS = {
    # Counters begin anew with each epoch, which the first packets say; decoding times are kept as they are.
    "ts": {"mpegts_flags": "initial_discontinuity", "mpegts_copyts": "1", "avoid_negative_ts": "disabled"},
    "mp4": {"movflags": "frag_keyframe+delay_moov+default_base_moof"},
    "mkv": {"live": "1"},
}
_GOES_ON: tuple[StreamFormat, ...] = ("ts", "h264")
_FIRST_S = Fraction(1)
_AHEAD_S = 0.5
_LONGEST_STEP_S = 2.0

Wait = Callable[[float], object]


class Segment(Protocol):
    """Takes the access units of one epoch that have one size. Every sink of services/media is one."""

    @property
    def shed(self) -> int:
        """Access units left out because the other side was too slow or away."""

    def write(self, unit: pb.RedactedUnit) -> None:
        """Takes the next access unit. Raises SinkError."""

    def finish(self) -> None:
        """All were written. Raises SinkError."""

    def join(self, timeout_s: float) -> None:
        """Waits until what was taken has gone out."""


class Outlet(Protocol):
    """Opens a segment for each stretch of the video that one stream of its kind can hold."""

    def open(self, first: pb.RedactedUnit) -> Segment:
        """A segment that begins with this keyframe. Raises SinkError, ConsumeError where none can follow."""

    def close(self) -> None:
        """No segment follows. Raises SinkError."""


class StreamOutlet:
    """One stream of bytes. In ts and h264 an epoch follows another without a break; mp4 and mkv hold one only.

    Args:
        writer: takes the bytes.
        kind: what they are.
        name: for messages.
    """

    def __init__(self, writer: Writer, kind: StreamFormat, name: str) -> None:
        self._writer, self._kind, self._name = writer, kind, name
        self._segment: _Muxed | _Raw | None = None

    def open(self, first: pb.RedactedUnit) -> Segment:
        """Goes on where the segment before ended."""
        if self._segment is not None and self._kind not in _GOES_ON:
            raise ConsumeError(
                f"{self._name} ends here: a new epoch or picture size began, and {self._kind} holds one only; "
                "--format ts goes on"
            )
        if self._kind == "h264":
            self._segment = _Raw(self._writer, self._name)
        else:
            at_s = self._segment.end_s if isinstance(self._segment, _Muxed) else _FIRST_S
            self._segment = _Muxed(self._writer, self._kind, self._name, first, at_s)
        return self._segment

    def close(self) -> None:
        """The writer is its owner's to close."""


class _Muxed:
    """A container written into a Writer; its times begin at `at_s` seconds."""

    shed = 0

    def __init__(self, writer: Writer, kind: StreamFormat, name: str, first: pb.RedactedUnit, at_s: Fraction) -> None:
        self._time_base = Fraction(first.time_base_num, first.time_base_den)
        self._offset = round(at_s / self._time_base) - first.dts
        self.end_s = at_s
        options = {"flush_packets": "1", **_OPTIONS[kind]}
        self._muxer = Muxer(writer, _CONTAINERS[kind], first, None, options, {}, name)

    def write(self, unit: pb.RedactedUnit) -> None:
        self._muxer.write(unit, self._offset)
        self.end_s = max(self.end_s, (unit.pts + self._offset + max(1, unit.duration)) * self._time_base)

    def finish(self) -> None:
        self._muxer.close()

    def join(self, timeout_s: float) -> None:
        """Nothing is under way."""


class _Raw:
    """Access units one after the other, Annex B: parameter sets are in band."""

    shed = 0

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer, self._name = writer, name

    def write(self, unit: pb.RedactedUnit) -> None:
        with sink_errors(self._name):
            self._writer.write(unit.payload)

    def finish(self) -> None:
        """Nothing is kept for the end."""

    def join(self, timeout_s: float) -> None:
        """Nothing is under way."""


class StreamFileOutlet:
    """A .ts or .h264 file: one stream, under its final name once it is whole; none where nothing came."""

    def __init__(self, path: Path, kind: StreamFormat) -> None:
        self._path, self._part, self._kind = path, part_of(path), kind
        self._file: FileIO | None = None
        self._stream: StreamOutlet | None = None

    def open(self, first: pb.RedactedUnit) -> Segment:
        """Goes on where the segment before ended."""
        if self._stream is None:
            with sink_errors(str(self._path)):
                self._file = FileIO(self._part, "wb")
            self._stream = StreamOutlet(self._file, self._kind, str(self._path))
        return self._stream.open(first)

    def close(self) -> None:
        """Gives the file its name."""
        if self._file is None:
            return
        with sink_errors(str(self._path)):
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)


class FilesOutlet:
    """MP4 and Matroska files: NAME.mp4, then NAME-2.mp4 and so on for each new epoch or picture size.

    Args:
        target: an mp4 or mkv target.
        tell: told which file a further segment goes to.
    """

    def __init__(self, target: Target, tell: Callable[[str], object]) -> None:
        self._target, self._tell = target, tell
        self._count = 0

    def open(self, first: pb.RedactedUnit) -> Segment:
        """The first file has the name that was asked for, whatever was there."""
        path = Path(self._target.location)
        self._count += 1
        while self._count > 1 and (path := self._numbered()).exists():
            self._count += 1
        if self._count > 1:
            self._tell(f"{first.camera_id}: goes on in {path} ({first.width}×{first.height})")
        return FileSink(Target(self._target.kind, str(path)), first, None, live=True)

    def close(self) -> None:
        """Each file was finished by its segment."""

    def _numbered(self) -> Path:
        path = Path(self._target.location)
        return path.with_stem(f"{path.stem}-{self._count}")


class ServerOutlet:
    """An HLS folder, where a new epoch follows after a discontinuity, or an RTSP server, published to anew.

    Those who watch there watch now: the past is handed out at the pace at which it happened.

    Args:
        target: an hls or rtsp target.
        wait: waits so many seconds, or less when it is time to leave.
        now: seconds, monotonic.
    """

    def __init__(self, target: Target, wait: Wait, now: Callable[[], float] = time.monotonic) -> None:
        self._target, self._wait, self._now = target, wait, now

    def open(self, first: pb.RedactedUnit) -> Segment:
        """A sink of services/media."""
        return Paced(open_sink(self._target, first, None, live=True), first, self._wait, self._now)

    def close(self) -> None:
        """Each segment has ended its part."""


class Paced:
    """A segment that is written to at the pace of the stream's times, at most _AHEAD_S ahead of it.

    What comes live is never held back. After a gap in the stream, or a time that went back, the pace begins anew.
    """

    def __init__(self, segment: Segment, first: pb.RedactedUnit, wait: Wait, now: Callable[[], float]) -> None:
        self._segment, self._wait, self._now = segment, wait, now
        self._time_base = Fraction(first.time_base_num, first.time_base_den)
        self._origin = now() - self._seconds(first)
        self._last = self._seconds(first)

    @property
    def shed(self) -> int:
        """Access units left out because the other side was too slow or away."""
        return self._segment.shed

    def write(self, unit: pb.RedactedUnit) -> None:
        """Takes the next access unit, when its time has come. Raises SinkError."""
        seconds = self._seconds(unit)
        if not 0 <= seconds - self._last <= _LONGEST_STEP_S:
            self._origin = self._now() - seconds
        self._last = seconds
        ahead = self._origin + seconds - self._now()
        if ahead > _AHEAD_S:
            self._wait(ahead - _AHEAD_S)
        self._segment.write(unit)

    def finish(self) -> None:
        """All were written. Raises SinkError."""
        self._segment.finish()

    def join(self, timeout_s: float) -> None:
        """Waits until what was taken has gone out."""
        self._segment.join(timeout_s)

    def _seconds(self, unit: pb.RedactedUnit) -> float:
        return float(unit.pts * self._time_base)
