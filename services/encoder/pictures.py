"""The picture of a rendered frame: beside the message on the memory bus, or the planes of its JPEG."""

import av
import numpy as np

from services.bus.interface import InvalidMessage, Record
from services.media.decoding import packet_of
from services.media.picture import Picture
from services.schema import pb

# What FFmpeg may round a side up by for its buffers.
_PADDING = 64


def picture_bytes(record: Record, frame: pb.RenderedFrame) -> int:
    """Bytes that the frame takes in memory once its picture is there."""
    return record.size if frame.dropped else max(record.size, frame.width * frame.height * 3 // 2)


def picture_of(record: Record, frame: pb.RenderedFrame) -> Picture | None:
    """The frame's picture, None where the policy dropped it. Raises InvalidMessage."""
    kind = frame.WhichOneof("payload")
    if kind == "dropped":
        return None
    if kind == "jpeg":
        picture = _decode(frame)
        frame.ClearField("jpeg")
    elif kind == "attached" and record.attachment is not None:
        try:
            picture = Picture(record.attachment, frame.full_range)
        except ValueError as error:
            raise InvalidMessage(str(error)) from error
    else:
        raise InvalidMessage("a frame without picture")
    if (picture.width, picture.height) != (frame.width, frame.height):
        raise InvalidMessage(f"a {picture.width}×{picture.height} picture for a {frame.width}×{frame.height} frame")
    return picture


def _decode(frame: pb.RenderedFrame) -> Picture:
    """The colour planes as the JPEG holds them, without a trip through RGB; the message says their range.

    A JPEG that says it is larger than its frame is refused before there is memory for it.
    """
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str((frame.width + _PADDING) * (frame.height + _PADDING))}
    try:
        frames = decoder.decode(packet_of(frame.jpeg))
    except av.FFmpegError as error:
        raise InvalidMessage("a frame whose JPEG can't be decoded") from error
    if len(frames) != 1 or not isinstance(frames[0], av.VideoFrame) or frames[0].format.name != "yuvj420p":
        raise InvalidMessage("a frame whose JPEG is not 4:2:0")
    planes = frames[0].to_ndarray()
    return Picture(np.ascontiguousarray(planes, np.uint8), frame.full_range)
