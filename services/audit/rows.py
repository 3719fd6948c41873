"""Events as rows of an SQL table, the same for the vault's index, the requests and every other log; appended only.

A table has at least the columns `id` (numbers rise), `event` (a veil.v1 AuditEvent), `hash` and `published`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, insert, select, text, true, update

from services.audit_chain import chained
from services.schema import pb

CHAIN, OF, NUMBER = "chain", "of", "number"
"""Details that every event carries: its chain's name, whose chain of that name it is, and its place in it from 0."""

_BATCH = 100
_PAGE = 500
# Any number, the same for all who append.
_APPENDING = 7_265_002


@dataclass(frozen=True, slots=True)
class Unpublished:
    """An event that is not on the bus yet.

    Attributes:
        number: of its row.
        camera_id: key of its record on the topic: every chain stays in order there.
        event: serialised.
    """

    number: int
    camera_id: str
    event: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands, whatever was done to it."""

    number: int
    key: str
    event: bytes
    hash: bytes
    published: bool


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain has come: its newest event's hash, and how many there are."""

    chain: str
    key: str
    events: int
    hash: bytes


class EventRows:
    """The chains of one name in a table.

    Args:
        table: as above; where it has a column `chain`, it holds chains of several names.
        chain: their name.
        key: name of the column that says whose chain an event is in; without one they are all in one chain.
    """

    def __init__(self, table: Table, chain: str, key: str | None = None) -> None:
        self.chain = chain
        self._table = table
        self._key = None if key is None else table.c[key]
        self._mine: ColumnElement[bool] = table.c.chain == chain if "chain" in table.c else true()

    def append(
        self, connection: Connection, event: pb.AuditEvent, columns: Mapping[str, Any] | None = None
    ) -> pb.AuditEvent:
        """Writes the next event of a chain, in the caller's transaction, which must be one that writes.

        Whoever appends waits until the transaction of the one before has ended: two can't follow the same event.

        Args:
            connection: of the transaction.
            event: without hashes.
            columns: further values of the row, and the key where there is one.
        """
        lock(connection)
        values = dict(columns or {})
        key = self.chain if self._key is None else str(values[self._key.name])
        newest = select(self._table.c.event).where(self._of(key)).order_by(self._table.c.id.desc()).limit(1)
        raw = connection.execute(newest).scalar()
        previous = pb.AuditEvent() if raw is None else pb.AuditEvent.FromString(raw)
        event.details.update({CHAIN: self.chain, OF: key, NUMBER: str(int(previous.details.get(NUMBER, "-1")) + 1)})
        linked = chained(event, previous.hash)
        raw = linked.SerializeToString(deterministic=True)
        values |= {"event": raw, "hash": linked.hash, "published": self._flag(False)}
        if "chain" in self._table.c:
            values["chain"] = self.chain
        connection.execute(insert(self._table).values(values))
        return linked

    def unpublished(self, connection: Connection, after: int = 0, limit: int = _BATCH) -> Sequence[Unpublished]:
        """The oldest events behind row `after` that are not on the bus yet."""
        table = self._table
        waiting = select(table).where(self._mine, table.c.published == self._flag(False), table.c.id > after)
        rows = connection.execute(waiting.order_by(table.c.id).limit(limit)).all()
        return [Unpublished(row.id, self._key_of(row), row.event) for row in rows]

    def mark_published(self, connection: Connection, numbers: Sequence[int]) -> None:
        """They are on the bus."""
        rows = self._table.c.id.in_(numbers)
        connection.execute(update(self._table).where(rows).values(published=self._flag(True)))

    def events(self, connection: Connection, key: str | None = None) -> list[pb.AuditEvent]:
        """Events of one chain, or of all of them in the order in which they were written."""
        return [pb.AuditEvent.FromString(row.event) for row in self.rows(connection, key)]

    def rows(self, connection: Connection, key: str | None = None, after: int = 0) -> Iterator[Row]:
        """Rows behind number `after`, oldest first, some at a time."""
        table = self._table
        wanted = self._mine if key is None else self._of(key)
        while True:
            page = select(table).where(wanted, table.c.id > after).order_by(table.c.id).limit(_PAGE)
            found = connection.execute(page).all()
            for row in found:
                yield Row(row.id, self._key_of(row), row.event, row.hash, bool(row.published))
            if len(found) < _PAGE:
                return
            after = found[-1].id

    def newest(self, connection: Connection, key: str, action: str) -> pb.AuditEvent | None:
        """The last event of an action in a chain; None where there is none."""
        table, before = self._table, None
        while True:
            page = select(table.c.id, table.c.event).where(self._of(key)).order_by(table.c.id.desc()).limit(_PAGE)
            found = connection.execute(page if before is None else page.where(table.c.id < before)).all()
            for row in found:
                event = pb.AuditEvent.FromString(row.event)
                if event.action == action:
                    return event
            if len(found) < _PAGE:
                return None
            before = found[-1].id

    def heads(self, connection: Connection) -> list[Head]:
        """How far every chain has come, in order of their keys."""
        table = self._table
        per = [] if self._key is None else [self._key]
        newest = select(func.max(table.c.id), func.count()).where(self._mine).group_by(*per)
        found = {row[0]: row[1] for row in connection.execute(newest) if row[0] is not None}
        rows = connection.execute(select(table).where(table.c.id.in_(found))).all()
        heads = [Head(self.chain, self._key_of(row), found[row.id], row.hash) for row in rows]
        return sorted(heads, key=lambda head: head.key)

    def _of(self, key: str) -> ColumnElement[bool]:
        return self._mine if self._key is None else self._mine & (self._key == key)

    def _key_of(self, row: Any) -> str:
        return self.chain if self._key is None else str(getattr(row, self._key.name))

    def _flag(self, value: bool) -> bool | int:
        """As the table's column has it: some count 0 and 1."""
        return value if self._table.c.published.type.python_type is bool else int(value)


def lock(connection: Connection) -> None:
    """Waits until nobody else appends to a log of this database; given back with the transaction.

    SQLite has one writer at a time by itself, where transactions that write begin with BEGIN IMMEDIATE.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_APPENDING})"))
