"""Looks at a rendered video frame by frame: what would be handed over, and what covers what in it, and why."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from services.disclosure.account import Told, frames_of
from services.disclosure.errors import Invalid, Unknown
from services.media.picture import Picture
from services.media.planar_jpeg import PlanarJpegEncoder

_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Look:
    """One frame of the result.

    Attributes:
        told: when it was taken, what was masked, and why.
        jpeg: the picture as it would be handed over.
    """

    told: Told
    jpeg: bytes = field(repr=False)


class Reel:
    """A rendered video. Nothing of an original is ever opened for it.

    Args:
        video: the file; what is told of its frames lies beside it.
        frames: how many it has.
    """

    def __init__(self, video: Path, frames: int) -> None:
        self._video, self.frames = video, frames

    def look(self, number: int) -> Look:
        """Frame `number`, from 0. Raises Unknown where there is none, Invalid where the video can't be read."""
        return next(self.looks(number, 1))

    def looks(self, first: int, count: int, every: int = 1) -> Iterator[Look]:
        """So many frames from number `first` on, each `every` frames behind the one before; fewer at the end."""
        if not 0 <= first < self.frames or count < 1 or every < 1:
            raise Unknown(f"{self._video.name} has the frames 0 to {self.frames - 1}.")
        end = min(self.frames, first + (count - 1) * every + 1)
        told = [one for one in frames_of(self._video, first, end) if (one.number - first) % every == 0]
        encoder = PlanarJpegEncoder(_QUALITY)
        for one, picture in zip(told, self._pictures([one.at_ms for one in told]), strict=True):
            yield Look(one, encoder.encode(picture))

    def number_at(self, at_ms: int) -> int:
        """The number of the frame that is shown at a time of the video; of the last one behind its end."""
        times = [one.at_ms for one in frames_of(self._video)]
        return max(0, bisect_right(times, at_ms) - 1)

    def _pictures(self, times_ms: list[int]) -> Iterator[Picture]:
        """The pictures that are shown at these times, which rise."""
        waiting = list(reversed(times_ms))
        try:
            with av.open(str(self._video)) as container:
                stream = container.streams.video[0]
                container.seek(max(0, times_ms[0] - 1) * 1000, backward=True)
                for frame in container.decode(stream):
                    # Times were rounded to milliseconds.
                    if waiting and frame.time is not None and frame.time * 1000 >= waiting[-1] - 1:
                        waiting.pop()
                        yield Picture(frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False))
                    if not waiting:
                        return
        except (av.error.FFmpegError, IndexError, OSError):
            raise Invalid(f"{self._video.name} can't be read: render it again.") from None
        raise Invalid(f"{self._video.name} is shorter than its account: render it again.")
