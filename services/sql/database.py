"""Connections to a database: transactions that are durable when they have ended, and one migration at a time."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from services.sql.words import Words

_WAIT_S = 10
_STATEMENT_S = 30
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # A commit is on the disk when it returns: what is acknowledged after it survives a power cut.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    # What is erased is overwritten: a salt must not lie about in free pages.
    "PRAGMA secure_delete=ON",
)
# Any number, the same for all who migrate, of whatever room: they rarely do, and may wait for each other.
_MIGRATING = 7_265_001


class Database:
    """Connections to one database. Safe to share between threads.

    Args:
        url: as `parsed` gives it; never shown, it may hold a password.
        words: the room's own errors.
    """

    def __init__(self, url: URL, words: Words) -> None:
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = _engine(url, words)
        self._words = words

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises the room's `unavailable`."""
        with self._tells(), self.engine.connect().execution_options(only_reads=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, durable when the block has ended. Raises the room's `unavailable` and `conflict`."""
        with self._tells(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection for whoever makes or changes tables: replicas that start together wait for each other."""
        with self._tells(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_lock({_MIGRATING})"))
                connection.commit()
            try:
                yield connection
                connection.commit()
            finally:
                if not self.is_sqlite:
                    connection.rollback()
                    connection.execute(text(f"SELECT pg_advisory_unlock({_MIGRATING})"))
                    connection.commit()

    def migrate(self, scripts: Path) -> None:
        """Brings the tables to this version by alembic's scripts in a folder; does nothing where they are."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        with self.alone() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def forget_erased(self) -> None:
        """Empties what a database keeps beside its tables of rows that were overwritten, as far as it lets us."""
        if self.is_sqlite:
            # Outside of every transaction; while somebody reads, it does what it can.
            with self._tells(), closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Ends all connections."""
        self.engine.dispose()

    @contextmanager
    def _tells(self) -> Iterator[None]:
        """Turns what the database says into the room's errors: never a statement, its values or an address."""
        try:
            yield
        except IntegrityError:
            raise self._words.conflict(self._words.taken) from None
        except DBAPIError as error:
            raise self._words.cannot(type(error.orig).__name__) from None
        except SQLAlchemyError as error:
            raise self._words.cannot(type(error).__name__) from None


def _engine(url: URL, words: Words) -> Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        if url.database and url.database != ":memory:":
            _make_private(Path(url.database), words)
        options["connect_args"] = {"timeout": _WAIT_S, "isolation_level": None}
    else:
        limits = f"-c statement_timeout={_STATEMENT_S}s -c lock_timeout={_WAIT_S}s"
        options |= {"connect_args": {"connect_timeout": _WAIT_S, "options": limits}, "pool_timeout": _STATEMENT_S}
        options |= {"pool_size": 8, "max_overflow": 8}
    try:
        engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError):
        raise words.of_the_address(
            f"{words.name} on {url.get_backend_name()} needs its driver: pip install 'veil[{words.extra}]'."
        ) from None
    if is_sqlite:
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
    return engine


def _make_private(file: Path, words: Words) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(0o600)
    except OSError as error:
        raise words.unavailable(f"{file}: {words.name} can't be made ({error.strerror}).") from None


def _set_up(connection: Any, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    """Who will write says so at once: SQLite can't make a writer of a reader while another one writes."""
    reads = connection.get_execution_options().get("only_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
