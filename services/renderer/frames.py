"""The frames of one epoch that wait: out in the order of their numbers, in from decoding order."""

import heapq
from dataclasses import dataclass

from services.bus.interface import Position
from services.media.picture import Picture
from services.schema import pb

# H.264 and H.265 hold back at most 16 pictures: a number still missing when 17 later ones wait was never sent.
_REORDER_MAX = 16
# Frames of a file that may be missing, all gaps together. More are a broken number rather than lost frames: those are
# not filled up.
_FILL_MAX = 10_000
_INT64_MAX = (1 << 63) - 1


@dataclass(slots=True, eq=False)
class Frame:
    """One frame to render.

    Attributes:
        duration: in the time base, 0 if unknown.
        size: bytes it takes in the hold.
        arrived: when the renderer got it, in seconds.
        position: where its access unit stands; None for a frame that fills a gap.
        picture: the decoder's, shared and read only; None if it came without.
        decodable: it came without a picture, but one may be made of its access unit.
        sealed: what it came with can't be decrypted.
        overflow: the hold was full: it goes out closed.
        trace: hops behind it, this stage's without its end.
    """

    seq: int
    pts: int
    duration: int
    captured_us: int
    keyframe: bool = False
    corrupt: bool = False
    size: int = 0
    arrived: float = 0.0
    position: Position | None = None
    picture: Picture | None = None
    decodable: bool = False
    sealed: bool = False
    overflow: bool = False
    trace: tuple[pb.Hop, ...] = ()


class FrameQueue:
    """Gives out the frames of an epoch in order, each once, and sees what is missing between them."""

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._order: list[int] = []
        self._next: int | None = None
        self._newest = -1
        self._last: Frame | None = None
        self._step = 1
        self._filled = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def next_seq(self) -> int | None:
        """The number that goes out next; None before the first frame came."""
        return self._next

    @property
    def newest(self) -> int:
        """Highest number seen or passed over; -1 before the first frame came."""
        return max(self._newest, (self._next or 0) - 1)

    def is_new(self, seq: int) -> bool:
        """False for a frame that is out or waits already: a second delivery."""
        return seq not in self._frames and (self._next is None or seq >= self._next)

    def begins(self, seq: int, *, keyframe: bool) -> bool:
        """False for what comes before the keyframe at which reading from later on begins: it was sent out before."""
        return keyframe or seq <= _REORDER_MAX or self._next is not None

    def add(self, frame: Frame) -> None:
        """Takes a new frame."""
        if self._next is None:
            # An epoch begins at 0, where the first unit may be a keyframe with others to be shown before it. Where it
            # is read from later on, after a restart, it begins at that keyframe.
            self._next = 0 if frame.seq <= _REORDER_MAX else frame.seq
        elif self._last is None and len(self._frames) == 1:
            (first,) = self._frames.values()
            if first.keyframe and first.seq < frame.seq:
                # What is shown before the first keyframe would come right behind it: this is a restart near the start.
                self._next = first.seq
        self._frames[frame.seq] = frame
        self._newest = max(self._newest, frame.seq)
        heapq.heappush(self._order, frame.seq)

    def head(self, *, live: bool, end: int | None) -> Frame | None:
        """The next frame to go out, or None while it may still come.

        Args:
            live: what is missing was shed: it is passed over. In a file a closed frame fills its place.
            end: number of frames in the epoch, once it has ended.
        """
        if self._next is None:
            return None
        if self._order:
            upcoming = self._order[0]
            if upcoming == self._next:
                return self._frames[upcoming]
            if end is None and len(self._frames) <= _REORDER_MAX:
                return None
        elif end is not None and end > self._next:
            upcoming = end
        else:
            return None
        if live or upcoming - self._next > _FILL_MAX - self._filled:
            self._next = upcoming
            return self._frames.get(upcoming)
        return self._filler(self._next, upcoming)

    def pop(self, frame: Frame) -> None:
        """The head went out."""
        if self._frames.pop(frame.seq, None) is not None:
            heapq.heappop(self._order)
        else:
            self._filled += 1
        if frame.duration > 0:
            self._step = frame.duration
        elif self._last is not None and frame.pts > self._last.pts:
            self._step = frame.pts - self._last.pts
        self._last = frame
        self._next = frame.seq + 1

    def clear(self) -> list[Frame]:
        """Gives up all that wait."""
        gone = list(self._frames.values())
        self._frames, self._order = {}, []
        return gone

    def oldest(self) -> Frame | None:
        """The frame to give up first when the hold is full."""
        return next((frame for frame in self._frames.values() if not frame.overflow), None)

    def _filler(self, seq: int, upcoming: int) -> Frame:
        """A frame without a picture, its time between its neighbours'."""
        before, after = self._last, self._frames.get(upcoming)
        if before is not None and after is not None:
            pts = before.pts + (after.pts - before.pts) // (upcoming - seq + 1)
        elif before is not None:
            pts = before.pts + self._step
        elif after is not None:
            pts = after.pts - (upcoming - seq) * max(1, after.duration)
        else:
            pts = seq
        neighbour = before or after
        return Frame(seq, min(max(pts, -_INT64_MAX), _INT64_MAX), self._step, neighbour.captured_us if neighbour else 0)
