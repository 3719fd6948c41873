"""Accounts on a real PostgreSQL server: the same promises as on SQLite, with several processes at once."""

import threading
from collections.abc import Iterator

import pytest

from services.accounts.accounts import Accounts
from services.accounts.errors import Conflict, Refused, TooMany
from services.accounts.model import Role
from services.accounts.settings import AccountSettings
from tests.support.accounts import NAMES, PASSWORD, Told, TurnedClock, cheap, staffed
from tests.support.postgres import PostgresServer

ADDRESS = "10.0.0.7"
OFFICER = NAMES[Role.OFFICER]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def houses(server: PostgresServer, clock: TurnedClock) -> Iterator[list[Accounts]]:
    """Two processes with one database."""
    settings = AccountSettings(database=server.new_database())
    made = [Accounts(settings, Told(), clock, cheap()) for _ in range(2)]
    staffed(made[0])
    yield made
    for each in made:
        each.close()


def test_a_session_begun_in_one_process_holds_and_ends_in_the_other(houses: list[Accounts], clock: TurnedClock) -> None:
    here, there = houses
    account, token = here.log_in(OFFICER, PASSWORD, ADDRESS)
    assert there.sessions.find(token) == account
    there.change("test", OFFICER, roles=[Role.VIEWER])
    assert here.sessions.find(token) is None
    _, token = there.log_in(OFFICER, PASSWORD, ADDRESS)
    clock.pass_s(30 * 24 * 3600)
    assert here.sessions.find(token) is None


def test_wrong_passwords_count_in_all_processes(houses: list[Accounts]) -> None:
    for turn in range(houses[0].settings.tries):
        with pytest.raises(Refused):
            houses[turn % 2].log_in(OFFICER, "wrong", ADDRESS)
    for house in houses:
        with pytest.raises(TooMany):
            house.log_in(OFFICER, PASSWORD, ADDRESS)


def test_a_locked_account_has_no_way_in(houses: list[Accounts]) -> None:
    here, there = houses
    account, _ = here.log_in(OFFICER, PASSWORD, ADDRESS)
    _, secret = here.make_token("test", account, "nightly", [Role.OFFICER], 1)
    assert there.tokens.find(secret) is not None
    there.lock("test", OFFICER)
    assert here.tokens.find(secret) is None
    with pytest.raises(Refused):
        here.log_in(OFFICER, PASSWORD, ADDRESS)


def test_of_many_who_take_one_name_one_gets_it(houses: list[Accounts]) -> None:
    made, told = [], []

    def take(house: Accounts) -> None:
        try:
            made.append(house.add("test", "j.park", PASSWORD, [Role.VIEWER]))
        except Conflict as error:
            told.append(str(error))

    threads = [threading.Thread(target=take, args=(houses[turn % 2],)) for turn in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(told)) == (1, 5)
