"""The index's database: SQLite in a file or PostgreSQL, with deadlines, and errors in one sentence."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from services.vault.errors import Conflict, Unavailable
from services.vault.settings import VaultSettings
from services.vault.store import folder_of
from services.vault.tables import LOCK

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
_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number, the same for all who migrate.
_MIGRATING = 7_265_001


class Database:
    """Connections to the index. Safe to share between threads.

    Args:
        url: sqlite:///FILE or postgresql://…; without a password in it wherever it may be shown.
    """

    def __init__(self, url: URL) -> None:
        self.engine = _engine(url)
        self.is_sqlite = url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises Unavailable."""
        with _tells(), self.engine.connect().execution_options(only_reads=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, durable when the block has ended. Raises Unavailable, Conflict."""
        with _tells(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def decide(self) -> Iterator[Connection]:
        """A transaction about what goes and what stays: one at a time, whoever else runs on this index."""
        with self.write() as connection:
            connection.execute(select(LOCK.c.id).with_for_update()).all()
            yield connection

    def migrate(self) -> None:
        """Brings the tables to this version; does nothing where they are. Raises Unavailable."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with _tells(), self.engine.connect() as connection:
            if not self.is_sqlite:
                # Replicas that start together wait for each other.
                connection.execute(text(f"SELECT pg_advisory_lock({_MIGRATING})"))
                connection.commit()
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
            finally:
                if not self.is_sqlite:
                    connection.rollback()
                    connection.execute(text(f"SELECT pg_advisory_unlock({_MIGRATING})"))
                    connection.commit()

    def forget_erased(self) -> None:
        """Empties what a database keeps beside its tables of rows that were overwritten, as far as it lets us."""
        if self.is_sqlite:
            # Outside of every transaction; while somebody reads, it does what it can.
            with _tells(), closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Ends all connections."""
        self.engine.dispose()


def database_of(settings: VaultSettings) -> Database:
    """The index of these settings. Raises Unavailable where there is none to be had."""
    return Database(index_url(settings))


def index_url(settings: VaultSettings) -> URL:
    """Its address, with the password from its file. Raises Unavailable."""
    folder = folder_of(settings.store)
    if not settings.index:
        if folder is None:
            raise Unavailable("VEIL_VAULT_INDEX: a store that is no folder needs an index, postgresql:// or sqlite://.")
        return URL.create("sqlite", database=str(folder / "index.db"))
    try:
        url = make_url(settings.index)
    except ArgumentError:
        raise Unavailable("VEIL_VAULT_INDEX: not an address of a database.") from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise Unavailable("VEIL_VAULT_INDEX: the index is SQLite or PostgreSQL.")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if settings.index_password_file is not None:
        try:
            url = url.set(password=settings.index_password_file.read_text(encoding="utf-8").strip())
        except OSError as error:
            raise Unavailable(f"{settings.index_password_file}: can't be read ({error.strerror}).") from None
    return url


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            _make_private(Path(url.database))
        options["connect_args"] = {"timeout": _WAIT_S, "isolation_level": None}
    else:
        limits = f"-c statement_timeout={_STATEMENT_S}s -c lock_timeout={_WAIT_S}s"
        options |= {"connect_args": {"connect_timeout": _WAIT_S, "options": limits}, "pool_timeout": _STATEMENT_S}
        options |= {"pool_size": 8, "max_overflow": 8}
    try:
        engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError):
        raise Unavailable(
            f"an index on {url.get_backend_name()} needs its driver: pip install 'veil[vault-postgres]'."
        ) from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
    return engine


def _make_private(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(0o600)
    except OSError as error:
        raise Unavailable(f"{file}: the vault's index can't be made ({error.strerror}).") from None


def _set_up(connection: Any, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    """Who will write says so at once: SQLite can't make a writer of a reader while another one writes."""
    reads = connection.get_execution_options().get("only_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _tells() -> Iterator[None]:
    """Turns what the database says into the vault's errors: never a statement, its values or an address."""
    try:
        yield
    except IntegrityError:
        raise Conflict("Another writer was faster.") from None
    except DBAPIError as error:
        raise Unavailable(f"The vault's index can't be used ({type(error.orig).__name__}).") from None
    except SQLAlchemyError as error:
        raise Unavailable(f"The vault's index can't be used ({type(error).__name__}).") from None
