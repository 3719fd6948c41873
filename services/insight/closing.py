"""Closes intervals that are over: decides what is told of them, keeps that, and erases the rest.

Steps close into hours, hours into days. A count that is not told is kept until the day around it has closed, and is in
no table afterwards: whoever gets hold of the database learns no more than whoever may look at the charts.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from services.insight.grid import HOUR_US, SECOND_US, day_of, hour_of, next_day
from services.insight.suppression import NOTHING, Part, leaf, split, total
from services.insight.tables import CELLS, FRAMES, LEFT, OPEN, SEEN

Key = tuple[str, str, str, int]
"""Measure, place, kind and bin."""

_ENTERED = "entered"


@dataclass(frozen=True, slots=True)
class Closer:
    """Closes intervals of one camera within a transaction.

    Args:
        connection: of the transaction.
        camera_id: whose.
        step_s: seconds of the finest interval.
        least: smallest count that is told.
        zone: in which days begin and end.
    """

    connection: Connection
    camera_id: str
    step_s: int
    least: int
    zone: ZoneInfo

    def close(self, from_us: int, until_us: int) -> None:
        """Closes all that is open from `from_us` and ends by `until_us`; both are borders of steps."""
        for at_us in self._found(OPEN.c, "step", until_us - self.step_s * SECOND_US):
            self._close_step(at_us)
        steps = self._steps(day_of(from_us, self.zone), until_us)
        hours = {hour_of(at_us) for at_us in (*steps, *self._found(LEFT.c, "step", until_us))}
        for hour in sorted(hours.union(self._found(OPEN.c, "hour", until_us))):
            if from_us < hour + HOUR_US <= until_us:
                self._close_hour(hour)
        days = {day_of(at_us, self.zone) for at_us in (*steps, *self._found(LEFT.c, "hour", until_us))}
        for day in sorted(days):
            if from_us < next_day(day, self.zone) <= until_us:
                self._close_day(day)
        over = (SEEN.c.camera_id == self.camera_id) & (SEEN.c.at_us <= until_us - HOUR_US)
        self.connection.execute(delete(SEEN).where(over))

    def _close_step(self, at_us: int) -> None:
        counts = self._open("step", at_us)
        parts = {key: leaf(count, self.least, _beside(key, counts)) for key, count in counts.items()}
        self._keep("step", at_us, parts)
        self._erase_open("step", at_us)

    def _close_hour(self, at_us: int) -> None:
        end_us = at_us + HOUR_US
        steps = self._steps(at_us, end_us)
        parts = self._sum("step", at_us, end_us, len(steps))
        camera = {key: part.told for key, part in parts.items()}
        parts |= self._leaves(self._open("hour", at_us), camera)
        self._keep("hour", at_us, parts)
        self._erase_left("step", at_us, end_us)
        self._erase_open("hour", at_us)

    def _close_day(self, at_us: int) -> None:
        end_us = next_day(at_us, self.zone)
        hours = {hour_of(step) for step in self._steps(at_us, end_us)}
        self._keep("day", at_us, self._sum("hour", at_us, end_us, len(hours)), last=True)
        self._erase_left("hour", at_us, end_us)

    def _leaves(self, counts: Mapping[Key, int], camera: Mapping[Key, int]) -> dict[Key, Part]:
        """What is told of counts whose finest interval is the hour."""
        parts = {
            key: leaf(count, self.least, _beside(key, camera)) for key, count in counts.items() if key[0] != "dwell"
        }
        dwells: dict[Key, dict[int, int]] = defaultdict(dict)
        for (measure, place, kind, at), count in counts.items():
            if measure == "dwell":
                dwells[measure, place, kind, 0][at] = count
        for (measure, place, kind, _), bins in dwells.items():
            parts |= {(measure, place, kind, at): part for at, part in split(bins, self.least).items()}
        return parts

    def _sum(self, level: str, start_us: int, end_us: int, intervals: int) -> dict[Key, Part]:
        """What is told of an interval, from what was told of the `intervals` in it that had frames."""
        parts: dict[Key, list[Part]] = defaultdict(list)
        told, left = self._told(level, start_us, end_us), self._left(level, start_us, end_us)
        for (key, at_us), (value, whole) in told.items():
            parts[key].append(Part(value, whole, left.pop((key, at_us), 0)))
        for (key, _), value in left.items():
            parts[key].append(Part(0, whole=False, left=value))
        filled = {key: [*some, *[NOTHING] * (intervals - len(some))] for key, some in parts.items()}
        cameras = {key: total(some, self.least) for key, some in filled.items() if key[0] == _ENTERED}
        counts = {key: part.told for key, part in cameras.items()}
        others = {key: some for key, some in filled.items() if key not in cameras}
        return cameras | {key: total(some, self.least, _beside(key, counts)) for key, some in others.items()}

    def _keep(self, level: str, at_us: int, parts: Mapping[Key, Part], *, last: bool = False) -> None:
        told = [
            {**self._row(level, at_us, key), "value": part.told, "whole": part.whole}
            for key, part in parts.items()
            if part.told
        ]
        left = [
            {**self._row(level, at_us, key), "value": part.left}
            for key, part in parts.items()
            if part.left and not last
        ]
        if told:
            self.connection.execute(insert(CELLS), told)
        if left:
            self.connection.execute(insert(LEFT), left)

    def _row(self, level: str, at_us: int, key: Key) -> dict[str, Any]:
        measure, place, kind, at = key
        return {
            "camera_id": self.camera_id,
            "level": level,
            "at_us": at_us,
            "measure": measure,
            "place": place,
            "kind": kind,
            "bin": at,
        }

    def _steps(self, start_us: int, end_us: int) -> list[int]:
        """The steps of an interval of which there are frames."""
        wanted = select(FRAMES.c.at_us).where(self._at(FRAMES.c, start_us, end_us), FRAMES.c.frames > 0)
        return list(self.connection.execute(wanted).scalars())

    def _found(self, columns: Any, level: str, latest_us: int) -> list[int]:
        """The intervals with counts that begin at `latest_us` or before."""
        where = (columns.camera_id == self.camera_id, columns.level == level, columns.at_us <= latest_us)
        return sorted(self.connection.execute(select(columns.at_us).where(*where).distinct()).scalars())

    def _open(self, level: str, at_us: int) -> dict[Key, int]:
        wanted = select(OPEN).where(OPEN.c.camera_id == self.camera_id, OPEN.c.level == level, OPEN.c.at_us == at_us)
        return {_key(row): row["value"] for row in self.connection.execute(wanted).mappings()}

    def _told(self, level: str, start_us: int, end_us: int) -> dict[tuple[Key, int], tuple[int, bool]]:
        wanted = select(CELLS).where(CELLS.c.level == level, self._at(CELLS.c, start_us, end_us))
        rows = self.connection.execute(wanted).mappings()
        return {(_key(row), row["at_us"]): (row["value"], row["whole"]) for row in rows}

    def _left(self, level: str, start_us: int, end_us: int) -> dict[tuple[Key, int], int]:
        wanted = select(LEFT).where(LEFT.c.level == level, self._at(LEFT.c, start_us, end_us))
        return {(_key(row), row["at_us"]): row["value"] for row in self.connection.execute(wanted).mappings()}

    def _erase_open(self, level: str, at_us: int) -> None:
        where = (OPEN.c.camera_id == self.camera_id, OPEN.c.level == level, OPEN.c.at_us == at_us)
        self.connection.execute(delete(OPEN).where(*where))

    def _erase_left(self, level: str, start_us: int, end_us: int) -> None:
        self.connection.execute(delete(LEFT).where(LEFT.c.level == level, self._at(LEFT.c, start_us, end_us)))

    def _at(self, columns: Any, start_us: int, end_us: int) -> ColumnElement[bool]:
        """The condition on rows of this camera from `start_us` until before `end_us`."""
        found: ColumnElement[bool] = (
            (columns.camera_id == self.camera_id) & (columns.at_us >= start_us) & (columns.at_us < end_us)
        )
        return found


def _key(row: Mapping[Any, Any]) -> Key:
    return row["measure"], row["place"], row["kind"], row["bin"]


def _beside(key: Key, counts: Mapping[Key, int]) -> int | None:
    """The camera's count of the same kind, for a count of a place in its picture."""
    measure, place, kind, _ = key
    return counts.get((_ENTERED, "", kind, 0)) if place and measure != _ENTERED else None
