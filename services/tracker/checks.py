"""What a message must keep to before any state is made of it: a broken one must do no lasting harm to its camera."""

from services.bus.interface import InvalidMessage, Message
from services.schema import pb

_AHEAD_US = 3600 * 1_000_000
"""An epoch is the decoder's clock at its opening: clocks that differ by more are wrong, not merely apart. One far ahead
would end the epoch that runs, and keep out every later one."""

_FRAMES_MAX = 1 << 40
"""Frames of an epoch, a thousand years of them: keeps every sum within 64 bits."""

_JUMP_MAX = 1 << 20
"""Frames from one look to the next: more than an hour at 240 a second, long after a silent epoch is given up."""

_ID_MAX = 256

_RESULTS_MAX = 64
"""Detectors that look at one picture."""


def check_look(look: pb.Detections, message: Message, now_us: int) -> None:
    """Raises InvalidMessage for detections that can't be true."""
    _check_identity(look.camera_id, look.epoch, message, now_us)
    if not look.source_width or not look.source_height:
        raise InvalidMessage("the picture's size is missing")
    if look.seq >= _FRAMES_MAX:
        raise InvalidMessage(f"frame {look.seq} is beyond every epoch")
    if len(look.results) > _RESULTS_MAX:
        raise InvalidMessage(f"{len(look.results)} results for one picture")


def check_jump(look: pb.Detections, newest: int) -> None:
    """Raises InvalidMessage for a look so far behind the newest that all true ones would come too late after it."""
    if look.seq - newest > _JUMP_MAX:
        raise InvalidMessage(f"from frame {newest} to frame {look.seq} is too far")


def check_end(end: pb.EndOfStream, message: Message, now_us: int) -> None:
    """Raises InvalidMessage for an end that can't be true."""
    _check_identity(end.camera_id, end.epoch, message, now_us)
    if end.frames > _FRAMES_MAX:
        raise InvalidMessage(f"an end after {end.frames} frames")


def _check_identity(camera_id: str, epoch: int, message: Message, now_us: int) -> None:
    if not camera_id or camera_id != message.record.key or len(camera_id) > _ID_MAX:
        raise InvalidMessage("the camera_id is not the key")
    if epoch > max(now_us, message.timestamp_us) + _AHEAD_US:
        raise InvalidMessage(f"epoch {epoch} lies in the future")
