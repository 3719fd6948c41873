"""Answers questions about the statistics, out of what is told of each camera and out of nothing else.

Whatever is summed here, over cameras, places or hours, is a sum of told counts: no question and no two questions tell
more than the told counts do.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Integer, and_, cast, func, or_, select

from services.insight.errors import Invalid
from services.insight.grid import DWELL_S, HOUR_US, SECOND_US, day_of, hour_of, next_day, step_of
from services.insight.settings import InsightSettings
from services.insight.tables import CAMERAS, CELLS, FRAMES
from services.sql import Database

Level = Literal["step", "hour", "day"]
LEVELS: tuple[Level, ...] = get_args(Level)

Subjects = Mapping[str, str]
"""camera_id → the kind that is counted there: who is a person at one camera may be a face at another."""

_CAMERAS = 400
_SLOTS_MAX = 5000


@dataclass(frozen=True, slots=True)
class Point:
    """What is told of one interval, over some cameras.

    Attributes:
        at_us: its beginning, microseconds since 1970.
        value: how many; None: fewer than the threshold at each camera.
        whole: no camera has counts that are left out of `value`, and none is hidden.
        cameras: that had frames in it.
        hidden: of these, which are told as «fewer than» and are not in `value`.
        frames, incomplete: frames, and those in which detectors were blind.
    """

    at_us: int
    value: int | None
    whole: bool
    cameras: int
    hidden: int
    frames: int
    incomplete: int


@dataclass(frozen=True, slots=True)
class Row:
    """One told count, of one camera.

    Attributes:
        value: None: fewer than the threshold.
    """

    camera_id: str
    at_us: int
    end_us: int
    measure: str
    place: str
    kind: str
    bin: int
    value: int | None
    whole: bool


@dataclass(frozen=True, slots=True)
class Quantile:
    """Between which bounds of dwell a share of tracks ends; `most_s` is None in the last bin. Seconds."""

    share: float
    least_s: float
    most_s: float | None


class InsightReader:
    """Reads the statistics. Safe to share between threads.

    Args:
        database: where they lie.
        settings: those they are made with.
    """

    def __init__(self, database: Database, settings: InsightSettings) -> None:
        self._database = database
        self.settings = settings
        self.zone = ZoneInfo(settings.time_zone)

    @property
    def least(self) -> int:
        """Smallest count that is told."""
        return self.settings.least

    def cameras(self) -> dict[str, int]:
        """camera_id → until when its intervals are closed, of all that were ever counted. Raises Unavailable."""
        with self._database.read() as connection:
            rows = connection.execute(select(CAMERAS.c.camera_id, CAMERAS.c.closed_us).order_by(CAMERAS.c.camera_id))
            return {row.camera_id: row.closed_us for row in rows}

    def kinds(self, cameras: Iterable[str]) -> dict[str, list[str]]:
        """camera_id → kinds of which anything is told. Raises Unavailable."""
        found: dict[str, list[str]] = defaultdict(list)
        with self._database.read() as connection:
            for some in _chunks(sorted(cameras)):
                wanted = select(CELLS.c.camera_id, CELLS.c.kind).where(CELLS.c.camera_id.in_(some))
                for row in connection.execute(wanted.distinct().order_by(CELLS.c.camera_id, CELLS.c.kind)):
                    found[row.camera_id].append(row.kind)
        return dict(found)

    def series(
        self, subjects: Subjects, level: Level, start_us: int, end_us: int, measure: str = "entered", place: str = ""
    ) -> list[Point]:
        """Counts over time; intervals without frames are left out. Raises Invalid, Unavailable.

        Args:
            subjects: cameras and what is counted there.
            level: length of the intervals.
            start_us: first moment at which an interval may begin.
            end_us: moment from which on none may begin; those that are not closed yet are left out too.
            measure: entered, zone, forward, backward or flow.
            place: zone, line or pair of zones.
        """
        slots = self._slots(level, start_us, end_us)
        sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        seen: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        with self._database.read() as connection:
            for some in self._subjects(subjects):
                # A flag has no sum in PostgreSQL.
                whole = func.sum(cast(CELLS.c.whole, Integer))
                wanted = (
                    select(CELLS.c.at_us, func.sum(CELLS.c.value), func.count(), whole)
                    .where(CELLS.c.level == level, CELLS.c.measure == measure, CELLS.c.place == place, some)
                    .where(CELLS.c.at_us >= start_us, CELLS.c.at_us < end_us)
                )
                for at_us, *numbers in connection.execute(wanted.group_by(CELLS.c.at_us)):
                    sums[at_us] = [a + int(b) for a, b in zip(sums[at_us], numbers, strict=True)]
            for some_cameras in _chunks(sorted(subjects)):
                for at_us, numbers in self._frames(connection, some_cameras, level, slots):
                    seen[at_us] = [a + b for a, b in zip(seen[at_us], numbers, strict=True)]
        return [_point(at_us, sums[at_us], seen[at_us]) for at_us in sorted(seen)]

    def bins(self, subjects: Subjects, measure: str, start_us: int, end_us: int) -> dict[int, int]:
        """Bin → told count over a range of hours, of dwell or heat; a bin of which nothing is told is absent.

        Raises Invalid, Unavailable.
        """
        return self._sums(subjects, measure, start_us, end_us, CELLS.c.bin)

    def places(self, subjects: Subjects, measure: str, start_us: int, end_us: int) -> dict[str, int]:
        """Place → told count over a range of hours; one of which nothing is told is absent.

        Raises Invalid, Unavailable.
        """
        return self._sums(subjects, measure, start_us, end_us, CELLS.c.place)

    def totals(self, subjects: Subjects, start_us: int, end_us: int) -> dict[str, int]:
        """camera_id → how many entered over a range of hours; absent: fewer than the threshold in all of it."""
        return self._sums(subjects, "entered", start_us, end_us, CELLS.c.camera_id)

    def frames(self, camera_id: str, start_us: int, end_us: int) -> list[tuple[int, int, int]]:
        """Beginning of each finest interval, its frames, and those in which detectors were blind; open ones too."""
        with self._database.read() as connection:
            wanted = (
                select(FRAMES.c.at_us, FRAMES.c.frames, FRAMES.c.incomplete)
                .where(FRAMES.c.camera_id == camera_id, FRAMES.c.at_us >= start_us, FRAMES.c.at_us < end_us)
                .order_by(FRAMES.c.at_us)
                .limit(_SLOTS_MAX)
            )
            return [(row.at_us, row.frames, row.incomplete) for row in connection.execute(wanted)]

    def rows(self, cameras: Iterable[str], level: Level, start_us: int, end_us: int) -> Iterator[Row]:
        """Every told count, camera by camera, in order of time.

        Of what is told at all in the range, the intervals with frames in which it is not come as rows without a value.
        Raises Invalid, Unavailable.
        """
        slots = self._slots(level, start_us, end_us)
        for camera_id in cameras:
            with self._database.read() as connection:
                seen = {at_us for at_us, numbers in self._frames(connection, [camera_id], level, slots) if numbers[0]}
                wanted = select(CELLS).where(
                    CELLS.c.camera_id == camera_id,
                    CELLS.c.level == level,
                    CELLS.c.at_us >= start_us,
                    CELLS.c.at_us < end_us,
                )
                told = {
                    (row.measure, row.place, row.kind, row.bin, row.at_us): (row.value, row.whole)
                    for row in connection.execute(wanted)
                }
                closed = connection.execute(
                    select(CAMERAS.c.closed_us).where(CAMERAS.c.camera_id == camera_id)
                ).scalar()
            ended = sorted(at_us for at_us in seen if self._end(level, at_us) <= (closed or 0))
            for key in sorted({key[:4] for key in told}):
                for at_us in sorted({*ended, *(one[4] for one in told if one[:4] == key)}):
                    value, whole = told.get((*key, at_us), (None, False))
                    yield Row(camera_id, at_us, self._end(level, at_us), *key, value, whole)

    def _end(self, level: Level, at_us: int) -> int:
        if level == "day":
            return next_day(at_us, self.zone)
        return at_us + (HOUR_US if level == "hour" else self.settings.step_s * SECOND_US)

    def _slots(self, level: Level, start_us: int, end_us: int) -> list[int]:
        """Beginnings of the intervals of a range. Raises Invalid where they are too many."""
        if not 0 < start_us < end_us:
            raise Invalid("A range begins before it ends.")
        if level == "day":
            at_us = day_of(start_us, self.zone)
        elif level == "hour":
            at_us = hour_of(start_us)
        else:
            at_us = step_of(start_us, self.settings.step_s)
        found = []
        while at_us < end_us:
            if at_us >= start_us:
                found.append(at_us)
            if len(found) > _SLOTS_MAX:
                raise Invalid(f"That is more than {_SLOTS_MAX} intervals: ask for longer ones, or for less time.")
            at_us = self._end(level, at_us)
        return found

    def _frames(
        self, connection: Connection, cameras: Sequence[str], level: Level, slots: Sequence[int]
    ) -> Iterator[tuple[int, list[int]]]:
        """Each interval with frames: cameras, frames, blind frames; only of intervals that each camera has closed."""
        if not slots:
            return
        numbers = (
            func.count(FRAMES.c.camera_id.distinct()),
            func.sum(FRAMES.c.frames),
            func.sum(FRAMES.c.incomplete),
        )
        length = self.settings.step_s * SECOND_US if level == "step" else HOUR_US
        begins = FRAMES.c.at_us - FRAMES.c.at_us % length
        base = (
            FRAMES.join(CAMERAS, CAMERAS.c.camera_id == FRAMES.c.camera_id),
            (FRAMES.c.camera_id.in_(cameras), FRAMES.c.frames > 0),
        )
        if level != "day":
            wanted = (
                select(begins, *numbers)
                .select_from(base[0])
                .where(*base[1], FRAMES.c.at_us >= slots[0], FRAMES.c.at_us < self._end(level, slots[-1]))
                .where(CAMERAS.c.closed_us >= begins + length)
            )
            for at_us, *found in connection.execute(wanted.group_by(begins)):
                yield int(at_us), [int(number) for number in found]
            return
        for at_us in slots:
            end_us = self._end(level, at_us)
            wanted = (
                select(*numbers)
                .select_from(base[0])
                .where(*base[1], FRAMES.c.at_us >= at_us, FRAMES.c.at_us < end_us)
                .where(CAMERAS.c.closed_us >= end_us)
            )
            row = connection.execute(wanted).one()
            if row[0]:
                yield at_us, [int(number) for number in row]

    def _sums(self, subjects: Subjects, measure: str, start_us: int, end_us: int, by: Any) -> dict[Any, int]:
        """Told counts of a range of hours by a column: those of whole days where days are closed, else of hours."""
        start_us, end_us = hour_of(start_us), -(-end_us // HOUR_US) * HOUR_US
        days = self._slots("day", day_of(start_us, self.zone), end_us)
        sums: dict[Any, int] = defaultdict(int)
        with self._database.read() as connection:
            closed = self._closed(connection, subjects)
            for tile in self._tiles(days, start_us, end_us, closed):
                for some in self._subjects(subjects):
                    wanted = select(by, func.sum(CELLS.c.value)).where(CELLS.c.measure == measure, some, tile)
                    for key, value in connection.execute(wanted.group_by(by)):
                        sums[key] += int(value)
        return dict(sorted(sums.items()))

    def _tiles(
        self, days: Sequence[int], start_us: int, end_us: int, closed: Sequence[int]
    ) -> Iterator[ColumnElement[bool]]:
        """Conditions on cells that together cover a range of hours once, as few as there can be."""
        runs: list[tuple[str, int, int]] = []
        for day in days:
            day_end = next_day(day, self.zone)
            # A day that only some cameras have closed is told by its hours: these are there in either case.
            whole = start_us <= day and day_end <= end_us and not any(day < at_us < day_end for at_us in closed)
            begins, ends = max(day, start_us), min(day_end, end_us)
            level = "day" if whole else "hour"
            if runs and runs[-1][0] == level and runs[-1][2] == begins:
                runs[-1] = (level, runs[-1][1], ends)
            else:
                runs.append((level, begins, ends))
        for level, begins, ends in runs:
            yield and_(CELLS.c.level == level, CELLS.c.at_us >= begins, CELLS.c.at_us < ends)

    def _closed(self, connection: Connection, subjects: Subjects) -> list[int]:
        found: list[int] = []
        for some in _chunks(sorted(subjects)):
            wanted = select(CAMERAS.c.closed_us).where(CAMERAS.c.camera_id.in_(some))
            found += connection.execute(wanted).scalars()
        return found

    def _subjects(self, subjects: Subjects) -> Iterator[ColumnElement[bool]]:
        """Conditions on cells of these cameras and kinds, a bounded number of cameras in each."""
        for some in _chunks(sorted(subjects)):
            by_kind: dict[str, list[str]] = defaultdict(list)
            for camera_id in some:
                by_kind[subjects[camera_id]].append(camera_id)
            yield or_(
                *(and_(CELLS.c.kind == kind, CELLS.c.camera_id.in_(names)) for kind, names in sorted(by_kind.items()))
            )


def quantiles(bins: Mapping[int, int], least: int, shares: Sequence[float] = (0.25, 0.5, 0.75, 0.9)) -> list[Quantile]:
    """Quantiles of dwell out of told bins, as bounds of the bin they lie in.

    One is told only where at least `least` tracks lie on either side of it: the longest stay is somebody's.
    """
    count = sum(bins.values())
    found = []
    for share in shares:
        if min(share, 1 - share) * count < least:
            continue
        passed = 0
        for at in sorted(bins):
            passed += bins[at]
            if passed >= share * count:
                found.append(Quantile(share, *bounds_of(at)))
                break
    return found


def bounds_of(at: int) -> tuple[float, float | None]:
    """Seconds from which and until before which a bin of dwell reaches."""
    return (DWELL_S[at - 1] if at else 0, DWELL_S[at] if at < len(DWELL_S) else None)


def _point(at_us: int, told: Sequence[int], seen: Sequence[int]) -> Point:
    value, cells, whole = told
    cameras, frames, incomplete = seen
    return Point(
        at_us=at_us,
        value=value if cells else None,
        whole=cells > 0 and whole == cameras,
        cameras=cameras,
        hidden=max(cameras - cells, 0),
        frames=frames,
        incomplete=incomplete,
    )


def _chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[at : at + _CAMERAS] for at in range(0, len(items), _CAMERAS))
