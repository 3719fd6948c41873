"""Anonymous counts and paths: who was there, how long, which way, through which zones and over which lines."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from services.schema import pb
from services.tracker.look import Look
from services.tracker.motion import Track
from services.tracker.places import XY, Places
from services.tracker.settings import TrackerSettings

_COUNTED_FROM = 2
"""Sights from which a track counts: a single one is often a false alarm."""

_STEP = 0.25
"""Way, in box lengths, that makes a step: a detector's jitter on a line or a border would count as crossings."""


@dataclass(slots=True)
class _Journey:
    """Where one track has been; times in seconds of the stream."""

    track: Track
    first_seq: int
    started: float
    seen: float
    recorded: float
    start: XY
    at: XY
    counted: bool = False
    distance: float = 0.0
    inside: dict[str, float] = field(default_factory=dict)
    zones: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """Comings and goings in an interval."""

    present: set[int] = field(default_factory=set)
    entered: int = 0
    left: int = 0
    dwell_s: float = 0.0

    def leave(self, dwell_s: float) -> None:
        self.left += 1
        self.dwell_s += dwell_s

    @property
    def mean_dwell_s(self) -> float:
        return self.dwell_s / self.left if self.left else 0.0


@dataclass(slots=True)
class _Interval:
    """Counts since the last StatsRecord.

    Attributes:
        number: which interval of the stream it is, from 0.
        first_seq: frame of the look from which it counts.
        whole: its beginning was seen.
    """

    number: int
    first_seq: int
    whole: bool = True
    kinds: dict[pb.Kind, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    zones: dict[tuple[str, pb.Kind], _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    lines: dict[tuple[str, pb.Kind], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    frames: int = 0
    incomplete: int = 0


class Statistics:
    """The metadata of one epoch. It holds no picture, no text, and no id that outlives the epoch.

    Intervals begin at multiples of their length in stream time, so that a replay tells of the same ones.

    Args:
        first: the oldest look that is known. If it is not the epoch's first, the interval it falls into is left to
            whoever saw its beginning.
        seconds: stream time of that look.
    """

    def __init__(self, first: pb.Detections, seconds: float, settings: TrackerSettings) -> None:
        self._camera_id = first.camera_id
        self._epoch = first.epoch
        self._width, self._height = first.source_width, first.source_height
        self._settings = settings
        self._places = Places(None, self._width, self._height)
        self._label = ""
        self._journeys: dict[int, _Journey] = {}
        self._interval = _Interval(self._number(seconds), first.seq, whole=not first.has_previous)

    @property
    def first_seq(self) -> int:
        """Frame from which on looks are needed again to count the current interval anew."""
        return self._interval.first_seq

    def emitted(self, frames: int, *, complete: bool) -> None:
        """Counts frames whose span went out."""
        self._interval.frames += frames
        self._interval.incomplete += 0 if complete else frames

    def update(self, look: Look, seen: Iterable[Track], ended: Iterable[Track]) -> Iterator[pb.TrackRecord]:
        """Takes in a look, with the tracks it saw and those given up at it; yields the track records that are due."""
        if look.rules is not None and look.rules.label != self._label:
            self._places = Places(look.rules.policy, self._width, self._height)
            self._label = look.rules.label
        for track in seen:
            journey = self._saw(track, look)
            if journey.counted and look.seconds - journey.recorded >= self._settings.track_record_every_s:
                journey.recorded = look.seconds
                yield self._track_record(journey, ended=False)
        yield from self.end(ended)

    def end(self, ended: Iterable[Track]) -> Iterator[pb.TrackRecord]:
        """Yields the last records of tracks that were given up."""
        for track in ended:
            journey = self._journeys.pop(track.track_id)
            if not journey.counted:
                continue
            self._interval.kinds[track.kind].leave(journey.seen - journey.started)
            for zone in list(journey.inside):
                self._leave(journey, zone, journey.seen)
            yield self._track_record(journey, ended=True)

    def turn(self, seq: int, seconds: float, *, now: bool = False) -> pb.StatsRecord | None:
        """The record of the interval if it is over at this look, and a new interval; `now` ends it early."""
        number = self._number(seconds)
        if not now and number <= self._interval.number:
            return None
        interval, self._interval = self._interval, _Interval(number, seq)
        if not interval.whole:
            return None
        return pb.StatsRecord(
            camera_id=self._camera_id,
            epoch=self._epoch,
            from_us=self._us(interval.number * self._settings.stats_every_s),
            to_us=self._us(seconds if now else number * self._settings.stats_every_s),
            kinds=[
                pb.KindCount(
                    kind=kind,
                    present=len(tally.present),
                    entered=tally.entered,
                    left=tally.left,
                    mean_dwell_s=tally.mean_dwell_s,
                )
                for kind, tally in sorted(interval.kinds.items())
            ],
            zones=[
                pb.ZoneCount(
                    zone=zone, kind=kind, entered=tally.entered, left=tally.left, mean_dwell_s=tally.mean_dwell_s
                )
                for (zone, kind), tally in sorted(interval.zones.items())
            ],
            lines=[
                pb.LineCount(line=line, kind=kind, forward=forward, backward=backward)
                for (line, kind), (forward, backward) in sorted(interval.lines.items())
            ],
            frames=interval.frames,
            incomplete_frames=interval.incomplete,
        )

    def _number(self, seconds: float) -> int:
        return int(seconds // self._settings.stats_every_s)

    def _saw(self, track: Track, look: Look) -> _Journey:
        at = _anchor(track)
        journey = self._journeys.get(track.track_id)
        if journey is None:
            journey = _Journey(track, look.seq, look.seconds, look.seconds, look.seconds, at, at)
            self._journeys[track.track_id] = journey
        journey.seen = look.seconds
        if track.sights < _COUNTED_FROM:
            return journey
        tally = self._interval.kinds[track.kind]
        tally.present.add(track.track_id)
        if not journey.counted:
            journey.counted = True
            tally.entered += 1
            self._visit(journey, journey.at, journey.started)
        step = math.dist(journey.at, at)
        if step >= _STEP * math.sqrt(track.box.w * track.box.h):
            if self._places:
                self._cross(journey, at)
                self._visit(journey, at, look.seconds)
            journey.distance += step
            journey.at = at
        return journey

    def _cross(self, journey: _Journey, at: XY) -> None:
        """Notes which lines a step leads over."""
        for line, forward in self._places.crossed(journey.at, at):
            self._interval.lines[line, journey.track.kind][0 if forward else 1] += 1

    def _visit(self, journey: _Journey, at: XY, seconds: float) -> None:
        """Notes which zones a track came into and went out of."""
        inside = set(self._places.zones_at(at))
        for zone in sorted(inside - journey.inside.keys()):
            journey.inside[zone] = seconds
            self._interval.zones[zone, journey.track.kind].entered += 1
            if zone not in journey.zones:
                journey.zones.append(zone)
        for zone in journey.inside.keys() - inside:
            self._leave(journey, zone, seconds)

    def _leave(self, journey: _Journey, zone: str, seconds: float) -> None:
        self._interval.zones[zone, journey.track.kind].leave(seconds - journey.inside.pop(zone))

    def _track_record(self, journey: _Journey, *, ended: bool) -> pb.TrackRecord:
        track = journey.track
        dx, dy = journey.at[0] - journey.start[0], journey.at[1] - journey.start[1]
        return pb.TrackRecord(
            camera_id=self._camera_id,
            epoch=self._epoch,
            track_id=track.track_id,
            kind=track.kind,
            first_seq=journey.first_seq,
            last_seq=track.last_seq,
            first_us=self._us(journey.started),
            last_us=self._us(journey.seen),
            box=track.box.xyxy(),
            dwell_s=journey.seen - journey.started,
            direction_deg=math.degrees(math.atan2(dy, dx)) % 360,
            distance_px=journey.distance,
            ended=ended,
            zones=journey.zones,
            source_width=self._width,
            source_height=self._height,
        )

    def _us(self, seconds: float) -> int:
        """Stream time as microseconds since 1970, counted from the epoch: a file's has nothing to do with the clock."""
        return self._epoch + round(seconds * 1e6)


def _anchor(track: Track) -> XY:
    """The point that is in a zone or crosses a line: a person's feet, the middle of anything else."""
    box = track.box
    return (box.x, box.y + box.h / 2) if track.kind == pb.KIND_PERSON else (box.x, box.y)
