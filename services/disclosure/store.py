"""Requests in SQL: a change and the event that tells of it are one transaction, and the slower of two officers is told.

SQLite in a file, or PostgreSQL; what is acknowledged is on the disk.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, create_engine, event, insert, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from services.audit_chain import chained, first_break
from services.disclosure.errors import Conflict, Invalid, Unavailable, Unknown
from services.disclosure.events import audit_event
from services.disclosure.request import Request
from services.disclosure.states import ANSWERED, State
from services.disclosure.tables import EVENTS, METADATA, REQUESTS, SCHEMA, VERSION
from services.schema import pb

CHAIN = "disclosure"
"""Value of the detail `chain`: events with it follow each other, whoever acted and whatever it was about."""

_WAIT_S = 10
_STATEMENT_S = 30
_LIST_MAX = 10_000
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # A commit is on the disk when it returns: what is acknowledged after it survives a power cut.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
)


class RequestStore:
    """All requests of a house. Safe to share between threads.

    Args:
        url: sqlite:///FILE or postgresql://…
        password: of the database's user, where it is not in the address.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self._engine = _engine(_parsed(url, password))
        with self._write() as connection:
            METADATA.create_all(connection)
            known = connection.execute(select(VERSION.c.version)).scalar()
            if known is None:
                connection.execute(insert(VERSION).values(id=1, version=SCHEMA))
            elif known != SCHEMA:
                raise Unavailable(f"The database has the tables of version {known}; this Veil knows {SCHEMA}.")

    def add(self, request: Request) -> Request:
        """Keeps a new request. Raises Conflict where there is one of that id."""
        with self._write() as connection:
            connection.execute(insert(REQUESTS).values(**_row(request)))
            self._tell(connection, request, 0)
        return request

    def get(self, request_id: str) -> Request:
        """Raises Unknown."""
        with self._read() as connection:
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
        with self._write() as connection:
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
        with self._read() as connection:
            return [_request(body) for body in connection.execute(wanted).scalars()]

    def due_within(self, days: int, today: date) -> Sequence[Request]:
        """Requests without an answer that are due within so many days, or late."""
        last = (today + timedelta(days=days)).isoformat()
        open_states = [state.value for state in State if state not in ANSWERED]
        wanted = select(REQUESTS.c.body).where(REQUESTS.c.state.in_(open_states), REQUESTS.c.due <= last)
        with self._read() as connection:
            rows = connection.execute(wanted.order_by(REQUESTS.c.due, REQUESTS.c.id).limit(_LIST_MAX)).scalars()
            return [_request(body) for body in rows]

    def expired(self, now_us: int) -> Sequence[Request]:
        """Requests whose package was handed over and may not be taken any more."""
        wanted = select(REQUESTS.c.body).where(
            REQUESTS.c.state == State.HANDED_OVER.value, REQUESTS.c.expires_us <= now_us
        )
        with self._read() as connection:
            return [_request(body) for body in connection.execute(wanted.limit(_LIST_MAX)).scalars()]

    def events(self, request_id: str | None = None) -> Sequence[pb.AuditEvent]:
        """The chain of all events, oldest first, or what of it is about one request."""
        wanted = select(EVENTS.c.event).order_by(EVENTS.c.id)
        if request_id is not None:
            wanted = wanted.where(EVENTS.c.request == request_id)
        with self._read() as connection:
            return [pb.AuditEvent.FromString(raw) for raw in connection.execute(wanted).scalars()]

    def unbroken(self) -> bool:
        """Whether no event was changed, removed from within or reordered."""
        return first_break(self.events()) is None

    def close(self) -> None:
        """Ends all connections."""
        self._engine.dispose()

    def _overtaken(self, connection: Connection, before: Request) -> Conflict | Unknown:
        body = connection.execute(select(REQUESTS.c.body).where(REQUESTS.c.id == before.id)).scalar()
        if body is None:
            return Unknown(f"There is no request {before.id}.")
        last = _request(body).history[-1]
        did = last.action.value.replace("_", " ")
        return Conflict(f"{last.who} was faster ({did}): look at the request {before.id} again.")

    def _tell(self, connection: Connection, request: Request, since: int) -> None:
        """Appends an event for each step from number `since` on, in the same transaction."""
        connection.execute(select(VERSION.c.id).with_for_update()).all()
        previous = connection.execute(select(EVENTS.c.hash).order_by(EVENTS.c.id.desc()).limit(1)).scalar() or b""
        for number in range(since, len(request.history)):
            told = audit_event(request, number)
            told.details["chain"] = CHAIN
            linked = chained(told, previous)
            previous = linked.hash
            raw = linked.SerializeToString(deterministic=True)
            connection.execute(insert(EVENTS).values(request=request.id, event=raw, hash=linked.hash, published=0))

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with _tells(), self._engine.connect().execution_options(only_reads=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with _tells(), self._engine.begin() as connection:
            yield connection


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


def _parsed(url: str, password: str | None) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Unavailable("That is no address of a database.") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Unavailable("Requests are kept in SQLite or PostgreSQL.")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed if password is None else parsed.set(password=password)


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        if url.database:
            _make_private(Path(url.database))
        options["connect_args"] = {"timeout": _WAIT_S, "isolation_level": None}
    else:
        limits = f"-c statement_timeout={_STATEMENT_S}s -c lock_timeout={_WAIT_S}s"
        options |= {"connect_args": {"connect_timeout": _WAIT_S, "options": limits}, "pool_timeout": _STATEMENT_S}
    try:
        engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError):
        raise Unavailable(f"A database on {url.get_backend_name()} needs its driver.") from None
    if is_sqlite:
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
    return engine


def _make_private(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(0o600)
    except OSError as error:
        raise Unavailable(f"{file}: the database can't be made ({error.strerror}).") from None


def _set_up(connection: Any, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    """Who will write says so at once: SQLite can't make a writer of a reader while another one writes."""
    reads = connection.get_execution_options().get("only_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _tells() -> Iterator[None]:
    """Turns what the database says into errors of this service: never a statement, its values or an address."""
    try:
        yield
    except IntegrityError:
        raise Conflict("There is a request of that id already.") from None
    except SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        raise Unavailable(f"The database of requests can't be used ({kind}).") from None
