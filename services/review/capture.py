"""Listens to a line while it masks, and writes down every mask and every closed frame, in memory that does not grow."""

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from services.bus.interface import Bus, Committable, Consumer, Record
from services.bus.topics import DETECTIONS, REDACTIONS, VIDEO_REDACTED, Topic
from services.embedded.errors import ExitCode, RunError
from services.policy.model import Kind, Policy
from services.policy.wire import KINDS
from services.review.model import FRAMES_MAX, TRACKS_MAX, Closed, Origin, Stretch, Track
from services.review.mot import LINES_MAX, is_off, row
from services.schema import pb

_MOST = 2000
_REASONS_MAX = 200
"""Different reasons for closing that are kept; more become `other reasons`."""

_EARLY_MAX = 10_000
"""Spans without a look: they hold no track."""

_UNSEEN, _OPEN = 0, 1
_LEFT_OUT = "The frame was left out."

_ORIGINS = {
    pb.TrackSegment.DETECTED: "detected",
    pb.TrackSegment.INTERPOLATED: "interpolated",
    pb.TrackSegment.BACKFILLED: "backfilled",
    pb.TrackSegment.PREDICTED: "predicted",
}
_KIND_OF = {value: kind for kind, value in KINDS.items()}


@dataclass(slots=True)
class _Seen:
    """What is known of one track so far."""

    number: int
    kind: Kind
    last: int
    gaps: list[list[int]] = field(default_factory=list)
    origins: list[tuple[list[int], str]] = field(default_factory=list)


class Capture:
    """A listener that writes gt.txt while the line runs.

    Args:
        path: of gt.txt, whose folder exists.
        policy: the line's.

    Attributes:
        size: width and height of the upright picture; (0, 0) until something of it was heard.
        frames: of the video, once it has ended.
    """

    name = "review"
    topics: tuple[Topic, ...] = (DETECTIONS, REDACTIONS, VIDEO_REDACTED)

    def __init__(self, path: Path, policy: Policy) -> None:
        self.size = (0, 0)
        self.frames = 0
        self._path = path
        self._policy = policy
        self._consumer: Consumer
        self._file: TextIO
        self._failure: RunError | None = None
        self._tracks: dict[int, _Seen] = {}
        self._next = 0
        self._lines = 0
        self._fate = array("B")  # of each frame: not seen, open, or 2 + the reason why it is closed
        self._whys: list[str] = []
        self._early: list[pb.RedactionSpan] = []  # spans that came before the picture's size was known

    def join(self, bus: Bus) -> None:
        """Begins to read. Raises RunError where gt.txt can't be written."""
        try:
            self._file = self._path.open("w", encoding="ascii")
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._consumer = bus.consumer(self.name, self.topics)

    def poll(self) -> bool:
        """Takes what is there. What goes wrong is told by `tracks`: the masked video must not fail of it."""
        messages = self._consumer.poll(0, _MOST)
        for message in messages:
            if self._failure is None:
                self._take(message.record)
        commits = {message.position.source: Committable.after(message.position) for message in messages}
        if commits:
            self._consumer.commit(commits)
        return bool(messages)

    def tracks(self) -> dict[int, Track]:
        """Every track of gt.txt, by its number there. Raises RunError where not everything could be written down."""
        try:
            self._file.close()
        except OSError as error:
            self._failure = self._failure or _unwritable(self._path, error)
        if self._failure is not None:
            raise self._failure
        return {
            seen.number: Track(
                kind=seen.kind,
                mode=self._policy.mode_of(seen.kind),
                gaps=tuple(Stretch(first=a, last=b) for a, b in seen.gaps),
                origins=tuple(_origin(a, b, name) for (a, b), name in seen.origins),
            )
            for seen in self._tracks.values()
        }

    def closed(self) -> tuple[Closed, ...]:
        """Every stretch of frames that did not come out open, and why."""
        found: list[list[int]] = []
        fates = self._fate[: self.frames] + array("B", bytes(max(0, self.frames - len(self._fate))))
        for frame, fate in enumerate(fates, 1):
            if fate == _OPEN:
                continue
            if found and found[-1][1] == frame - 1 and found[-1][2] == fate:
                found[-1][1] = frame
            else:
                found.append([frame, frame, fate])
        return tuple(Closed(first=a, last=b, why=self._why(fate)) for a, b, fate in found)

    def _why(self, fate: int) -> str:
        return _LEFT_OUT if fate == _UNSEEN else self._whys[fate - 2]

    def _take(self, record: Record) -> None:
        try:
            if record.topic is REDACTIONS:
                message = pb.RedactionsMessage.FromString(record.value)
                if message.HasField("span"):
                    self._early.append(message.span)
                self._take_spans()
            elif record.topic is DETECTIONS:
                looked = pb.DetectionsMessage.FromString(record.value)
                if looked.HasField("detections"):
                    self._sized(looked.detections.source_width, looked.detections.source_height)
            else:
                redacted = pb.RedactedMessage.FromString(record.value)
                if redacted.HasField("unit"):
                    self._take_unit(redacted.unit)
                elif redacted.HasField("end"):
                    self.frames = redacted.end.frames
        except RunError as error:
            self._failure = error
        except OSError as error:
            self._failure = _unwritable(self._path, error)

    def _take_unit(self, unit: pb.RedactedUnit) -> None:
        if unit.seq >= FRAMES_MAX:
            raise _too_much(f"{FRAMES_MAX} frames")
        self._sized(unit.width, unit.height)
        if unit.seq >= len(self._fate):
            self._fate.extend(bytes(unit.seq + 1 - len(self._fate)))
        self._fate[unit.seq] = 2 + self._reason(unit.why or "closed") if unit.closed else _OPEN

    def _reason(self, why: str) -> int:
        if why not in self._whys:
            if len(self._whys) >= _REASONS_MAX:
                why = "other reasons"
            if why not in self._whys:
                self._whys.append(why)
        return self._whys.index(why)

    def _sized(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._take_spans()

    def _take_spans(self) -> None:
        if self.size == (0, 0):
            if len(self._early) > _EARLY_MAX:
                raise RunError("the review can't be written: nothing is known of the picture", ExitCode.INTERNAL)
            return
        early, self._early = self._early, []
        for span in early:
            self._take_span(span)

    def _take_span(self, span: pb.RedactionSpan) -> None:
        first = max(span.first_seq, self._next)
        steps = max(1, span.last_seq - span.first_seq)
        for seq in range(first, span.last_seq + 1):
            for segment in span.tracks:
                share = (seq - span.first_seq) / steps
                pairs = zip(segment.first, segment.last, strict=True)
                self._write(seq + 1, segment, [a + (b - a) * share for a, b in pairs])
        self._next = max(self._next, span.last_seq + 1)

    def _write(self, frame: int, segment: pb.TrackSegment, box: list[float]) -> None:
        kind = _KIND_OF.get(segment.kind)
        if kind is None or kind not in self._policy.kinds or is_off(box, self._policy.rule(kind).padding, self.size):
            return
        if self._lines >= LINES_MAX:
            raise _too_much(f"{LINES_MAX} masks")
        seen = self._seen(frame, segment, kind)
        self._file.write(row(frame, seen.number, box, kind))
        self._lines += 1

    def _seen(self, frame: int, segment: pb.TrackSegment, kind: Kind) -> _Seen:
        seen = self._tracks.get(segment.track_id)
        if seen is None:
            if len(self._tracks) >= TRACKS_MAX:
                raise _too_much(f"{TRACKS_MAX} tracks")
            # Numbered as they come: CVAT numbers tracks in the same way when it writes them again.
            seen = self._tracks[segment.track_id] = _Seen(len(self._tracks) + 1, kind, frame - 1)
        if frame > seen.last + 1:
            seen.gaps.append([seen.last + 1, frame - 1])
        seen.last = frame
        origin = _ORIGINS.get(segment.origin, "unknown")
        if seen.origins and seen.origins[-1][1] == origin and seen.origins[-1][0][1] == frame - 1:
            seen.origins[-1][0][1] = frame
        else:
            seen.origins.append(([frame, frame], origin))
        return seen


def _origin(first: int, last: int, name: str) -> Origin:
    return Origin.model_validate({"first": first, "last": last, "origin": name})


def _too_much(what: str) -> RunError:
    return RunError(f"the review can't be written: more than {what}; cut the video into parts", ExitCode.OUTPUT)


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"{path}: can't be written: {(error.strerror or 'unknown error').lower()}", ExitCode.OUTPUT)
