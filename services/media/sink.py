"""What an output is: it takes redacted access units as they are and puts them into a file, a folder or a stream."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import av

from services.schema import pb

SinkKind = Literal["mp4", "mkv", "hls", "rtsp"]

_SUFFIXES: dict[str, SinkKind] = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mp4", ".mkv": "mkv"}
_CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file grew beyond what the system allows",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the disk is read-only",
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "its folder is not a folder",
    errno.EISDIR: "it is a folder",
}


class SinkError(Exception):
    """An output that can't go on; the text is one clear sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output goes.

    Attributes:
        kind: mp4 and mkv are files, hls is a folder with `index.m3u8`, rtsp is a server to push to.
        location: path or URL.
    """

    kind: SinkKind
    location: str

    @classmethod
    def parse(cls, location: str) -> "Target":
        """Reads the kind off `name.mp4`, `name.mkv`, `folder/index.m3u8` or `rtsp://…`. Raises ValueError."""
        if location.startswith(("rtsp://", "rtsps://")):
            return cls("rtsp", location)
        path = Path(location)
        if path.name == "index.m3u8":
            return cls("hls", str(path.parent))
        if kind := _SUFFIXES.get(path.suffix.lower()):
            return cls(kind, location)
        raise ValueError(
            f"{location}: an output is a .mp4 or .mkv file, FOLDER/index.m3u8 for HLS, or an rtsp:// address"
        )


class Sink(Protocol):
    """One output of one epoch. It is made with the first access unit, and the first packet of sound if there is any."""

    @property
    def name(self) -> str:
        """The target as a person knows it, without password."""

    @property
    def shed(self) -> int:
        """Access units left out so far because the other side was too slow or away."""

    @property
    def faults(self) -> int:
        """Errors so far that it recovers from by itself."""

    def write(self, unit: pb.RedactedUnit) -> None:
        """Takes the next access unit, in decoding order. Raises SinkError."""

    def write_audio(self, unit: pb.AudioUnit) -> None:
        """Takes the next packet of sound. Raises SinkError."""

    def finish(self) -> None:
        """Everything was written: gives the output its final name. Doesn't wait for a server. Raises SinkError."""

    def abort(self) -> None:
        """The output is not whole: closes what was written under its provisional name. Never raises."""

    @property
    def done(self) -> bool:
        """After `finish` or `abort`: nothing is under way any more."""

    def join(self, timeout_s: float) -> None:
        """Waits until what was taken before `finish` has gone out, at most `timeout_s`."""


@contextmanager
def sink_errors(target: str) -> Iterator[None]:
    """Turns the errors of system and muxer into a SinkError about `target`."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        cause = _CAUSES.get(error.errno or 0) or (error.strerror or "unknown error").lower()
        raise SinkError(f"can't write {target}: {cause}") from error
