"""The index's database: where it is, and the lock of those who decide what goes and what stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from services import sql
from services.sql import Words, parsed
from services.vault.errors import Conflict, Unavailable
from services.vault.settings import VaultSettings
from services.vault.store import folder_of
from services.vault.tables import LOCK

_MIGRATIONS = Path(__file__).parent / "migrations"
_WORDS = Words("the vault's index", Unavailable, Conflict, "Another writer was faster.", "VEIL_VAULT_INDEX")


class Database(sql.Database):
    """Connections to the index. Safe to share between threads.

    Args:
        url: sqlite:///FILE or postgresql://…; without a password in it wherever it may be shown.
    """

    def __init__(self, url: URL) -> None:
        super().__init__(url, _WORDS)

    @contextmanager
    def decide(self) -> Iterator[Connection]:
        """A transaction about what goes and what stays: one at a time, whoever else runs on this index."""
        with self.write() as connection:
            connection.execute(select(LOCK.c.id).with_for_update()).all()
            yield connection

    def migrate(self, scripts: Path = _MIGRATIONS) -> None:
        """Brings the tables to this version; does nothing where they are. Raises Unavailable."""
        super().migrate(scripts)


def database_of(settings: VaultSettings) -> Database:
    """The index of these settings. Raises Unavailable where there is none to be had."""
    return Database(index_url(settings))


def index_url(settings: VaultSettings) -> URL:
    """Its address, with the password from its file. Raises Unavailable."""
    folder = folder_of(settings.store)
    if settings.index:
        return parsed(settings.index, _WORDS, settings.index_password_file)
    if folder is None:
        raise _WORDS.of_the_address("a store that is no folder needs an index, postgresql:// or sqlite://.")
    return URL.create("sqlite", database=str(folder / "index.db"))
