"""What the encoder takes: messages of video.rendered that no later step can stumble over."""

from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message
from services.schema import pb

# An epoch is the time at which the decoder opened the stream. One from the far future would make all that follow late.
_EPOCH_AHEAD_US = 3_600_000_000

# H.264's own limits of size are not far above; smaller pictures x264 refuses.
_MOST_PIXELS, _LONGEST_SIDE, _SHORTEST_SIDE = 1 << 26, 16384, 4
# Times that a double holds exactly, with room for what containers add to them.
_HIGHEST_TIME = 1 << 53
# FFmpeg's fractions are of signed 32-bit numbers. A tick is anything from a nanosecond to ten seconds.
_HIGHEST_TERM, _SLOWEST_S = (1 << 31) - 1, 10
_HIGHEST_SAMPLE_RATE, _MOST_CHANNELS = 768_000, 64

Body = pb.RenderedFrame | pb.AudioUnit | pb.EndOfStream
Sent = pb.RedactedUnit | pb.AudioUnit | pb.EndOfStream


def body_of(message: Message, now_us: int) -> Body:
    """The frame, packet of sound or end that a message holds. Raises InvalidMessage."""
    try:
        rendered = pb.RenderedMessage.FromString(message.record.value)
    except DecodeError as error:
        raise InvalidMessage("not a RenderedMessage") from error
    body: Body
    match rendered.WhichOneof("body"):
        case "frame":
            body = rendered.frame
            _check_frame(body)
        case "audio":
            body = rendered.audio
            _check_audio(body)
        case "end":
            body = rendered.end
        case _:
            raise InvalidMessage("a message without body")
    _check_identity(body, message, now_us)
    return body


def sent_of(message: Message, now_us: int) -> Sent | None:
    """What a message of video.redacted holds; None where it holds nothing that the encoder could have sent."""
    try:
        redacted = pb.RedactedMessage.FromString(message.record.value)
        name = redacted.WhichOneof("body")
        sent: Sent | None = None if name is None else getattr(redacted, name)
        if sent is not None:
            _check_identity(sent, message, now_us)
    except (DecodeError, InvalidMessage):
        return None
    return sent


def _check_identity(body: Body | Sent, message: Message, now_us: int) -> None:
    if not body.camera_id or body.camera_id != message.record.key:
        raise InvalidMessage("the camera_id is not the key")
    if body.epoch > now_us + _EPOCH_AHEAD_US:
        raise InvalidMessage("an epoch that lies in the future")


def _check_frame(frame: pb.RenderedFrame) -> None:
    _check_times(frame, "a frame")
    if frame.dropped:
        return
    width, height = frame.width, frame.height
    if width % 2 or height % 2 or not _SHORTEST_SIDE <= min(width, height) <= max(width, height) <= _LONGEST_SIDE:
        raise InvalidMessage(f"a frame of {width}×{height}")
    if width * height > _MOST_PIXELS:
        raise InvalidMessage(f"a frame of {width}×{height}")


def _check_audio(unit: pb.AudioUnit) -> None:
    if unit.WhichOneof("payload") != "inline":
        raise InvalidMessage("sound that is not in the clear")
    _check_times(unit, "sound")
    if not (unit.codec and 0 < unit.sample_rate <= _HIGHEST_SAMPLE_RATE and 0 < unit.channels <= _MOST_CHANNELS):
        raise InvalidMessage("sound without codec, rate or channels")


def _check_times(body: pb.RenderedFrame | pb.AudioUnit, what: str) -> None:
    numerator, denominator = body.time_base_num, body.time_base_den
    if not (0 < numerator <= _HIGHEST_TERM and 0 < denominator <= _HIGHEST_TERM):
        raise InvalidMessage(f"{what} without time base")
    if numerator > _SLOWEST_S * denominator:
        raise InvalidMessage(f"{what} with a tick of {numerator / denominator:.0f} s")
    times = (body.pts, body.duration, body.dts) if isinstance(body, pb.AudioUnit) else (body.pts, body.duration)
    if max(map(abs, times)) > _HIGHEST_TIME:
        raise InvalidMessage(f"{what} at no possible time")
