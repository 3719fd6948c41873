"""Listens to what a line puts out and writes down what a person wants to know of it: counts, tracks, metadata."""

from collections import Counter
from dataclasses import dataclass, field
from typing import IO

from google.protobuf.json_format import MessageToJson

from services.bus.interface import Bus, Committable, Message, Record
from services.bus.topics import DETECTIONS, METADATA_TRACKS, VIDEO_REDACTED
from services.embedded.wiring import RECORDED, RECORDER
from services.report.tally import Tally
from services.schema import pb

# Bounds what one turn may take from the bus.
_MOST = 2000


@dataclass(slots=True)
class Outcome:
    """What became of one camera's frames.

    Attributes:
        tally: frames, closed frames and masks, over time.
        tracks: kind → finished tracks.
        looks: frames at which detectors looked.
        models: detector → model and version that answered.
        last_t_s: time of the last frame, seconds from the first.
        pending: frames of the running epoch that were seen.
    """

    tally: Tally = field(default_factory=Tally)
    tracks: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    models: dict[str, tuple[str, str]] = field(default_factory=dict)
    last_t_s: float = 0.0
    first_pts: int | None = None
    pending: int = 0


class Recorder:
    """One more reader of the bus, in the main thread.

    Args:
        bus: must wait for RECORDER as a reader of RECORDED, so that nothing is missed.
        metadata: file that takes tracks and statistics as JSON lines, None for none.
    """

    def __init__(self, bus: Bus, metadata: IO[str] | None = None) -> None:
        self._consumer = bus.consumer(RECORDER, RECORDED)
        self._metadata = metadata
        self.outcomes: dict[str, Outcome] = {}

    def outcome(self, camera_id: str) -> Outcome:
        """What is known of a camera so far."""
        return self.outcomes.setdefault(camera_id, Outcome())

    def poll(self, timeout_s: float) -> bool:
        """Takes what is there, waiting at most `timeout_s` for the first of it. False if nothing came."""
        messages = self._consumer.poll(timeout_s, _MOST)
        commits = {}
        for message in messages:
            self._take(message)
            commits[message.position.source] = Committable.after(message.position)
        if commits:
            self._consumer.commit(commits)
        return bool(messages)

    def _take(self, message: Message) -> None:
        record = message.record
        if record.topic is VIDEO_REDACTED:
            self._take_redacted(record)
        elif record.topic is DETECTIONS:
            self._take_detections(record)
        elif record.topic is METADATA_TRACKS:
            track = pb.TrackRecord.FromString(record.value)
            if track.ended:
                self.outcome(record.key).tracks[kind_name(track.kind)] += 1
            self._write("track", track)
        else:
            self._write("stats", pb.StatsRecord.FromString(record.value))

    def _take_redacted(self, record: Record) -> None:
        message = pb.RedactedMessage.FromString(record.value)
        outcome = self.outcome(record.key)
        if message.HasField("unit"):
            unit = message.unit
            if outcome.first_pts is None:
                outcome.first_pts = unit.pts
            t_s = (unit.pts - outcome.first_pts) * unit.time_base_num / unit.time_base_den
            masks = {kind_name(mask.kind): mask.count for mask in unit.masks}
            outcome.tally.add(t_s, masks, unit.why or "closed" if unit.closed else None)
            outcome.last_t_s = max(outcome.last_t_s, t_s)
            outcome.pending += 1
        elif message.HasField("end"):
            for _ in range(outcome.pending, message.end.frames):
                outcome.tally.add(outcome.last_t_s, {}, "left out", dropped=True)
            outcome.pending = 0

    def _take_detections(self, record: Record) -> None:
        message = pb.DetectionsMessage.FromString(record.value)
        if message.HasField("detections"):
            outcome = self.outcome(record.key)
            outcome.looks += 1
            for result in message.detections.results:
                if result.status == pb.DetectorResult.RAN:
                    outcome.models[result.detector] = (result.model, result.version)

    def _write(self, kind: str, message: pb.TrackRecord | pb.StatsRecord) -> None:
        if self._metadata is not None:
            body = MessageToJson(message, indent=None, preserving_proto_field_name=True)
            self._metadata.write(f'{{"type": "{kind}", {body[1:]}\n')


def kind_name(kind: int) -> str:
    """The name that policies use for a veil.v1 Kind."""
    return pb.Kind.Name(kind).removeprefix("KIND_").lower()
