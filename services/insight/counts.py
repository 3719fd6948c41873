"""Turns messages of metadata.tracks and metadata.stats into what they add to the counts of an interval."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from google.protobuf.message import DecodeError

from services.bus.interface import Message
from services.bus.topics import METADATA_STATS, METADATA_TRACKS
from services.insight.grid import dwell_bin, heat_cell, hour_of, step_of
from services.schema import pb

# More than these is no count of a camera but a broken or hostile writer.
_COUNT_MAX = 1_000_000
_PLACES_MAX = 4096
_NAME_MAX = 64

Told = pb.StatsRecord | pb.TrackRecord


@dataclass(frozen=True, slots=True)
class Cell:
    """One count: of which camera, interval, measure, place, kind and bin."""

    camera_id: str
    level: str
    at_us: int
    measure: str
    place: str
    kind: str
    bin: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """What one message adds, once.

    Attributes:
        identity: the same for everything that must be counted once only within the hour.
        cells: counts with their increments.
    """

    camera_id: str
    at_us: int
    identity: bytes
    cells: tuple[tuple[Cell, int], ...]
    frames: int = 0
    incomplete: int = 0


def parse(message: Message, latest_us: int) -> Told | None:
    """The record of a message; None where it is none, is another camera's, or claims a time after `latest_us`."""
    record = message.record
    kind: type[Told] = pb.StatsRecord if record.topic is METADATA_STATS else pb.TrackRecord
    try:
        told = kind.FromString(record.value)
    except DecodeError:
        return None
    if not told.camera_id or told.camera_id != record.key:
        return None
    plausible = _stats(told, latest_us) if isinstance(told, pb.StatsRecord) else _track(told, latest_us)
    return told if plausible else None


def counts_of(told: Told, step_s: int) -> Iterator[Count]:
    """What a record adds, each part with its own identity."""
    if isinstance(told, pb.StatsRecord):
        yield _of_stats(told, step_s)
    else:
        yield from _of_track(told)


def kind_word(kind: pb.Kind) -> str:
    """face, plate, person, …; «unspecified» of a kind that this version does not know."""
    return pb.Kind.Name(kind).removeprefix("KIND_").lower() if kind in pb.Kind.values() else "unspecified"


def _stats(told: pb.StatsRecord, latest_us: int) -> bool:
    places = len(told.kinds) + len(told.zones) + len(told.lines)
    numbers = [one.entered for one in told.kinds] + [one.entered for one in told.zones]
    numbers += [number for line in told.lines for number in (line.forward, line.backward)]
    names = [one.zone for one in told.zones] + [one.line for one in told.lines]
    return (
        0 < told.from_us < told.to_us <= latest_us
        and places <= _PLACES_MAX
        and max(numbers, default=0) <= _COUNT_MAX
        and all(0 < len(name) <= _NAME_MAX for name in names)
    )


def _track(told: pb.TrackRecord, latest_us: int) -> bool:
    return (
        0 < told.first_us <= told.last_us <= latest_us
        and len(told.zones) <= _NAME_MAX
        and all(0 < len(name) <= _NAME_MAX for name in told.zones)
    )


def _of_stats(told: pb.StatsRecord, step_s: int) -> Count:
    at_us = step_of(told.from_us, step_s)

    def cell(measure: str, place: str, kind: pb.Kind) -> Cell:
        return Cell(told.camera_id, "step", at_us, measure, place, kind_word(kind))

    cells = [(cell("entered", "", one.kind), one.entered) for one in told.kinds]
    cells += [(cell("zone", one.zone, one.kind), one.entered) for one in told.zones]
    cells += [(cell("forward", one.line, one.kind), one.forward) for one in told.lines]
    cells += [(cell("backward", one.line, one.kind), one.backward) for one in told.lines]
    identity = _identity("stats", told.epoch, told.from_us)
    counted = tuple((cell, number) for cell, number in cells if number)
    return Count(told.camera_id, at_us, identity, counted, told.frames, told.incomplete_frames)


def _of_track(told: pb.TrackRecord) -> Iterator[Count]:
    at_us = hour_of(told.last_us)
    kind = kind_word(told.kind)

    def count(identity: str, measure: str, places: Iterable[str], number: int = 0) -> Count:
        cells = tuple((Cell(told.camera_id, "hour", at_us, measure, place, kind, number), 1) for place in places)
        return Count(told.camera_id, at_us, _identity(identity, told.epoch, told.track_id), cells)

    where = heat_cell(told)
    if where is not None:
        yield count(f"heat {where}", "heat", ("",), where)
    if told.ended:
        yield count("dwell", "dwell", ("",), dwell_bin(told.dwell_s))
        # A track that goes to and fro is one track of each flow.
        flows = sorted({f"{a} → {b}" for a, b in pairwise(told.zones)})
        if flows:
            yield count("flow", "flow", flows)


def _identity(*of: str | int) -> bytes:
    return hashlib.blake2b("/".join(map(str, of)).encode(), digest_size=16).digest()


TOPICS = (METADATA_TRACKS, METADATA_STATS)
"""What is counted."""
