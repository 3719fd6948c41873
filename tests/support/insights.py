"""Messages of metadata.tracks and metadata.stats as a tracker sends them, and databases to count them into."""

from collections.abc import Mapping
from pathlib import Path

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import METADATA_STATS, METADATA_TRACKS
from services.insight.settings import InsightSettings
from services.schema import pb

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
NOON_US = 1_767_225_600_000_000 + 12 * HOUR_US
"""The first of January 2026, 12:00 UTC."""


def settings_in(folder: Path, **more: object) -> InsightSettings:
    """Settings with a database in a folder, written at once."""
    return InsightSettings(**{"database": f"sqlite:///{folder}/insight.db", "every_s": 0.001} | more)  # type: ignore[arg-type]


def stats(
    camera_id: str = "gate",
    at_us: int = NOON_US,
    entered: int = 0,
    *,
    zones: Mapping[str, int] | None = None,
    lines: Mapping[str, tuple[int, int]] | None = None,
    kind: pb.Kind = pb.KIND_PERSON,
    frames: int = 250,
    incomplete: int = 0,
    epoch: int = 7,
    lasts_us: int = 10_000_000,
) -> pb.StatsRecord:
    """What was counted in ten seconds."""
    return pb.StatsRecord(
        camera_id=camera_id,
        epoch=epoch,
        from_us=at_us,
        to_us=at_us + lasts_us,
        kinds=[pb.KindCount(kind=kind, present=entered, entered=entered, left=entered)] if entered else [],
        zones=[pb.ZoneCount(zone=zone, kind=kind, entered=number) for zone, number in (zones or {}).items()],
        lines=[
            pb.LineCount(line=line, kind=kind, forward=forward, backward=backward)
            for line, (forward, backward) in (lines or {}).items()
        ],
        frames=frames,
        incomplete_frames=incomplete,
    )


def track(
    number: int,
    camera_id: str = "gate",
    at_us: int = NOON_US,
    *,
    dwell_s: float = 4.0,
    ended: bool = True,
    zones: tuple[str, ...] = (),
    box: tuple[float, float, float, float] = (100, 100, 140, 200),
    kind: pb.Kind = pb.KIND_PERSON,
    epoch: int = 7,
) -> pb.TrackRecord:
    """A track in a picture of 640 × 360 pixels."""
    return pb.TrackRecord(
        camera_id=camera_id,
        epoch=epoch,
        track_id=number,
        kind=kind,
        first_us=at_us - round(dwell_s * 1e6),
        last_us=at_us,
        box=box,
        dwell_s=dwell_s,
        ended=ended,
        zones=zones,
        source_width=640,
        source_height=360,
    )


def quiet(camera_id: str = "gate", *, start_us: int, end_us: int) -> list[pb.StatsRecord]:
    """A camera that saw nobody: a record every ten minutes."""
    return [stats(camera_id, at_us) for at_us in range(start_us, end_us, 10 * MINUTE_US)]


def message(told: pb.StatsRecord | pb.TrackRecord, offset: int = 0) -> Message:
    """A record as it comes from a bus."""
    topic = METADATA_STATS if isinstance(told, pb.StatsRecord) else METADATA_TRACKS
    record = Record(topic, told.camera_id, told.SerializeToString())
    return Message(record, Position(TopicPartition(topic.name, 0), offset), told_us(told))


def told_us(told: pb.StatsRecord | pb.TrackRecord) -> int:
    """When a record was ready."""
    return told.to_us if isinstance(told, pb.StatsRecord) else told.last_us
