"""Databases for audit logs, and a log in one of them."""

from pathlib import Path

from services.audit.errors import Unavailable
from services.audit.log import AuditLog
from services.sql import Database, Words, parsed
from tests.support.originals import Clock

WORDS = Words("a test's database", Unavailable, Unavailable, "taken")


def database(url: str) -> Database:
    return Database(parsed(url, WORDS), WORDS)


def make_log(folder: Path, chain: str = "test", clock: Clock | None = None) -> AuditLog:
    """A log in a file of its own."""
    return AuditLog(database(f"sqlite:///{folder / 'audit.db'}"), chain, clock or Clock())
