"""Makes any video fit to be sent as a camera sends: H.264 or H.265 without B-frames, a keyframe every second or two."""

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

from services.media.sources import SourceError, opened, video_stream

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "cameras"

Encoder = Literal["libx264", "libx265"]

_CODECS = ("h264", "hevc")
_KEYFRAME_MAX_S = 2.0
_TIMEOUT_S = 10


def playable(video: Path) -> Path:
    """The video itself if a camera could have made it, else a copy under .cache/cameras. Raises SourceError."""
    if _as_from_a_camera(video):
        return video
    stat = video.stat()
    name = hashlib.sha256(f"{video.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = FOLDER / f"{video.stem}-{name}.mp4"
    if not copy.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = copy.with_suffix(".part")
        convert(video, part)
        part.rename(copy)
    return copy


def convert(video: Path, target: Path, codec: Encoder = "libx264", size: tuple[int, int] | None = None) -> None:
    """Encodes a video picture by picture, with parameter sets in band at a keyframe every second. Raises SourceError.

    `size` is width and height, both even; None leaves it as it is.
    """
    with opened(str(video), _TIMEOUT_S, _TIMEOUT_S) as source, av.open(str(target), "w", format="mp4") as out:
        stream = video_stream(source, str(video))
        stream.thread_type = "AUTO"
        rate = stream.average_rate or Fraction(25)
        width, height = size or (stream.width // 2 * 2, stream.height // 2 * 2)
        tuning = f"{codec.removeprefix('lib')}-params"
        options = {"preset": "veryfast", "crf": "21", tuning: "repeat-headers=1:bframes=0:scenecut=0:log-level=none"}
        encoder = out.add_stream(codec, rate=rate, options=options)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.gop_size = max(1, round(rate))
        for number, picture in enumerate(source.decode(stream)):
            frame = picture.reformat(width, height, "yuv420p")
            # Even times: a recording may have holes, and the truth counts pictures.
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, av.video.frame.PictureType.NONE
            out.mux(encoder.encode(frame))
        out.mux(encoder.encode(None))


def _as_from_a_camera(video: Path) -> bool:
    with opened(str(video), _TIMEOUT_S, _TIMEOUT_S) as source:
        stream = video_stream(source, str(video))
        if stream.name not in _CODECS:
            return False
        keyframe_s = None
        for packet in source.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None or packet.pts != packet.dts or packet.time_base is None:
                return False
            at_s = float(packet.pts * packet.time_base)
            if packet.is_keyframe:
                keyframe_s = at_s
            if keyframe_s is None or at_s - keyframe_s > _KEYFRAME_MAX_S:
                return False
    if keyframe_s is None:
        raise SourceError(f"{video}: no video packets in it.")
    return True
