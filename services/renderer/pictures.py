"""Pictures of access units that come without one: decoded here, from a keyframe on, only as far as they are needed."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

import av

from services.media.decoding import AccessUnitDecoder, DecodedUnit, PictureMaker
from services.media.picture import Picture
from services.schema import pb

_UNITS_PER_CALL = 16
"""Access units decoded before other cameras get their turn: one of 1080p takes about 5 ms."""


_REPEATS = 64
"""Newest units among which a second delivery is noticed: decoding one twice would spoil those after it."""


class Missing(Enum):
    """Why there is no picture."""

    PENDING = auto()  # more calls, or more access units, will decide it
    LOST = auto()
    CORRUPT = auto()


@dataclass(slots=True)
class _Unit:
    seq: int
    keyframe: bool
    corrupt: bool
    payload: bytes
    stream: pb.StreamInfo | None
    fresh: bool  # what came before it in decoding order was left out


class OwnDecoder:
    """Holds compressed units and makes pictures of them on demand, so that waiting costs bytes and not pixels."""

    def __init__(self) -> None:
        self._waiting: deque[_Unit] = deque()
        self._pushed: deque[int] = deque(maxlen=_REPEATS)
        self._decided: dict[int, tuple[DecodedUnit, PictureMaker] | None] = {}  # None: never will be a picture
        self._stream: pb.StreamInfo | None = None
        self._decoder: AccessUnitDecoder | None = None
        self._maker: PictureMaker | None = None
        self._broken = True

    def interrupt(self) -> None:
        """A unit was left out: nothing can be decoded until the next keyframe."""
        self._broken = True

    def push(self, unit: pb.AccessUnit, payload: bytes | None) -> bool:
        """Takes the next unit in decoding order. False if no picture can ever be made of it, or it came before.

        Args:
            unit: describes it.
            payload: what it holds, decrypted; None where it is not to be had.
        """
        if unit.seq in self._pushed:
            return False
        self._pushed.append(unit.seq)
        starts = unit.keyframe and unit.HasField("stream")
        if payload is None or (self._broken and not starts):
            self._broken = True
            return False
        stream = pb.StreamInfo() if starts else None
        if stream is not None:
            stream.CopyFrom(unit.stream)  # a reference would keep the whole message in memory
        self._waiting.append(_Unit(unit.seq, unit.keyframe, unit.corrupt, payload, stream, self._broken))
        self._broken = False
        return True

    def picture(self, seq: int, *, ended: bool) -> Picture | Missing:
        """The picture of a unit that was pushed; some more units are decoded in each call.

        Args:
            seq: its number.
            ended: no more units will be pushed.
        """
        for _ in range(_UNITS_PER_CALL):
            if seq in self._decided or not self._waiting:
                break
            self._feed(self._waiting.popleft())
        if seq not in self._decided:
            if self._waiting or not ended:
                return Missing.PENDING
            self._flush()
        if seq not in self._decided:
            return Missing.LOST
        decided = self._decided.pop(seq)
        if decided is None:
            return Missing.LOST
        unit, maker = decided
        if unit.frame is None:
            return Missing.LOST
        if unit.corrupt:
            return Missing.CORRUPT
        try:
            return maker.picture(unit.frame)
        except (ValueError, av.error.FFmpegError):  # a picture of a form that the stream's description denies
            return Missing.CORRUPT

    def forget(self, seq: int, *, keyframe: bool) -> None:
        """All frames up to this one are out; with a keyframe goes everything before it in decoding order."""
        for old in [known for known in self._decided if known <= seq]:
            del self._decided[old]
        while keyframe and self._waiting and self._waiting[0].seq < seq:
            self._waiting.popleft()
            if self._waiting:
                self._waiting[0].fresh = True

    def _feed(self, unit: _Unit) -> None:
        if unit.stream is not None and (unit.fresh or unit.stream != self._stream):
            self._flush()
            self._stream = unit.stream
            self._maker = PictureMaker(unit.stream)
            self._decoder = _decoder_for(unit.stream)
        if self._decoder is None:
            self._decided[unit.seq] = None
        else:
            self._keep(self._decoder.decode(unit.payload, unit.seq, keyframe=unit.keyframe, damaged=unit.corrupt))

    def _flush(self) -> None:
        if self._decoder is not None:
            self._keep(self._decoder.flush())

    def _keep(self, units: Iterable[DecodedUnit]) -> None:
        if self._maker is not None:
            self._decided.update({unit.seq: (unit, self._maker) for unit in units})


def _decoder_for(stream: pb.StreamInfo) -> AccessUnitDecoder | None:
    """None for a codec that FFmpeg does not know."""
    try:
        return AccessUnitDecoder(stream)
    except (ValueError, av.error.FFmpegError):
        return None
