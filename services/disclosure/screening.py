"""Pictures of stored access units, in the order in which they are shown, decoded only where they are wanted."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av

from services.disclosure.footage import Piece, Unit
from services.media.decoding import AccessUnitDecoder, DecodedUnit, PictureMaker
from services.media.picture import Picture
from services.schema import pb

# H.264 and H.265 hold back at most 16 pictures: a frame that 17 later ones wait for never came.
_REORDER_MAX = 16
# A camera that sends no keyframes for this long is decoded as it comes: what waits for the next one stays small.
_GROUP_MAX = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame.

    Attributes:
        stream: what the newest keyframe says of the pictures.
        picture: of its own, free to be written into; None where there is none.
        why: why there is none, one sentence.
    """

    camera: str
    epoch: int
    seq: int
    pts: int
    duration: int
    captured_us: int
    stream: pb.StreamInfo
    picture: Picture | None = field(repr=False)
    why: str = ""


class Screening:
    """Decodes one epoch, group of pictures by group of pictures.

    Args:
        wanted: whether a frame of this number is to be shown; groups without one are never decoded.
        every: decode all groups: those without a wanted frame are there because another one needs them.
        stream: what an earlier keyframe said of the pictures, for frames that no keyframe comes before.
    """

    def __init__(
        self, wanted: Callable[[int], bool], *, every: bool = False, stream: pb.StreamInfo | None = None
    ) -> None:
        self._wanted, self._every = wanted, every
        self._group: list[Unit] = []
        self._known: dict[int, pb.AccessUnit] = {}  # wanted, and given to the decoder
        self._stream = stream or pb.StreamInfo()
        self._decoder: AccessUnitDecoder | None = None
        self._maker: PictureMaker | None = None
        self._ready: list[tuple[int, int, Shot]] = []
        self._count = 0
        self._last = -1

    def take(self, piece: Piece) -> Iterator[Shot]:
        """Takes the next piece, and gives out what is certain by now."""
        for each in piece.units:
            if each.unit.keyframe or len(self._group) >= _GROUP_MAX:
                yield from self._screen()
            self._group.append(each)

    def end(self) -> Iterator[Shot]:
        """Gives out the rest: the epoch ends here, or a gap begins."""
        yield from self._screen()
        yield from self._drop_decoder()

    def _screen(self) -> Iterator[Shot]:
        group, self._group = self._group, []
        if not self._every and not any(self._shows(each) for each in group):
            yield from self._drop_decoder()
            return
        for each in group:
            yield from self._feed(each)

    def _shows(self, each: Unit) -> bool:
        return each.wanted and self._wanted(each.unit.seq)

    def _feed(self, each: Unit) -> Iterator[Shot]:
        unit = each.unit
        if unit.keyframe and unit.HasField("stream") and (self._decoder is None or unit.stream != self._stream):
            yield from self._drop_decoder()
            self._stream = pb.StreamInfo()
            self._stream.CopyFrom(unit.stream)
            self._decoder, self._maker = _decoder_for(self._stream), PictureMaker(self._stream)
        if self._shows(each):
            self._known[unit.seq] = unit
        if self._decoder is None:
            yield from self._decided(unit.seq, None, "There is no keyframe to decode this frame from.")
            return
        payload = unit.inline if unit.WhichOneof("payload") == "inline" else b""
        for decoded in self._decoder.decode(payload, unit.seq, keyframe=unit.keyframe, damaged=unit.corrupt):
            yield from self._done(decoded)

    def _done(self, decoded: DecodedUnit) -> Iterator[Shot]:
        if decoded.seq not in self._known:
            return
        if decoded.frame is None or decoded.corrupt or self._maker is None:
            yield from self._decided(decoded.seq, None, "The picture of this frame is damaged.")
            return
        try:
            picture = self._maker.picture(decoded.frame)
        except (ValueError, av.error.FFmpegError):
            yield from self._decided(decoded.seq, None, "The picture of this frame is damaged.")
            return
        if (picture.width, picture.height) != (self._stream.width, self._stream.height):
            yield from self._decided(decoded.seq, None, "The picture's size is not the stream's.")
            return
        yield from self._decided(decoded.seq, picture, "")

    def _decided(self, seq: int, picture: Picture | None, why: str) -> Iterator[Shot]:
        unit = self._known.pop(seq, None)
        if unit is None:
            return
        shot = Shot(
            unit.camera_id,
            unit.epoch,
            seq,
            unit.pts,
            unit.duration,
            unit.captured_us,
            self._stream,
            picture,
            why,
        )
        self._count += 1
        heapq.heappush(self._ready, (seq, self._count, shot))
        while self._ready and (self._ready[0][0] == self._last + 1 or len(self._ready) > _REORDER_MAX):
            yield from self._next()

    def _drop_decoder(self) -> Iterator[Shot]:
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            for decoded in decoder.flush():
                yield from self._done(decoded)
        while self._ready:
            yield from self._next()

    def _next(self) -> Iterator[Shot]:
        seq, _, shot = heapq.heappop(self._ready)
        if seq > self._last:  # one that came so late that later ones are out already is lost
            self._last = seq
            yield shot


def _decoder_for(stream: pb.StreamInfo) -> AccessUnitDecoder | None:
    """None for a codec that FFmpeg does not know."""
    try:
        return AccessUnitDecoder(stream)
    except (ValueError, av.error.FFmpegError):
        return None
