"""Decoding access units: every unit handed in comes out once, as a picture or as a loss."""

from collections import deque
from dataclasses import dataclass
from typing import Any, cast

import av
import numpy as np
from av.codec.context import Flags, ThreadType
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from services.media.picture import Picture
from services.schema.veil.v1.veil_pb2 import StreamInfo

# Pictures that a decoder may hold back before the oldest counts as lost: 16 of reordering, and room for its threads.
_MOST_DELAYED = 32

# In these codecs a unit without a picture is legal («nothing changed»), so that what follows it is not broken.
_MAY_SKIP = frozenset({"mpeg4", "msmpeg4", "vp8"})

# Where the decoder by itself paints over damage without a word: stricter checks found most cut and overwritten units
# and no sound one. The others flag damage already; MPEG-4 would refuse sound units too.
_ERROR_CHECKS = {"mjpeg": "explode", "msmpeg4": "aggressive+explode", "msmpeg4v2": "aggressive+explode"}

_PLANAR_8BIT = frozenset(
    {"gray", "nv12", "yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj440p", "yuvj444p"}
)


@dataclass(slots=True, eq=False)
class DecodedUnit:
    """What became of one access unit.

    Attributes:
        frame: the decoder's picture as coded, before rotation; None if there is none.
        corrupt: there is no picture, or it was made from damaged data: its pixels must not be shown.
    """

    seq: int
    frame: av.VideoFrame | None
    corrupt: bool


@dataclass(slots=True, eq=False)
class _Pending:
    seq: int
    keyframe: bool
    frame: av.VideoFrame | None = None
    out: bool = False
    failed: bool = False


class AccessUnitDecoder:
    """Decodes the access units of one epoch and never raises on what they hold.

    Units go in and come out in decoding order. From a damaged unit on everything is corrupt, until a keyframe starts
    afresh: pictures that refer to a damaged one show its damage, flagged by the decoder or not. Leading pictures of an
    open group are shown before their keyframe and refer to the group before it, so they stay corrupt beyond it.

    Args:
        info: the epoch's stream.
        threads: 1 has no delay of its own; more decode frames side by side and give each picture that much later.
    """

    def __init__(self, info: StreamInfo, threads: int = 1) -> None:
        self._info = info
        self._context = self._make_context(threads)
        self._may_skip = info.codec in _MAY_SKIP
        self._pending: deque[_Pending] = deque()
        self._by_seq: dict[int, _Pending] = {}
        self._dirty = True
        self._leading_dirty = True
        self._keyframe_seq = -1
        self._restart = False

    def decode(self, payload: bytes, seq: int, *, keyframe: bool, damaged: bool = False) -> list[DecodedUnit]:
        """Takes one access unit and gives out those that are decided, oldest first.

        `damaged` says that the unit is known to be incomplete.
        """
        before = self.flush() if keyframe and self._restart else []
        entry = _Pending(seq, keyframe, failed=damaged or not payload)
        self._restart |= entry.failed
        self._pending.append(entry)
        self._by_seq[seq] = entry
        try:
            frames = self._context.decode(packet_of(payload, (seq,))) if payload else []
        except av.error.FFmpegError:
            entry.out = entry.failed = self._restart = True
            frames = []
        self._arrived(frames)
        return before + self._decided()

    def flush(self) -> list[DecodedUnit]:
        """Gives out everything still inside; decoding can go on with a keyframe."""
        try:
            frames = self._context.decode(None)
        except av.error.FFmpegError:
            frames = []
        self._context.flush_buffers()
        self._arrived(frames)
        for entry in self._pending:
            entry.out = True
        self._restart = False
        return self._decided()

    def _make_context(self, threads: int) -> av.VideoCodecContext:
        context = video_context(self._info.codec, self._info.extradata)
        context.width, context.height = self._info.coded_width, self._info.coded_height
        if self._info.codec in _ERROR_CHECKS:
            context.options = {"err_detect": _ERROR_CHECKS[self._info.codec]}
        context.thread_count = threads
        context.thread_type = ThreadType.FRAME if threads > 1 else ThreadType.NONE
        return context

    def _arrived(self, frames: list[av.VideoFrame]) -> None:
        for frame in frames:
            entry = self._by_seq.get(number_of(frame))
            if entry is None or entry.out:
                continue
            entry.frame, entry.out = frame, True
            if frame.is_corrupt:
                entry.failed = self._restart = True
            for other in self._pending:
                if other.seq < entry.seq:
                    other.out = True
        for entry in list(self._pending)[:-_MOST_DELAYED]:
            entry.out = True

    def _decided(self) -> list[DecodedUnit]:
        decided = []
        while self._pending and self._pending[0].out:
            entry = self._pending.popleft()
            self._by_seq.pop(entry.seq, None)
            decided.append(DecodedUnit(entry.seq, entry.frame, self._is_corrupt(entry)))
        return decided

    def _is_corrupt(self, entry: _Pending) -> bool:
        if entry.keyframe:
            self._leading_dirty, self._dirty, self._keyframe_seq = self._dirty, False, entry.seq
        # What follows a keyframe in both orders never refers to its leading pictures.
        leading = entry.seq < self._keyframe_seq
        if entry.failed or (entry.frame is None and not self._may_skip):
            self._leading_dirty = True
            self._dirty |= not leading
        return entry.frame is None or self._dirty or (leading and self._leading_dirty)


class PictureMaker:
    """Makes upright pictures of decoded frames. Not shared between threads: it keeps its scaling tables."""

    def __init__(self, info: StreamInfo) -> None:
        self._info = info
        self._turns = info.rotation // 90
        # One for each use, since each keeps the tables of its last conversion only.
        self._to_rgb = VideoReformatter()
        self._to_detail = VideoReformatter()
        self._to_420 = VideoReformatter()

    def picture(self, frame: av.VideoFrame) -> Picture:
        """The frame as upright, even-sized 4:2:0, 8 bit. A copy of its own."""
        frame = self._as_420(frame)
        width, height = frame.width, frame.height
        even_width, even_height = width + width % 2, height + height % 2
        data = np.empty((even_height * 3 // 2, even_width), np.uint8)
        picture = Picture(data, self._info.full_range)
        for plane, target in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
            target[: plane.height, : plane.width] = _rows(plane)
        picture.y[height:] = picture.y[height - 1]
        picture.y[:, width:] = picture.y[:, width - 1 : width]
        return picture if self._turns == 0 else self._turned(picture)

    def luma(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The frame's luma as coded, (height, width), a view where possible."""
        if frame.format.name not in _PLANAR_8BIT:
            frame = self._as_420(frame)
        return _rows(frame.planes[0])

    def rgb_size(self, frame: av.VideoFrame, long_side: int) -> tuple[int, int]:
        """Width and height of what `rgb` makes of the frame."""
        width, height = _within(frame, long_side)
        return (height, width) if self._turns % 2 else (width, height)

    def rgb(self, frame: av.VideoFrame, long_side: int) -> NDArray[np.uint8]:
        """The frame upright in RGB, (height, width, 3), its longer side at most `long_side`.

        Area scaling keeps small faces; swscale does it from YUV in one pass (768×576 to 640×480: 0.8 ms; OpenCV
        linear 0.9 ms, area 3.9 ms).
        """
        width, height = _within(frame, long_side)
        small = self._to_rgb.reformat(frame, width, height, "rgb24", interpolation="AREA", threads=1)
        pixels = _rows(small.planes[0], 3 * width).reshape(height, width, 3)
        return np.ascontiguousarray(np.rot90(pixels, -self._turns) if self._turns else pixels)

    def detail(self, frame: av.VideoFrame, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """A part of the upright frame in its own resolution, RGB (height, width, 3); all arguments are even."""
        whole = self.picture(frame)
        half = slice(y // 2, (y + height) // 2), slice(x // 2, (x + width) // 2)
        planes = whole.y[y : y + height, x : x + width], whole.u[half], whole.v[half]
        part = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)
        cut = av.VideoFrame.from_ndarray(part, format="yuv420p")
        cut.color_range = _color_range(whole.full_range)
        found = self._to_detail.reformat(cut, width, height, "rgb24", threads=1)
        return np.ascontiguousarray(_rows(found.planes[0], 3 * width).reshape(height, width, 3))

    def _as_420(self, frame: av.VideoFrame) -> av.VideoFrame:
        info = self._info
        same_size = frame.width == info.coded_width and frame.height == info.coded_height
        if same_size and frame.format.name in ("yuv420p", "yuvj420p") and is_full_range(frame) == info.full_range:
            return frame
        return self._to_420.reformat(
            frame,
            info.coded_width,
            info.coded_height,
            "yuv420p",
            interpolation="AREA",
            src_color_range=_color_range(is_full_range(frame)),
            dst_color_range=_color_range(info.full_range),
            threads=1,
        )

    def _turned(self, picture: Picture) -> Picture:
        planes = [np.rot90(plane, -self._turns) for plane in (picture.y, picture.u, picture.v)]
        data = np.concatenate([plane.reshape(-1) for plane in planes])
        return Picture(data.reshape(-1, planes[0].shape[1]), picture.full_range)


def video_context(codec: str, extradata: bytes) -> av.VideoCodecContext:
    """A decoder that copies each packet's `opaque` to its frame. Raises ValueError on an unknown codec."""
    context = av.CodecContext.create(codec, "r")
    if not isinstance(context, av.VideoCodecContext):
        raise ValueError(f"{codec} is no video codec")  # noqa: TRY004 (a value from a message, not a wrong type)
    context.extradata = extradata or None
    context.flags |= Flags.copy_opaque
    return context


def packet_of(payload: bytes, opaque: tuple[int] | None = None) -> "av.Packet[Any]":
    """A packet that decoders may read. Made of bytes directly, it would lack the zeros that they read past its end.

    A number goes along in a tuple of its own: PyAV lets go of an object with the first packet that has it, and small
    numbers are one object for all decoders of a process.
    """
    packet: av.Packet[Any] = av.Packet(len(payload))
    packet.update(payload)
    packet.opaque = opaque
    return packet


def number_of(frame: av.VideoFrame) -> int:
    """The number that came with the packet of a frame; -1 if none did."""
    opaque = cast("tuple[int] | None", frame.opaque)
    return -1 if opaque is None else opaque[0]


def is_full_range(frame: av.VideoFrame) -> bool:
    """True if the frame's luma spans 0–255."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith(("yuvj", "gray", "rgb", "bgr", "gbr"))


def _color_range(full: bool) -> ColorRange:
    return ColorRange.JPEG if full else ColorRange.MPEG


def _within(frame: av.VideoFrame, long_side: int) -> tuple[int, int]:
    """Width and height of a frame made smaller until its longer side is at most `long_side`."""
    scale = min(1.0, long_side / max(frame.width, frame.height))
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def _rows(plane: av.video.plane.VideoPlane, width: int | None = None) -> NDArray[np.uint8]:
    """(height, width) bytes of a plane, without the padding at the end of its rows."""
    pixels: NDArray[np.uint8] = np.frombuffer(cast(Any, plane), np.uint8).reshape(plane.height, plane.line_size)
    return pixels[:, : width or plane.width]
