"""Opens the logs of a house, whoever writes them: by the tables in a database, without their writers' keys."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import MetaData, Table, inspect, select

from services.audit.check import Chains, by_chain, without_repeats
from services.audit.errors import Unavailable
from services.audit.links import Link, of_messages, of_rows
from services.audit.log import AuditLog
from services.audit.rows import EventRows, Head, Unpublished
from services.audit.settings import AuditSettings, usual_folder
from services.bus.clock import Clock, now_us
from services.bus.interface import BusLost, Message, Reader
from services.bus.topics import AUDIT
from services.schema import pb
from services.sql import Database, Words, parsed

HOUSE = "house"
"""Name of the chains in the house's own log: policies, keys, exports, reports."""

_WORDS = Words("the audit log", Unavailable, Unavailable, "Another writer was faster.", "VEIL_AUDIT_DATABASE")
_CHAIN_COLUMN = "chain"
_KNOWN = {
    "vault_events": ("vault", "camera_id"),
    "disclosure_events": ("disclosure", None),
    "audit_events": ("", "key"),
}
"""Table → name of its chains, where all have the same, and the column that says whose."""
_OTHERS = (
    ("insight", "VEIL_INSIGHT_DATABASE", "", ""),
    ("vault", "VEIL_VAULT_INDEX", "VEIL_VAULT_STORE", "index.db"),
    ("disclosure", "VEIL_DISCLOSURE_DATABASE", "VEIL_DISCLOSURE_FOLDER", "requests.db"),
)
"""Name, variable of the address, variable of the folder, and the file in it where no address is given."""
_FILE = "sqlite:///"
_POLL_S = 1.0
_SILENCE_S = 60.0


class Source:
    """A database with logs in it.

    Args:
        name: what sentences call it.
        address: as of the settings that its writers have.
        password_file: of the database's user.
    """

    def __init__(self, name: str, address: str, password_file: Path | None = None) -> None:
        self.name = name
        url = parsed(address, _WORDS, password_file)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            raise Unavailable(f"{name}: there is no database {url.database}.")
        self._database = Database(url, _WORDS)
        self._emptied: EventRows | None = None

    def logs(self) -> Sequence[EventRows]:
        """What there is in it."""
        found = []
        names = inspect(self._database.engine).get_table_names()
        for name, (chain, key) in _KNOWN.items():
            if name not in names:
                continue
            table = Table(name, MetaData(), autoload_with=self._database.engine)
            if chain:
                found.append(EventRows(table, chain, key))
                continue
            with self._database.read() as connection:
                column = table.c[_CHAIN_COLUMN]
                chains = connection.execute(select(column).distinct().order_by(column)).scalars().all()
            found += [EventRows(table, each, key) for each in chains]
        return found

    def chains(self) -> Chains:
        """Every event as a link. Raises Unavailable."""
        links: list[Link] = []
        for log in self.logs():
            with self._database.read() as connection:
                links += of_rows(log.chain, log.rows(connection))
        return by_chain(links)

    def heads(self) -> list[Head]:
        """How far its chains have come. Raises Unavailable."""
        found = []
        for log in self.logs():
            with self._database.read() as connection:
                found += log.heads(connection)
        return found

    def events(self) -> Iterator[pb.AuditEvent]:
        """Every event that can be read, chain by chain. Raises Unavailable."""
        for log in self.logs():
            with self._database.read() as connection:
                yield from log.events(connection)

    def unpublished(self, after: int = 0) -> Sequence[Unpublished]:
        """The oldest events of a log, of the first that has any, that are not on the bus yet; see `Publisher`."""
        for log in self.logs():
            with self._database.read() as connection:
                found = log.unpublished(connection, after)
            if found:
                self._emptied = log
                return found
        return []

    def mark_published(self, numbers: Sequence[int]) -> None:
        """Those that were given last are on the bus."""
        if self._emptied is not None:
            with self._database.write() as connection:
                self._emptied.mark_published(connection, numbers)

    def close(self) -> None:
        """Ends its connections."""
        self._database.close()


def addresses(
    settings: AuditSettings, environment: Mapping[str, str] | None = None
) -> list[tuple[str, str, Path | None]]:
    """Name, address and password file of every log of the house, as its settings say.

    They are those of VEIL_AUDIT_…, VEIL_ACCOUNTS_…, VEIL_INSIGHT_…, VEIL_VAULT_… and VEIL_DISCLOSURE_…. The house's
    own log and that of accounts are left out while their files are not there; no database is named twice.
    """
    env = os.environ if environment is None else environment
    found = []
    if not _is_absent_file(settings.address):
        found.append(("log", settings.address, settings.database_password_file))
    accounts = env.get("VEIL_ACCOUNTS_DATABASE") or f"{_FILE}{usual_folder() / 'accounts.db'}"
    if not _is_absent_file(accounts) and accounts != settings.address:
        password = env.get("VEIL_ACCOUNTS_DATABASE_PASSWORD_FILE")
        found.append(("accounts", accounts, Path(password) if password else None))
    for name, address, folder, file in _OTHERS:
        at = env.get(folder, "")
        url = env.get(address) or (f"sqlite:///{Path(at) / file}" if at and "://" not in at else "")
        password = env.get(f"{address}_PASSWORD_FILE")
        if url and url not in [known for _, known, _ in found]:
            found.append((name, url, Path(password) if password else None))
    return found


def _is_absent_file(address: str) -> bool:
    return address.startswith(_FILE) and not Path(address.removeprefix(_FILE)).is_file()


def open_log(settings: AuditSettings | None = None, chain: str = HOUSE, clock: Clock = now_us) -> AuditLog:
    """The house's own log; made where there is none. Raises Unavailable."""
    settings = settings or AuditSettings()
    url = parsed(settings.address, _WORDS, settings.database_password_file)
    return AuditLog(Database(url, _WORDS), chain, clock)


def topic_copy(reader: Reader, now_us: int) -> tuple[Chains, int]:
    """The topic as it was when its reader was made: each event once, and since when nothing can have expired of it.

    Args:
        reader: of the topic audit, from its oldest record on.
        now_us: microseconds since 1970.

    Raises BusLost.
    """
    oldest_us = now_us

    def messages() -> Iterator[Message]:
        nonlocal oldest_us
        for message in _all_of(reader):
            oldest_us = min(oldest_us, message.timestamp_us)
            yield message

    chains = by_chain(without_repeats(of_messages(messages())))
    kept_us = now_us - int(AUDIT.retention.total_seconds() * 1e6)
    # Partitions expire a part at a time, some days one after the other: the oldest record of all may outlive others.
    return chains, max(oldest_us, kept_us) if chains else kept_us


def _all_of(reader: Reader) -> Iterator[Message]:
    heard = time.monotonic()
    while True:
        messages = reader.poll(_POLL_S, 1000)
        yield from messages
        if messages:
            heard = time.monotonic()
        elif reader.caught_up:
            return
        elif time.monotonic() - heard > _SILENCE_S:
            raise BusLost(f"the topic {AUDIT.name} can't be read: nothing came for {_SILENCE_S:.0f} s")
