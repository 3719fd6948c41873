"""Reads detect messages, whatever they hold: what can't be true is refused before anything is done with it."""

import math
import re
import time

from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message
from services.policy.model import AT_DECODER
from services.schema import pb

# Detection pictures are at most a few megapixels; what a frame states bounds the memory it may take.
_MOST_PIXELS = 4096 * 4096
_LONGEST_SIDE = 1 << 16
_MOST_FRAMES = 1 << 53
_MOST_NAMES = 16
_MOST_VIEWS = 80
_LONGEST_DETAIL = 500
_LONGEST_SAID = 200
# Names go on to topics that hold no pictures: they must not be pieces of one.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# An epoch far ahead of the clock would make every later stage take the camera's real frames for old ones.
_MOST_AHEAD_US = 86_400_000_000


def read(message: Message) -> pb.DetectFrame | pb.EndOfStream:
    """The frame or the end that a message of frames.detect holds. Raises InvalidMessage."""
    body = pb.DetectMessage()
    try:
        body.ParseFromString(message.record.value)
    except DecodeError:
        raise InvalidMessage("not a DetectMessage") from None
    # Fields of another message that happens to parse would travel on with what is copied from this one.
    body.DiscardUnknownFields()
    which = body.WhichOneof("body")
    if which is None:
        raise InvalidMessage("a DetectMessage without a body")
    item = body.frame if which == "frame" else body.end
    if not item.camera_id:
        raise InvalidMessage(f"a message without a camera_id ({which})")
    if item.camera_id != message.record.key:
        raise InvalidMessage("the camera_id is not the key")
    if item.epoch > time.time_ns() // 1000 + _MOST_AHEAD_US:
        raise InvalidMessage("an epoch that lies in the future")
    fault = _fault_of_frame(body.frame) if which == "frame" else _fault_of_end(body.end)
    if fault:
        raise InvalidMessage(fault)
    return item


def _fault_of_frame(frame: pb.DetectFrame) -> str:
    """Why a frame can't be true; empty if it may be."""
    if not (frame.width and frame.height and frame.source_width and frame.source_height):
        return "a detect frame without a size"
    if frame.width * frame.height > _MOST_PIXELS or max(frame.source_width, frame.source_height) >= _LONGEST_SIDE:
        return "a detect frame of a size that no camera has"
    if frame.seq >= _MOST_FRAMES or (frame.has_previous and frame.previous_seq >= frame.seq):
        return "a detect frame whose numbers can't be true"
    numbers = (frame.motion, frame.frame_rate, frame.captured_us)
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        return "a detect frame with numbers that are negative or not finite"
    if max(len(frame.detectors), len(frame.trace), len(frame.results)) > _MOST_NAMES:
        return "a detect frame with too many detectors, hops or results"
    if len(frame.views) > _MOST_VIEWS or not all(_is_true(view, frame) for view in frame.views):
        return "a detect frame with views that can't be true"
    if frame.views and not _is_whole(frame.views[0], frame):
        return "a detect frame whose first view is not the whole picture"
    if not all(_may_come(result) for result in frame.results):
        return "a detect frame with results that no decoder gives"
    names = (*frame.detectors, *(hop.stage for hop in frame.trace), *(result.detector for result in frame.results))
    return "" if all(_NAME.fullmatch(name) for name in names) else "a detect frame with names that are none"


def _may_come(result: pb.DetectorResult) -> bool:
    """Only what runs at the decoder is taken from it: any other result would stand for a detector that never ran."""
    said = (result.model, result.version, result.reason)
    return result.detector in AT_DECODER and max(map(len, said)) <= _LONGEST_SAID


def _is_whole(view: pb.View, frame: pb.DetectFrame) -> bool:
    """Parts only add to it: what is in none of the views would count as looked at."""
    shown = (view.source_x, view.source_y, view.source_width, view.source_height)
    return shown == (0, 0, frame.source_width, frame.source_height)


def _is_true(view: pb.View, frame: pb.DetectFrame) -> bool:
    """A view shows a part of the source picture and is a part of this one."""
    source = (view.source_x, view.source_y, view.source_width, view.source_height)
    return (
        view.width > 0
        and view.height > 0
        and view.x + view.width <= frame.width
        and view.y + view.height <= frame.height
        and all(math.isfinite(number) and number >= 0 for number in source)
        and min(source[2:]) >= 1
        and view.source_x + view.source_width <= frame.source_width
        and view.source_y + view.source_height <= frame.source_height
    )


def _fault_of_end(end: pb.EndOfStream) -> str:
    if end.frames > _MOST_FRAMES or end.reason not in pb.EndOfStream.Reason.values():
        return "an end of stream whose numbers can't be true"
    return "an end of stream with too long a detail" if len(end.detail) > _LONGEST_DETAIL else ""
