"""Follows one camera's redacted video into an outlet, across epochs and picture sizes."""

from collections.abc import Callable

from services.bus.interface import Message
from services.consume.outlets import Outlet, Segment
from services.consume.view import RedactedView
from services.schema import pb

_JOIN_S = 3.0
_ENDINGS = {
    pb.EndOfStream.FINISHED: "came to its end",
    pb.EndOfStream.LOST: "broke off; a new epoch follows when the camera is back",
    pb.EndOfStream.STOPPED: "was stopped, or broke off where it is a file",
}


class VideoTail:
    """Writes each frame once and in order. Sound is left out.

    Args:
        outlet: where to.
        tell: told in a sentence of each end.
        epoch: the only one to take; None for all.
    """

    def __init__(self, outlet: Outlet, tell: Callable[[str], object], epoch: int | None = None) -> None:
        self._outlet, self._tell, self._epoch = outlet, tell, epoch
        self._view = RedactedView()
        self._segment: Segment | None = None
        self._holds: tuple[int, int, int] | None = None
        self._shed = 0
        self.over = False
        self.frames = 0
        self.closed = 0
        self.captured_us = 0

    def take(self, message: Message) -> None:
        """Takes the next message of the camera. Raises SinkError, ConsumeError."""
        item = self._view.take(message)
        if item is None:
            return
        if self._epoch is not None and item.epoch != self._epoch:
            self.over |= item.epoch > self._epoch
        elif isinstance(item, pb.RedactedUnit):
            self._write(item)
        elif isinstance(item, pb.EndOfStream):
            self._end(item)

    def close(self) -> None:
        """Finishes what is open. Raises SinkError."""
        try:
            self._finish_segment()
        finally:
            self._outlet.close()

    @property
    def left_out(self) -> str:
        """What was not written and why, in words; empty if all was."""
        counts = next(iter(self._view.counts.values()), None)
        shed = self._shed + (self._segment.shed if self._segment is not None else 0)
        words = [(self._view.invalid, "unreadable"), (shed, "shed")]
        if counts is not None:
            words += [
                (counts.duplicates, "sent twice"),
                (counts.out_of_order, "out of order"),
                (counts.missing, "missing"),
            ]
        return ", ".join(f"{count} {word}" for count, word in words if count)

    def _write(self, unit: pb.RedactedUnit) -> None:
        holds = (unit.epoch, unit.width, unit.height)
        if self._segment is None or holds != self._holds:
            self._finish_segment()
            self._segment, self._holds = self._outlet.open(unit), holds
        self._segment.write(unit)
        self.frames += 1
        self.closed += unit.closed
        self.captured_us = unit.captured_us

    def _end(self, end: pb.EndOfStream) -> None:
        self._finish_segment()
        self._tell(f"{end.camera_id}: the stream {_ENDINGS.get(end.reason, 'ended')}")
        self.over |= self._epoch is not None

    def _finish_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        segment.finish()
        segment.join(_JOIN_S)
        self._shed += segment.shed
