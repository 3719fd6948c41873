"""Where pictures come from: cameras, files and folders, and what can be said of one before it is read."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

_LIVE_SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "http://", "https://", "srt://", "udp://", "rtp://")
_VIDEO_SUFFIXES = frozenset(
    {".264", ".265", ".3gp", ".avi", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov"}
    | {".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm"}
)


class SourceError(Exception):
    """A source can't be opened or read on; the text is one sentence that holds no credentials."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera or file.

    Attributes:
        camera_id: key of all its messages.
        url: path, rtsp:// or http:// address, or video device. May hold credentials: print `name` instead.
        live: a live source sheds and reconnects, a file waits and ends. None: told from the url.
        loop: a file that plays in its own time, over and over, as a camera would; goes with `live`.
    """

    camera_id: str
    url: str
    live: bool | None = None
    loop: bool = False

    @property
    def is_live(self) -> bool:
        return is_live(self.url) if self.live is None else self.live

    @property
    def name(self) -> str:
        """The url without credentials."""
        return masked(self.url)

    def __repr__(self) -> str:
        return f"Camera({self.camera_id!r}, {self.name!r}, live={self.is_live})"


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself.

    Attributes:
        frames: estimated number of pictures, 0 if unknown.
        fps: mean frames per second, 0 if unknown.
        duration_s: 0 if unknown or endless.
        width, height: as stored, before rotation.
    """

    frames: int
    fps: float
    duration_s: float
    width: int
    height: int
    codec: str
    has_audio: bool


def is_live(url: str) -> bool:
    """True for addresses and devices that give pictures in their own time."""
    return url.lower().startswith(_LIVE_SCHEMES) or is_device(url)


def is_device(url: str) -> bool:
    """True for a local camera such as /dev/video0."""
    return url.startswith("/dev/video")


def masked(url: str) -> str:
    """The url with user, password and query blanked out."""
    if "://" not in url:
        return url
    return re.sub(r"\?.*", "?***", re.sub(r"(?<=://)[^?]*@", "***@", url), flags=re.DOTALL)


def list_videos(folder: Path) -> list[Path]:
    """The video files directly in a folder, by name. Raises SourceError if there are none."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder.")
    videos = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in _VIDEO_SUFFIXES)
    if not videos:
        raise SourceError(f"{folder}: no video files in it.")
    return videos


def probe(url: str, timeout_s: float = 10.0) -> SourceInfo:
    """Reads a source's headers. Raises SourceError."""
    with opened(url, timeout_s, timeout_s) as container:
        stream = video_stream(container, url)
        context = stream.codec_context
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        duration = _duration_s(container, stream)
        return SourceInfo(
            frames=stream.frames or round(duration * fps),
            fps=fps,
            duration_s=duration,
            width=context.width,
            height=context.height,
            codec=context.name,
            has_audio=bool(container.streams.audio),
        )


def open_container(url: str, open_timeout_s: float, read_timeout_s: float) -> InputContainer:
    """Opens a source for demuxing. Raises SourceError."""
    # An edit list would hide pictures that later ones refer to; without it every stored picture is one frame.
    options = {"fflags": "+genpts", "advanced_editlist": "0"}
    form = None
    if url.lower().startswith(("rtsp://", "rtsps://")):
        options = {
            "rtsp_transport": "tcp",
            "timeout": str(int(read_timeout_s * 1e6)),
            "analyzeduration": "1000000",
        }
    elif is_device(url):
        form, options = "video4linux2", {"input_format": "mjpeg"}
    with source_errors(url):
        return av.open(url, format=form, options=options, timeout=(open_timeout_s, read_timeout_s))


@contextmanager
def opened(url: str, open_timeout_s: float, read_timeout_s: float) -> Iterator[InputContainer]:
    """Opens a source and closes it again. Raises SourceError."""
    container = open_container(url, open_timeout_s, read_timeout_s)
    try:
        yield container
    finally:
        container.close()


def video_stream(container: InputContainer, url: str) -> VideoStream:
    """The first stream of moving pictures. Raises SourceError if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise SourceError(f"{masked(url)}: its codec is not supported.")
            return stream
    raise SourceError(f"{masked(url)}: no video stream in it.")


@contextmanager
def source_errors(url: str) -> Iterator[None]:
    """Turns FFmpeg's errors into SourceError: its own texts may quote the url."""
    name = masked(url)
    try:
        yield
    except av.error.FileNotFoundError:
        raise SourceError(f"{name}: there is no such file.") from None
    except av.error.PermissionError:
        raise SourceError(f"{name}: not readable, permission denied.") from None
    except av.error.IsADirectoryError:
        raise SourceError(f"{name}: is a folder.") from None
    except av.error.InvalidDataError:
        raise SourceError(f"{name}: not a video, or damaged.") from None
    except (av.error.ExitError, av.error.TimeoutError):
        raise SourceError(f"{name}: no answer in time.") from None
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"{name}: {error.strerror or type(error).__name__}.") from None


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration * Fraction(1, av.time_base))
    return 0.0
