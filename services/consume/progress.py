"""How a tail is doing, in one line: a line that renews itself on a terminal, one now and then elsewhere."""

import time
from collections.abc import Callable
from typing import Protocol, TextIO

from services.bus.clock import Clock, now_us
from services.consume.follow import RowTail
from services.consume.video import VideoTail

_TERMINAL_EVERY_S = 1.0
_LINE_EVERY_S = 10.0
_SILENT_S = 3.0


class Figures(Protocol):
    """Tells how far something has come."""

    def __call__(self, seconds: float) -> str:
        """One line, `seconds` after the line before."""


class VideoFigures:
    """Frames a second, how old the newest is, how many were closed."""

    def __init__(self, camera_id: str, tail: VideoTail, clock: Clock = now_us) -> None:
        self._camera_id, self._tail, self._clock = camera_id, tail, clock
        self._frames = 0

    def __call__(self, seconds: float) -> str:
        """One line, `seconds` after the line before."""
        tail = self._tail
        fps = (tail.frames - self._frames) / max(seconds, 1e-3)
        self._frames = tail.frames
        parts = [f"{tail.frames:,} frames", f"{fps:.1f} fps"]
        if tail.captured_us:
            parts.append(f"age {duration_words((self._clock() - tail.captured_us) / 1e6)}")
        if tail.frames:
            parts.append(f"closed {100 * tail.closed / tail.frames:.0f} %")
        return f"{self._camera_id}: {' · '.join(parts)}{_note(tail.left_out)}"


class RowFigures:
    """Rows so far."""

    def __init__(self, topic: str, tail: RowTail) -> None:
        self._topic, self._tail = topic, tail

    def __call__(self, seconds: float) -> str:  # noqa: ARG002, rows come in bursts: their rate says nothing
        """One line."""
        return f"{self._topic}: {self._tail.rows:,} rows{_note(self._tail.left_out)}"


class Progress:
    """Shows figures at their time, and says when nothing comes.

    Args:
        stream: takes the lines.
        now: seconds, monotonic.

    Attributes:
        figures: what is shown; None for nothing but sentences.
    """

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self.figures: Figures | None = None
        self._stream, self._now = stream, now
        self._terminal = stream.isatty()
        self._last = self._heard = now()
        self._shown = False

    def __call__(self, heard: bool) -> None:
        """To be called several times a second; `heard` is whether anything came since the last call."""
        now = self._now()
        self._heard = now if heard else self._heard
        every = _TERMINAL_EVERY_S if self._terminal else _LINE_EVERY_S
        if self.figures is None or now - self._last < every:
            return
        line = self.figures(now - self._last)
        self._last = now
        if now - self._heard >= _SILENT_S:
            line += f" · nothing for {duration_words(now - self._heard)}"
        self._write(line)

    def tell(self, sentence: str) -> None:
        """A line that stays."""
        if self._shown and self._terminal:
            print(file=self._stream)
        self._shown = False
        print(sentence, file=self._stream, flush=True)

    def finish(self) -> None:
        """Shows the last figures."""
        if self.figures is not None:
            self._write(self.figures(self._now() - self._last))
            if self._terminal:
                print(file=self._stream, flush=True)

    def _write(self, line: str) -> None:
        text = f"\r\x1b[K{line}" if self._terminal else f"{line}\n"
        print(text, end="", file=self._stream, flush=True)
        self._shown = True


def duration_words(seconds: float) -> str:
    """A stretch of time for a person."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"


def _note(left_out: str) -> str:
    return f" · left out: {left_out}" if left_out else ""
