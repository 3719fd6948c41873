"""Accounts for tests: a house with one account of each role, a clock that can be turned, and logged-in clients."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from argon2.profiles import CHEAPEST
from fastapi import FastAPI

from services.accounts.accounts import Accounts
from services.accounts.model import Account, Role
from services.accounts.passwords import Passwords
from services.accounts.secrets import csrf_of
from services.accounts.settings import AccountSettings
from services.accounts.web import COOKIE, CSRF_HEADER

PASSWORD = "seven quiet herons at dusk"
NAMES = {role: f"the.{role}" for role in Role}
NOON_US = 1_770_000_000_000_000
MINUTE_US = 60_000_000


@dataclass
class TurnedClock:
    """Microseconds since 1970, as a test turns them."""

    us: int = NOON_US

    def __call__(self) -> int:
        return self.us

    def pass_s(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)


@dataclass
class Told:
    """What was told of accounts, in order."""

    events: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def __call__(self, action: str, who: str, details: Any) -> None:
        self.events.append((str(action), who, dict(details)))

    @property
    def actions(self) -> list[str]:
        return [action for action, _, _ in self.events]


def cheap() -> Passwords:
    """Hashes that cost next to nothing."""
    return Passwords(12, CHEAPEST)


def settings_in(folder: Path, **more: Any) -> AccountSettings:
    return AccountSettings(database=f"sqlite:///{folder}/accounts.db", **more)


def staffed(accounts: Accounts) -> Accounts:
    """With one account of each role; they share one hash, as making it takes long."""
    first = accounts.add("test", NAMES[Role.ADMIN], PASSWORD, [Role.ADMIN], sites=["*"])
    kept = accounts.book.password_of(first)
    for role in set(Role) - {Role.ADMIN}:
        accounts.book.add(Account("", NAMES[role], "", frozenset({role}), sites=("*",)), password=kept)
    return accounts


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app over real HTTP on a free port of this machine. Yields its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", lifespan="on", ws="none", forwarded_allow_ips="127.0.0.1")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        until = time.monotonic() + 30
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def browser(address: str, accounts: Accounts | None = None, name: str = "") -> Iterator[httpx.Client]:
    """A client with a cookie jar; with the session of an account, if one is named, without the password's work."""
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as one:
        if accounts is not None and name:
            token = accounts.sessions.begin(accounts.book.get(name))
            one.cookies.set(COOKIE, token)
            one.headers[CSRF_HEADER] = csrf_of(token)
        yield one
