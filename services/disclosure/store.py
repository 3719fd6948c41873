"""Requests in SQL: a change and the event that tells of it are one transaction, and the slower of two officers is told.

SQLite in a file, or PostgreSQL; what is acknowledged is on the disk.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, insert, select, update

from services.audit.rows import EventRows, Unpublished
from services.audit_chain import first_break
from services.disclosure.errors import Conflict, Invalid, Unavailable, Unknown
from services.disclosure.events import audit_event
from services.disclosure.request import Request
from services.disclosure.states import ANSWERED, State
from services.disclosure.tables import EVENTS, METADATA, REQUESTS, SCHEMA, VERSION
from services.schema import pb
from services.sql import Database, Words, parsed

CHAIN = "disclosure"
"""Value of the detail `chain`: events with it follow each other, whoever acted and whatever it was about."""

ROWS = EventRows(EVENTS, CHAIN)
"""Events as they are kept beside the requests."""

_LIST_MAX = 10_000
_WORDS = Words("the database of requests", Unavailable, Conflict, "There is a request of that id already.")


class RequestStore:
    """All requests of a house. Safe to share between threads.

    Args:
        url: sqlite:///FILE or postgresql://…
        password: of the database's user, where it is not in the address.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        address = parsed(url, _WORDS)
        self._database = Database(address if password is None else address.set(password=password), _WORDS)
        with self._database.alone() as connection:
            METADATA.create_all(connection)
            known = connection.execute(select(VERSION.c.version)).scalar()
            if known is None:
                connection.execute(insert(VERSION).values(id=1, version=SCHEMA))
            elif known != SCHEMA:
                raise Unavailable(f"The database has the tables of version {known}; this Veil knows {SCHEMA}.")

    def add(self, request: Request) -> Request:
        """Keeps a new request. Raises Conflict where there is one of that id."""
        with self._database.write() as connection:
            connection.execute(insert(REQUESTS).values(**_row(request)))
            self._tell(connection, request, 0)
        return request

    def get(self, request_id: str) -> Request:
        """Raises Unknown."""
        with self._database.read() as connection:
            body = connection.execute(select(REQUESTS.c.body).where(REQUESTS.c.id == request_id)).scalar()
        if body is None:
            raise Unknown(f"There is no request {request_id}.")
        return _request(body)

    def change(self, before: Request, after: Request) -> Request:
        """Puts `after` in place of `before`; both are of one request. Raises Conflict where it was changed meanwhile.

        Returns:
            What is kept now, with its new version.
        """
        if after.id != before.id or after.history[: len(before.history)] != before.history:
            raise Invalid("What was done with a request can't be changed.")
        kept = after.model_copy(update={"version": before.version + 1})
        with self._database.write() as connection:
            same = (REQUESTS.c.id == before.id) & (REQUESTS.c.version == before.version)
            done = connection.execute(update(REQUESTS).where(same).values(**_row(kept)))
            if done.rowcount != 1:
                raise self._overtaken(connection, before)
            self._tell(connection, kept, len(before.history))
        return kept

    def list(self, *states: State, limit: int = _LIST_MAX) -> Sequence[Request]:
        """Requests in these states, or all; those due first come first."""
        wanted = select(REQUESTS.c.body).order_by(REQUESTS.c.due, REQUESTS.c.id).limit(min(limit, _LIST_MAX))
        if states:
            wanted = wanted.where(REQUESTS.c.state.in_([state.value for state in states]))
        with self._database.read() as connection:
            return [_request(body) for body in connection.execute(wanted).scalars()]

    def due_within(self, days: int, today: date) -> Sequence[Request]:
        """Requests without an answer that are due within so many days, or late."""
        last = (today + timedelta(days=days)).isoformat()
        open_states = [state.value for state in State if state not in ANSWERED]
        wanted = select(REQUESTS.c.body).where(REQUESTS.c.state.in_(open_states), REQUESTS.c.due <= last)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(REQUESTS.c.due, REQUESTS.c.id).limit(_LIST_MAX)).scalars()
            return [_request(body) for body in rows]

    def expired(self, now_us: int) -> Sequence[Request]:
        """Requests whose package was handed over and may not be taken any more."""
        wanted = select(REQUESTS.c.body).where(
            REQUESTS.c.state == State.HANDED_OVER.value, REQUESTS.c.expires_us <= now_us
        )
        with self._database.read() as connection:
            return [_request(body) for body in connection.execute(wanted.limit(_LIST_MAX)).scalars()]

    def events(self, request_id: str | None = None) -> Sequence[pb.AuditEvent]:
        """The chain of all events, oldest first, or what of it is about one request."""
        wanted = select(EVENTS.c.event).order_by(EVENTS.c.id)
        if request_id is not None:
            wanted = wanted.where(EVENTS.c.request == request_id)
        with self._database.read() as connection:
            return [pb.AuditEvent.FromString(raw) for raw in connection.execute(wanted).scalars()]

    def unpublished(self, after: int = 0) -> Sequence[Unpublished]:
        """The oldest events behind row `after` that are not on the bus yet."""
        with self._database.read() as connection:
            return ROWS.unpublished(connection, after)

    def mark_published(self, numbers: Sequence[int]) -> None:
        """They are on the bus."""
        with self._database.write() as connection:
            ROWS.mark_published(connection, numbers)

    def unbroken(self) -> bool:
        """Whether no event was changed, removed from within or reordered."""
        return first_break(self.events()) is None

    def close(self) -> None:
        """Ends all connections."""
        self._database.close()

    def _overtaken(self, connection: Connection, before: Request) -> Conflict | Unknown:
        body = connection.execute(select(REQUESTS.c.body).where(REQUESTS.c.id == before.id)).scalar()
        if body is None:
            return Unknown(f"There is no request {before.id}.")
        last = _request(body).history[-1]
        did = last.action.value.replace("_", " ")
        return Conflict(f"{last.who} was faster ({did}): look at the request {before.id} again.")

    def _tell(self, connection: Connection, request: Request, since: int) -> None:
        """Appends an event for each step from number `since` on, in the same transaction."""
        for number in range(since, len(request.history)):
            ROWS.append(connection, audit_event(request, number), {"request": request.id})


def _row(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "version": request.version,
        "state": request.state.value,
        "due": request.due.isoformat(),
        "expires_us": request.expires_us,
        "body": request.model_dump_json(),
    }


def _request(body: str) -> Request:
    try:
        return Request.model_validate_json(body)
    except ValidationError:
        raise Unavailable("A request in the database can't be read: it was changed, or is of another Veil.") from None
