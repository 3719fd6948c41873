"""Counts records into the database, each once; closes what is over and forgets what is past its time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from services.bus.clock import Clock, now_us
from services.insight.closing import Closer
from services.insight.counts import Cell, Count, Told, counts_of
from services.insight.grid import HOUR_US, SECOND_US, hour_of, step_of
from services.insight.settings import InsightSettings
from services.insight.tables import CAMERAS, CELLS, FRAMES, LEFT, OPEN, SEEN
from services.schema import pb
from services.sql import Database

_Item = TypeVar("_Item")

_DAY_US = 24 * HOUR_US
# Rows of one statement: both databases bound the number of its values.
_ROWS = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the parts of some records.

    Attributes:
        counted: for the first time.
        repeated: left out, because they had been counted.
        late: left out, because their interval is closed.
    """

    counted: int
    repeated: int
    late: int


@dataclass(slots=True)
class _Camera:
    newest_us: int
    closed_us: int


class InsightStore:
    """Writes the statistics. One process writes those of a camera at a time; any may read.

    A record may come again, after a restart of whoever sent or read it: what was counted in an hour that is open is
    known by its identity, and a closed interval takes nothing. So no number that was told ever changes.

    Args:
        database: where they lie.
        settings: grid, threshold and retention.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Database, settings: InsightSettings, clock: Clock = now_us) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._zone = ZoneInfo(settings.time_zone)
        self._upsert = sqlite.insert if database.is_sqlite else postgresql.insert

    def take(self, told: Sequence[Told]) -> Taken:
        """Counts records and closes what is over by them, in one transaction. Raises Unavailable."""
        newest: dict[str, int] = {}
        for one in told:
            # Tracks are told of late: only the intervals' own records say how far a stream has come.
            came_us = one.to_us if isinstance(one, pb.StatsRecord) else 0
            newest[one.camera_id] = max(newest.get(one.camera_id, 0), came_us)
        with self._database.write() as connection:
            cameras = self._cameras(connection, newest)
            counts: dict[tuple[str, int, bytes], Count] = {}
            late = parts = 0
            for count in (count for one in told for count in counts_of(one, self._settings.step_s)):
                parts += 1
                if self._is_late(count, cameras[count.camera_id]):
                    late += 1
                else:
                    counts.setdefault((count.camera_id, hour_of(count.at_us), count.identity), count)
            new = self._new(connection, counts)
            self._add(connection, new)
            for camera_id, came_us in newest.items():
                camera = cameras[camera_id]
                camera.newest_us = max(camera.newest_us, came_us)
                ended_us = camera.newest_us - round(self._settings.late_s * SECOND_US)
                self._close(connection, camera_id, camera, ended_us)
        return Taken(len(new), parts - late - len(new), late)

    def settle(self, silent: Iterable[str]) -> None:
        """Closes what is over by the clock, of cameras from which nothing comes any more. Raises Unavailable."""
        with self._database.write() as connection:
            for camera_id, camera in self._cameras(connection, silent).items():
                self._close(connection, camera_id, camera, self._clock() - round(self._settings.late_s * SECOND_US))

    def open_cameras(self) -> frozenset[str]:
        """Cameras that have intervals which are not closed. Raises Unavailable."""
        with self._database.read() as connection:
            found = [connection.execute(select(table.c.camera_id).distinct()).scalars() for table in (OPEN, LEFT)]
            return frozenset(camera_id for some in found for camera_id in some)

    def purge(self) -> int:
        """Forgets what is past its time; returns how many rows. Raises Unavailable."""
        settings, now = self._settings, self._clock()
        days = {"step": settings.steps_days, "hour": settings.hours_days, "day": settings.days_days}
        rows = 0
        with self._database.write() as connection:
            for level, kept in days.items():
                past = (CELLS.c.level == level) & (CELLS.c.at_us < now - kept * _DAY_US)
                rows += connection.execute(delete(CELLS).where(past)).rowcount
            old_us = now - settings.hours_days * _DAY_US
            rows += connection.execute(delete(FRAMES).where(FRAMES.c.at_us < old_us)).rowcount
        return rows

    def _is_late(self, count: Count, camera: _Camera) -> bool:
        if count.cells and count.cells[0][0].level == "hour":
            return count.at_us + HOUR_US <= camera.closed_us
        return count.at_us < camera.closed_us

    def _close(self, connection: Connection, camera_id: str, camera: _Camera, ended_us: int) -> None:
        until_us = step_of(max(ended_us, 0), self._settings.step_s)
        if until_us > camera.closed_us:
            closer = Closer(connection, camera_id, self._settings.step_s, self._settings.least, self._zone)
            closer.close(camera.closed_us, until_us)
            camera.closed_us = until_us
        row = {"camera_id": camera_id, "newest_us": camera.newest_us, "closed_us": camera.closed_us}
        statement = self._upsert(CAMERAS).values(row)
        changed = {name: statement.excluded[name] for name in ("newest_us", "closed_us")}
        connection.execute(statement.on_conflict_do_update(index_elements=[CAMERAS.c.camera_id], set_=changed))

    def _cameras(self, connection: Connection, names: Iterable[str]) -> dict[str, _Camera]:
        found = {name: _Camera(0, 0) for name in names}
        for some in _chunks(list(found)):
            wanted = select(CAMERAS).where(CAMERAS.c.camera_id.in_(some))
            for row in connection.execute(wanted).mappings():
                found[row["camera_id"]] = _Camera(row["newest_us"], row["closed_us"])
        return found

    def _new(self, connection: Connection, counts: Mapping[tuple[str, int, bytes], Count]) -> list[Count]:
        """Those that were not counted before, which are noted."""
        new: list[Count] = []
        for some in _chunks(list(counts)):
            rows = [{"camera_id": camera_id, "at_us": at_us, "what": what} for camera_id, at_us, what in some]
            statement = self._upsert(SEEN).values(rows).on_conflict_do_nothing().returning(SEEN)
            new += [counts[row.camera_id, row.at_us, bytes(row.what)] for row in connection.execute(statement)]
        return new

    def _add(self, connection: Connection, counts: Iterable[Count]) -> None:
        cells: Counter[Cell] = Counter()
        frames: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for count in counts:
            for cell, number in count.cells:
                cells[cell] += number
            if count.frames or count.incomplete:
                seen = frames[count.camera_id, count.at_us]
                seen[0] += count.frames
                seen[1] += count.incomplete
        self._grow(connection, OPEN, [{**_columns(cell), "value": number} for cell, number in cells.items()], "value")
        rows = [
            {"camera_id": camera_id, "at_us": at_us, "frames": all_of, "incomplete": blind}
            for (camera_id, at_us), (all_of, blind) in frames.items()
        ]
        self._grow(connection, FRAMES, rows, "frames", "incomplete")

    def _grow(self, connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *columns: str) -> None:
        """Adds to rows, and makes those that are missing."""
        for some in _chunks(rows):
            statement = self._upsert(table).values(list(some))
            grown = {name: table.c[name] + statement.excluded[name] for name in columns}
            keys = list(table.primary_key.columns)
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=grown))


def _columns(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in cell.__slots__}


def _chunks(items: Sequence[_Item]) -> Iterable[Sequence[_Item]]:
    return (items[at : at + _ROWS] for at in range(0, len(items), _ROWS))
