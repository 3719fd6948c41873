"""Addresses of databases, with the password from a file."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from services.sql.words import Words

BACKENDS = ("sqlite", "postgresql")
_DRIVER = "postgresql+psycopg"


def parsed(address: str, words: Words, password_file: Path | None = None) -> URL:
    """Reads the address of a database: sqlite:///FILE, or postgresql://… for psycopg.

    Args:
        address: may hold a password, but a file is the better place for it.
        words: raises their `unavailable` where the address or the file can't be read.
        password_file: its password wins.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise words.of_the_address("not an address of a database.") from None
    if url.get_backend_name() not in BACKENDS:
        raise words.of_the_address(f"{words.name} is SQLite or PostgreSQL.")
    if url.drivername == "postgresql":
        url = url.set(drivername=_DRIVER)
    if password_file is None:
        return url
    try:
        return url.set(password=password_file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise words.unavailable(f"{password_file}: can't be read ({error.strerror}).") from None
