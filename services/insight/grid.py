"""The fixed grids of the statistics: intervals of time, bins of dwell, and the cells of the heat map."""

from bisect import bisect_right
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.schema import pb

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US

COLUMNS, ROWS = 16, 9
"""Cells of the heat map, from the left upper corner row by row."""

DWELL_S = (2, 5, 10, 30, 60, 120, 300, 900, 3600)
"""Upper ends of the bins of dwell in seconds; the last bin has none."""

# Their foot is the lower edge of the box; of anything else only a part is seen.
_STANDING = (pb.KIND_PERSON, pb.KIND_VEHICLE, pb.KIND_MOTION)


def step_of(at_us: int, step_s: int) -> int:
    """Beginning of the finest interval that a moment is in."""
    return at_us - at_us % (step_s * SECOND_US)


def hour_of(at_us: int) -> int:
    """Beginning of the hour that a moment is in. Hours are those of UTC everywhere."""
    return at_us - at_us % HOUR_US


def day_of(at_us: int, zone: ZoneInfo) -> int:
    """The first hour of the day, in a zone, that a moment's hour begins in."""
    local = datetime.fromtimestamp(hour_of(at_us) // SECOND_US, zone)
    return _first_hour(local, zone)


def next_day(day_us: int, zone: ZoneInfo) -> int:
    """The first hour of the day after."""
    local = datetime.fromtimestamp(day_us // SECOND_US, zone)
    return _first_hour(local + timedelta(days=1), zone)


def _first_hour(local: datetime, zone: ZoneInfo) -> int:
    midnight = datetime.combine(local.date(), time(), zone).astimezone(UTC)
    begins = round(midnight.timestamp()) * SECOND_US
    # In a zone that is off by half an hour, the hour around midnight belongs to the day before.
    return -(-begins // HOUR_US) * HOUR_US


def dwell_bin(seconds: float) -> int:
    """Number of the bin of a dwell."""
    return bisect_right(DWELL_S, seconds)


def heat_cell(track: pb.TrackRecord) -> int | None:
    """The cell in which a track stands; None where its record doesn't say."""
    if len(track.box) != 4 or not track.source_width or not track.source_height:
        return None
    x1, y1, x2, y2 = track.box
    x, y = (x1 + x2) / 2, y2 if track.kind in _STANDING else (y1 + y2) / 2
    if not (abs(x) < 1e6 and abs(y) < 1e6):
        return None
    column = min(max(int(x / track.source_width * COLUMNS), 0), COLUMNS - 1)
    row = min(max(int(y / track.source_height * ROWS), 0), ROWS - 1)
    return row * COLUMNS + column
