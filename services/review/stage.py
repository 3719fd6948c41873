"""The stage that says what is masked in place of detectors and tracker: what a person reviewed."""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Sequence

import numpy as np
from google.protobuf.message import DecodeError

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import FRAMES_DETECT, REDACTIONS, Topic
from services.policy.wire import KINDS
from services.review.folder import State
from services.review.model import Review
from services.review.tracks import ReviewedTrack, Sweep
from services.runtime.stage import Emission
from services.schema import pb

_SPANS_PER_TURN = 256

_WRITTEN = 2e-6
"""Pixels by which a number in gt.txt may differ from the one that was written."""


class Script:
    """Makes the span of each frame, in order.

    A frame that the first run closed stays closed, unless a person answers for it by name.

    Args:
        base: what was exported: it alone says what was closed.
        edited: the reviewed tracks, and who opens or closes what.
        policy: name and hash of the policy that the renderer has.
    """

    def __init__(self, base: Review, edited: State, policy: str) -> None:
        self._frames = base.video.frames
        self._policy = policy
        self._sweep = Sweep(edited.tracks.values())
        self._closed = _Whys([(one.first, one.last, one.why) for one in base.closed_frames])
        self._opened = _Whys([(one.first, one.last, one.reason) for one in edited.review.opened_frames])
        self._by_hand = _Whys([(one.first, one.last, "Closed by hand.") for one in edited.review.frames_to_close])

    @property
    def closed(self) -> int:
        """Frames that will not be seen, as far as the review says."""
        return sum(self.why(frame) is not None for frame in range(1, self._frames + 1))

    @property
    def opened(self) -> int:
        """Frames that the first run closed and a person opened."""
        frames = range(1, self._frames + 1)
        return sum(self._closed.at(frame) is not None and self.why(frame) is None for frame in frames)

    def why(self, frame: int) -> str | None:
        """Why a frame, counted from 1, stays closed; None where it may be seen."""
        by_hand = self._by_hand.at(frame)
        if by_hand is not None:
            return by_hand
        why = self._closed.at(frame)
        if why is not None and self._opened.at(frame) is None:
            return why or "Closed in the first run."
        return None if frame <= self._frames else "The reviewed video ended before this frame."

    def span(self, camera_id: str, epoch: int, seq: int) -> pb.RedactionSpan:
        """The span of one frame; frames are asked for in order."""
        frame = seq + 1
        why = self.why(frame)
        return pb.RedactionSpan(
            camera_id=camera_id,
            epoch=epoch,
            first_seq=seq,
            last_seq=seq,
            tracks=[_segment(track, box) for track, box in self._sweep.at(frame)],
            coverage=pb.COMPLETE if why is None else pb.INCOMPLETE,
            why=why or "",
            policy=self._policy,
        )


def _segment(track: ReviewedTrack, box: tuple[float, float, float, float]) -> pb.TrackSegment:
    corners = _in_32_bit(box)
    return pb.TrackSegment(
        track_id=track.track_id,
        kind=KINDS[track.kind],
        origin=pb.TrackSegment.DETECTED,
        first=corners,
        last=corners,
        score=1,
        mode=track.mode.value,
    )


def _in_32_bit(box: tuple[float, float, float, float]) -> list[float]:
    """The box as it travels: rounded outwards, unless it was written with 32 bit in the first place."""
    exact = np.array(box)
    near = exact.astype(np.float32)
    inside = np.concatenate((near[:2] > exact[:2], near[2:] < exact[2:])) & (np.abs(near - exact) > _WRITTEN)
    outwards = np.array((-np.inf, -np.inf, np.inf, np.inf), np.float32)
    return list(map(float, np.where(inside, np.nextafter(near, outwards), near)))


class _Whys:
    """Stretches of frames with a text each; where some overlap, the one that began last."""

    def __init__(self, stretches: Collection[tuple[int, int, str]]) -> None:
        self._stretches = sorted(stretches)
        self._firsts = [first for first, _, _ in self._stretches]
        self._ends: list[int] = []  # the furthest end of all stretches up to each
        for _, last, _ in self._stretches:
            self._ends.append(max(last, self._ends[-1] if self._ends else 0))

    def at(self, frame: int) -> str | None:
        index = bisect_right(self._firsts, frame) - 1
        if index < 0 or self._ends[index] < frame:
            return None
        return self._stretches[index][2]


class ReviewedStage:
    """Writes the redactions of one video, as far ahead as its detection pictures have come; those it does not look at.

    Args:
        script: says what is masked.
    """

    name = "review"
    inputs: tuple[Topic, ...] = (FRAMES_DETECT,)
    outputs: tuple[Topic, ...] = (REDACTIONS,)
    finished = False
    remembers: Topic | None = None
    has_threads = False

    def __init__(self, script: Script) -> None:
        self._script = script
        self._epoch: tuple[str, int] | None = None
        self._next = 0
        self._told: deque[tuple[int, pb.EndOfStream | None, Position]] = deque()

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops what came from these partitions."""
        gone = {source.partition for source in partitions}
        self._told = deque(one for one in self._told if one[2].source.partition not in gone)

    def submit(self, message: Message) -> None:
        """Takes a detection picture or the end of the stream. Raises InvalidMessage."""
        try:
            body = pb.DetectMessage.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a DetectMessage") from None
        match body.WhichOneof("body"):
            case "frame":
                self._hear(body.frame.camera_id, body.frame.epoch)
                self._told.append((body.frame.seq + 1, None, message.position))
            case "end":
                self._hear(body.end.camera_id, body.end.epoch)
                self._told.append((body.end.frames, body.end, message.position))
            case _:
                raise InvalidMessage("an empty DetectMessage")

    def completed(self) -> Sequence[Emission]:
        """The spans up to the newest frame that was heard of, some at a time."""
        if not self._told or self._epoch is None:
            return ()
        until, end, position = self._told[0]
        camera_id, epoch = self._epoch
        stop = min(until, self._next + _SPANS_PER_TURN)
        messages = [
            pb.RedactionsMessage(span=self._script.span(camera_id, epoch, seq)) for seq in range(self._next, stop)
        ]
        self._next = max(self._next, stop)
        done = self._next >= until
        if done:
            self._told.popleft()
            if end is not None:
                messages.append(pb.RedactionsMessage(end=end))
        records = [Record(REDACTIONS, camera_id, message.SerializeToString()) for message in messages]
        return [Emission(records, [position] if done else [])]

    def close(self) -> None:
        """No more submits."""

    def join(self, timeout_s: float) -> Sequence[Emission]:  # noqa: ARG002, there is nothing to wait for
        """What is ready; there are no threads."""
        emissions: list[Emission] = []
        while more := self.completed():
            emissions += more
        return emissions

    def _hear(self, camera_id: str, epoch: int) -> None:
        """What was reviewed is one stream: frames of another are not what the boxes were drawn on."""
        if self._epoch is None:
            self._epoch = camera_id, epoch
        elif self._epoch != (camera_id, epoch):
            raise InvalidMessage("a stream that was not reviewed")
