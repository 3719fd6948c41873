"""One epoch of one camera: looks in, spans out, and the buffer between them that lets masks reach back in time."""

import math
from collections import deque
from collections.abc import Iterable

from google.protobuf.message import Message

from services.bus.clock import Clock
from services.bus.interface import Position, Record
from services.bus.topics import METADATA_STATS, METADATA_TRACKS, REDACTIONS, Topic
from services.runtime.metrics import frame_left
from services.runtime.stage import Emission
from services.schema import pb
from services.tracker import metrics
from services.tracker.clock import FrameClock
from services.tracker.faults import Fault
from services.tracker.follower import Follower
from services.tracker.look import Look, read_look
from services.tracker.motion import Reach
from services.tracker.rules import Rules
from services.tracker.settings import TrackerSettings
from services.tracker.spans import segments, why_incomplete
from services.tracker.statistics import Statistics

# Chosen with tests/unit/tracker/simulator.py: fewest subject-frames left open for the area masked (see README.md).
_SETTLE_S = 2.0
"""Time in which a lost track's velocity falls to 1/e."""

_DRIFT = 0.2
"""Widening of an unseen track on each side, share of the way it is moved."""

_REPLAY_MARGIN = 1.25
"""The replay window is counted in frames at a measured rate, which after a restart may come out a little different."""

_SETTLING_S = 1.0
"""Further back in a replay: whatever is held then was seen often enough for its velocity to be known."""

_HOPS_MAX = 8
_STAGE_MAX = 32
"""Hops of a trace that are passed on, and characters of a name: it goes out again with every span."""


class Epoch:
    """Follows one epoch of one camera.

    Args:
        first: the oldest look that is known, still to be added.
        settings: bounds and intervals.
        wall: microseconds since 1970.
    """

    def __init__(self, first: pb.Detections, settings: TrackerSettings, wall: Clock) -> None:
        self.camera_id = first.camera_id
        self.number = first.epoch
        self._settings = settings
        self._wall = wall
        self._size = (0.0, 0.0, float(first.source_width), float(first.source_height))
        self._clock = FrameClock(first)
        self._follower = Follower(f"{self.camera_id}/{self.number}", settings.tracks_max)
        self._statistics = Statistics(first, self._clock.seconds, settings)
        self._rules: Rules | None = None
        self._looks: deque[Look] = deque()
        self._next = 0
        self._resumed_at: int | None = None
        self._changed_at: int | None = None
        self._ran_s: dict[str, float] = {}
        self._trace: list[pb.Hop] = []
        self._open: deque[tuple[int, Position]] = deque()
        self._records: list[Record] = []
        self._done: list[Position] = []

    @property
    def tracks(self) -> int:
        """Tracks in memory."""
        return len(self._follower)

    @property
    def newest(self) -> int:
        """Frame of the newest look; -1 before there is one."""
        return self._looks[-1].seq if self._looks else -1

    def add(self, message: pb.Detections, position: Position, rules: Rules | None) -> None:
        """Takes in one look. One that is not newer than the last repeats what is known, and changes nothing."""
        if message.seq <= self.newest:
            self._done.append(position)
            return
        hops = [hop for hop in message.trace[-_HOPS_MAX:] if len(hop.stage) <= _STAGE_MAX]
        self._trace = [*hops, pb.Hop(stage="tracker", received_us=self._wall())]
        self._open.append((message.seq, position))
        if rules is not None and self._rules is not None and rules.sight != self._rules.sight:
            self._changed_at = message.seq
        self._rules = rules or self._rules
        broken = None
        if self._looks:
            broken = self._advance(message)
        else:
            self._begin(message)
        now = self._clock.seconds
        ages = {name: now - ran_s for name, ran_s in self._ran_s.items()}
        look = read_look(message, now, rules, broken, ages, self._settings.boxes_max)
        # A run that failed was due: until the next one nobody knows what came since the one before.
        self._ran_s = {name: ran_s for name, ran_s in self._ran_s.items() if name not in look.faults}
        self._ran_s |= dict.fromkeys(look.ran, now)
        resuming = self._resumed_at is not None and look.seq < self._warm_from + _SETTLING_S * self._clock.rate
        seen = self._follower.follow(look, self._looks, self._clock.rate, resuming=resuming)
        ended = self._follower.retire(look.seq - self._replay_frames)
        self._looks.append(look)
        metrics.LOOKS.inc()
        self._publish_metadata(self._statistics.update(look, seen, ended), look, now=False)
        while len(self._looks) > 1 and self._due():
            self._emit(self._looks[1].seq, self._looks[1].broken)
        # An interval's counts need all its looks, and those before it that tell who was there already.
        needed = min(self._next, self._statistics.first_seq)
        self._finish(needed - _REPLAY_MARGIN * self._replay_frames - _SETTLING_S * self._clock.rate)

    def end(self, message: pb.EndOfStream | None) -> None:
        """Emits what is buffered, up to the last frame if the stream says which one that was."""
        while len(self._looks) > 1:
            self._emit(self._looks[1].seq, self._looks[1].broken)
        last = self._looks[0]
        if message is not None:
            end = max(message.frames, last.seq + 1)
            self._emit(end, self._gap_at_end(last.seq, end))
            self._publish(REDACTIONS, pb.RedactionsMessage(end=message))
        ended = self._statistics.end(self._follower.retire(last.seq + 1))
        self._publish_metadata(ended, last, now=True)
        self._finish(math.inf)

    def take(self) -> Emission:
        """What is ready, once."""
        emission = Emission(self._records, self._done)
        self._records, self._done = [], []
        return emission

    @property
    def _replay_frames(self) -> float:
        """Frames for which a track is remembered after its last sight, and a restarted tracker looks back."""
        return self._rules.replay_s * self._clock.rate if self._rules is not None else 0.0

    @property
    def _warm_from(self) -> float:
        """First frame for which a tracker that began in mid-stream knows all that is still held."""
        return self._resumed_at + self._replay_frames if self._resumed_at is not None else 0.0

    @property
    def _settled_from(self) -> float:
        """First frame for which all that is still held was looked for under the policy whose label spans carry now."""
        return self._changed_at + self._replay_frames if self._changed_at is not None else 0.0

    def _begin(self, message: pb.Detections) -> None:
        """Answers for the frames before the first look that is known."""
        if message.has_previous:
            self._resumed_at = message.seq
        if message.seq > 0:
            late = Fault(pb.Closing.LOOK_LOST, f"The first look that is known is at frame {message.seq}.")
            self._publish_span(message.seq, [], late)

    def _advance(self, message: pb.Detections) -> Fault | None:
        """Moves the clock on; says why the frames since the look before are not known, None if they are."""
        last = self._looks[-1].seq
        seconds = self._clock.advance(message)
        if not message.has_previous or message.previous_seq != last:
            metrics.GAPS.inc()
            return Fault(pb.Closing.LOOK_LOST, f"What was seen between frames {last} and {message.seq} was lost.")
        return self._gap(last, message.seq, seconds)

    def _gap(self, last: int, end: int, seconds: float) -> Fault | None:
        """Why the stretch from a look to the next is too long, None if it is not."""
        if self._rules is None or end - last <= 1:
            return None
        if seconds <= self._rules.policy.detection.gap_max_s + 1 / self._clock.rate:
            return None
        metrics.GAPS.inc()
        return Fault(pb.Closing.LOOK_TOO_LATE, f"No look for {seconds:.2f} s from frame {last} on.")

    def _gap_at_end(self, last: int, end: int) -> Fault | None:
        """The same for the last frames: the decoder would have made another look, which must then be lost."""
        if self._rules is not None and end - last > self._rules.policy.detection.every_max:
            metrics.GAPS.inc()
            return Fault(pb.Closing.LOOK_LOST, f"No look in the last {end - last} frames.")
        return self._gap(last, end, (end - last) / self._clock.rate)

    def _due(self) -> bool:
        """True when the look-ahead of the oldest span is over, or the buffer is full."""
        ahead = self._rules.policy.tracking.look_ahead_s * self._clock.rate if self._rules is not None else 0.0
        # To the nearest frame: a measured rate a trifle too high must not cost the wait for one more look.
        enough = self._looks[-1].seq - self._looks[0].seq >= ahead - 0.5
        return enough or len(self._looks) > self._settings.looks_max

    def _emit(self, end: int, broken: Fault | None) -> None:
        """Publishes the span from the oldest look to the one before frame `end`, and drops that look."""
        first = self._looks.popleft()
        second = self._looks[0] if self._looks else None
        why = why_incomplete(first, second, broken, self._warm_from, self._settled_from)
        reaches = self._reaches()
        self._publish_span(end, segments(self._follower, first.seq, end, reaches, self._size), why)
        if self._rules is not None:
            frame_left("tracker", self.camera_id, first.captured_us, self._wall())
        self._follower.forget(end, max((reach.hold for reach in reaches.values()), default=0.0))

    def _publish_span(self, end: int, tracks: list[pb.TrackSegment], why: Fault | None) -> None:
        coverage = pb.COMPLETE if why is None else pb.INCOMPLETE
        span = pb.RedactionSpan(
            camera_id=self.camera_id,
            epoch=self.number,
            first_seq=self._next,
            last_seq=end - 1,
            tracks=tracks,
            coverage=coverage,
            why="" if why is None else why.sentence,
            closing=None if why is None else why.closing,
            policy=self._rules.label if self._rules is not None else "",
            trace=self._trace,
        )
        span.trace[-1].sent_us = self._wall()
        self._publish(REDACTIONS, pb.RedactionsMessage(span=span))
        self._statistics.emitted(end - self._next, complete=why is None)
        metrics.SPANS.labels("complete" if why is None else "incomplete").inc()
        self._next = end

    def _publish(self, topic: Topic, message: Message) -> None:
        self._records.append(Record(topic, self.camera_id, message.SerializeToString()))

    def _publish_metadata(self, tracks: Iterable[pb.TrackRecord], look: Look, *, now: bool) -> None:
        for record in tracks:
            self._publish(METADATA_TRACKS, record)
        if (stats := self._statistics.turn(look.seq, look.seconds, now=now)) is not None:
            self._publish(METADATA_STATS, stats)

    def _finish(self, below: float) -> None:
        """Names the positions of looks that lie before a frame as done."""
        while self._open and self._open[0][0] < below:
            self._done.append(self._open.popleft()[1])

    def _reaches(self) -> dict[pb.Kind, Reach]:
        if self._rules is None:
            return {}
        rate, tracking = self._clock.rate, self._rules.policy.tracking
        return {
            rules.kind: Reach(
                back=tracking.look_ahead_s * rate,
                hold=rules.hold_s * rate,
                once=rules.once_s * rate,
                growth=tracking.growth_per_s / rate,
                settle=_SETTLE_S * rate,
                drift=_DRIFT,
            )
            for rules in self._rules.kinds
        }


def unseen(end: pb.EndOfStream) -> list[Record]:
    """The records of an epoch that ended without one look that is known."""
    records = []
    if end.frames:
        span = pb.RedactionSpan(
            camera_id=end.camera_id,
            epoch=end.epoch,
            first_seq=0,
            last_seq=end.frames - 1,
            coverage=pb.INCOMPLETE,
            why="Nobody looked at this stream.",
            closing=pb.Closing(reason=pb.Closing.UNSEEN),
        )
        metrics.SPANS.labels("incomplete").inc()
        records.append(Record(REDACTIONS, end.camera_id, pb.RedactionsMessage(span=span).SerializeToString()))
    message = pb.RedactionsMessage(end=end)
    return [*records, Record(REDACTIONS, end.camera_id, message.SerializeToString())]
