"""Small pictures of a masked video, taken from the finished output and from nothing else."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import cv2

from services.report.summary import Timeline

_WIDTH = 480
_QUALITY = 80
_MAX_DECODED = 600
"""Frames decoded on the way from a keyframe to the wanted one; a longer group of pictures is cut short."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One masked picture: its time in seconds and a JPEG."""

    t_s: float
    jpeg: bytes = field(repr=False)


def interesting_times(timeline: Timeline, count: int) -> list[float]:
    """Up to `count` times spread over the video: where most is masked, and once where frames are closed."""
    steps = len(timeline.frames)
    totals = [sum(series[i] for series in timeline.masks.values()) for i in range(steps)]
    first_closed = next((i for i, closed in enumerate(timeline.closed) if closed), -1)
    edges = [steps * i // count for i in range(count + 1)]
    picks = [first_closed if a <= first_closed < b else _most(totals, a, b) for a, b in pairwise(edges) if a < b]
    return [(pick + 0.5) * timeline.step_s for pick in picks]


def _most(totals: list[int], a: int, b: int) -> int:
    """The fullest step from a to b, not near either end: two pictures of one moment would say nothing new."""
    margin = (b - a) // 4
    return max(range(a + margin, b - margin), key=lambda i: totals[i])


def thumbnails(output: Path, times_s: list[float]) -> list[Thumbnail]:
    """Pictures of a masked video at about these times. What can't be decoded is left out."""
    found: dict[float, Thumbnail] = {}
    try:
        with av.open(str(output)) as container:
            for t_s in times_s:
                picture = _picture(container, t_s)
                if picture is not None:
                    found[picture.t_s] = picture
    except (av.FFmpegError, OSError, IndexError):
        return list(found.values())
    return [found[t_s] for t_s in sorted(found)]


def _picture(container: av.container.InputContainer, t_s: float) -> Thumbnail | None:
    stream = container.streams.video[0]
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    container.seek(int((start_s + t_s) * av.time_base))
    frame = None
    for i, candidate in enumerate(container.decode(stream)):
        frame = candidate
        if (frame.time or 0.0) - start_s >= t_s or i >= _MAX_DECODED:
            break
    if frame is None:
        return None
    scale = min(1.0, _WIDTH / frame.width)
    width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
    pixels = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
    ok, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Thumbnail((frame.time or 0.0) - start_s, jpeg.tobytes()) if ok else None
