"""What a message must keep to before any state is made of it: a broken one must do no lasting harm to its camera."""

from services.bus.interface import InvalidMessage, Message
from services.schema import pb

_AHEAD_US = 3600 * 1_000_000
"""An epoch is the decoder's clock at its opening: clocks that differ by more are wrong, not merely apart. One far ahead
would end the epoch that runs, and keep out every later one."""

_FRAMES_MAX = 1 << 40
"""Frames of an epoch, a thousand years of them: keeps every sum within 64 bits."""

JUMP_MAX = 1 << 20
"""Frames that may be missing in a row: more than an hour at 240 a second."""

_ID_MAX = 256
_SIDE_MAX = 16_384
_AREA_MAX = 7680 * 4320


def check_identity(camera_id: str, epoch: int, message: Message, now_us: int) -> None:
    """Raises InvalidMessage where a message can't be of the camera and epoch it names."""
    if not camera_id or camera_id != message.record.key or len(camera_id) > _ID_MAX:
        raise InvalidMessage("the camera_id is not the key")
    if epoch > max(now_us, message.timestamp_us) + _AHEAD_US:
        raise InvalidMessage(f"epoch {epoch} lies in the future")


def check_unit(unit: pb.AccessUnit) -> None:
    """Raises InvalidMessage for a frame that can't be."""
    if unit.seq >= _FRAMES_MAX:
        raise InvalidMessage(f"frame {unit.seq} is beyond every epoch")
    if unit.HasField("stream"):
        stream = unit.stream
        _check_size(stream.coded_width or stream.width, stream.coded_height or stream.height)
        _check_size(stream.width, stream.height)
        if stream.width % 2 or stream.height % 2:
            raise InvalidMessage(f"a picture of {stream.width}×{stream.height}")


def check_span(span: pb.RedactionSpan) -> None:
    """Raises InvalidMessage for a span that holds no frame at all, or vouches for more than anyone has looked at."""
    if span.last_seq < span.first_seq or span.last_seq > _FRAMES_MAX:
        raise InvalidMessage(f"a span from {span.first_seq} to {span.last_seq}")
    if span.coverage == pb.COMPLETE and span.last_seq - span.first_seq > JUMP_MAX:
        raise InvalidMessage(f"a complete span from {span.first_seq} to {span.last_seq}")


def check_jump(seq: int, newest: int) -> None:
    """Raises InvalidMessage for a frame so far behind the newest that all true ones would come too late after it."""
    if seq - newest > JUMP_MAX:
        raise InvalidMessage(f"from frame {newest} to frame {seq} is too far")


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= _SIDE_MAX and 0 < height <= _SIDE_MAX and width * height <= _AREA_MAX):
        raise InvalidMessage(f"a picture of {width}×{height}")
