"""The API of requests over real HTTP: a film with two people, an account of each role, and a client for each."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from services.accounts.accounts import Accounts
from services.accounts.model import Role
from services.accounts.web import Gate
from services.disclosure.desk import Desk, Office
from services.disclosure.package import House
from services.disclosure.rest.app import request_app
from services.disclosure.rest.counter import Counter, Rooms
from services.disclosure.rest.jobs import Jobs
from services.disclosure.rest.keys import WORDS, FilingKeys
from services.disclosure.store import RequestStore
from services.schema import pb
from services.signing import SigningKeys
from services.sql import Database, parsed
from services.vault.errors import Expired, VaultError
from tests.support.accounts import NAMES, TurnedClock, browser, cheap, served, settings_in, staffed
from tests.support.disclosures import EPOCH
from tests.support.own_footage import SEES, Footage, pieces, truth

WHY = "asked at the counter"
REQUESTS = "/api/v1/requests"
FILED = {
    "why": WHY,
    "whose": "J. Park",
    "cameras": ["gate"],
    "start": "2026-09-21T14:13:20Z",
    "end": "2026-09-21T14:14:20Z",
    "legal_basis": "GDPR, article 15",
}


class ExpiredFootage:
    """Of which nothing is kept any more."""

    def open(self, *_: Any, **__: Any) -> Any:
        raise Expired("Nothing of gate in that range is kept any more: it has expired, or was purged.")

    def outline(self, *_: Any, **__: Any) -> Any:
        return self.open()


@dataclass
class City:
    """A house with its API.

    Attributes:
        accounts: with one of each role.
        desk: whose requests and folder are in `folder`.
        address: of the API, once it is served.
    """

    folder: Path
    accounts: Accounts
    desk: Desk
    jobs: Jobs
    app: FastAPI
    clock: TurnedClock
    address: str = ""

    @contextmanager
    def client(self, role: Role | None) -> Iterator[httpx.Client]:
        with browser(self.address, self.accounts, NAMES[role] if role else "") as one:
            yield one

    @contextmanager
    def clients(self, *roles: Role) -> Iterator[list[httpx.Client]]:
        with ExitStack() as stack:
            yield [stack.enter_context(self.client(role)) for role in roles]


@contextmanager
def city(
    folder: Path, units: list[pb.AccessUnit] | None, *, clock: TurnedClock | None = None, **more: Any
) -> Iterator[City]:
    """A house in a folder; the same folder again is the same house after a restart."""
    clock = clock or TurnedClock(EPOCH + 24 * 3600 * 1_000_000)
    keys = SigningKeys(folder / "keys")
    if not (folder / "keys").is_dir():
        keys.create()
    footage: Any = ExpiredFootage() if units is None else Footage({"gate": list(pieces(units, truth()))})
    office = Office(folder / "work", keys, {SEES.fingerprint: SEES}, House("The City"))
    desk = Desk(RequestStore(f"sqlite:///{folder}/requests.db"), footage, office, clock)
    settings = settings_in(folder, requests_per_minute=100_000, **more)
    accounts = Accounts(settings, None, clock, cheap())
    if accounts.book.is_empty():
        staffed(accounts)
    jobs = Jobs(1, (VaultError,), clock)
    filing = FilingKeys(Database(parsed(settings.database, WORDS), WORDS), clock)
    app = request_app(Gate(accounts, secure=False), Counter(Rooms(desk, accounts, jobs, filing)), (VaultError,))
    made = City(folder, accounts, desk, jobs, app, clock)
    with served(app) as address:
        made.address = address
        try:
            yield made
        finally:
            jobs.close()
            accounts.close()


def waited(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The job that an answer tells of, once it is over."""
    assert answer.status_code == 202, answer.text
    job = answer.json()
    until = time.monotonic() + 120
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < until, "the job does not end"
        time.sleep(0.05)
        job = client.get(f"{REQUESTS}/{job['request']}/jobs/{job['id']}").json()
    return job


def act(client: httpx.Client, request_id: str, step: str, **more: Any) -> httpx.Response:
    """A step on a request as it is now."""
    version = more.pop("version", None)
    if version is None:
        version = client.get(f"{REQUESTS}/{request_id}").json()["version"]
    return client.post(f"{REQUESTS}/{request_id}/{step}", json={"version": version, "why": WHY, **more})


def filed(client: httpx.Client, **more: Any) -> str:
    answer = client.post(REQUESTS, json=FILED | more)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def chosen(client: httpx.Client, request_id: str) -> None:
    """From filed to submitted, with the person who goes from left to right as the subject."""
    job = waited(client, act(client, request_id, "find"))
    assert job["state"] == "done", job
    found = client.get(f"{REQUESTS}/{request_id}/found").json()["found"]
    me = [{"number": each["number"]} for each in found if each["track"] == 1]
    version = client.get(f"{REQUESTS}/{request_id}").json()["version"]
    answer = client.put(f"{REQUESTS}/{request_id}/subject", json={"version": version, "why": WHY, "tracks": me})
    assert answer.status_code == 200, answer.text
    assert act(client, request_id, "submit").status_code == 200


def packaged(officer: httpx.Client, approver: httpx.Client) -> str:
    """A request that waits to be handed over."""
    request_id = filed(officer)
    chosen(officer, request_id)
    assert act(approver, request_id, "approve").status_code == 200
    job = waited(officer, act(officer, request_id, "render"))
    assert job["state"] == "done", job
    job = waited(officer, act(officer, request_id, "package"))
    assert job["state"] == "done", job
    return request_id
