"""Requests on a real PostgreSQL server: the same promises as on SQLite, with several desks at once."""

import threading
from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import create_engine, text

from services.disclosure import steps
from services.disclosure.errors import Conflict, Unavailable, Unknown
from services.disclosure.request import Actor
from services.disclosure.states import ANSWERED, State
from services.disclosure.store import RequestStore
from tests.support.disclosures import APPROVER, DAY_US, OFFICER, START_US, brought_to, filed
from tests.support.postgres import PostgresServer

AT_US = START_US + 2 * DAY_US


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def address(server: PostgresServer) -> str:
    return server.new_database()


def run(address: str, statement: str) -> None:
    """As somebody would who has the database's password."""
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_request_in_any_state_outlasts_the_process(address: str) -> None:
    store = RequestStore(address)
    kept = {store.add(request).id: request for request in map(brought_to, State)}
    store.close()

    again = RequestStore(address)
    assert {request.id: request for request in again.list()} == kept
    assert {request.state for request in again.due_within(400, date(2026, 9, 21))} == set(State) - ANSWERED
    assert [request.state for request in again.expired(1 << 60)] == [State.HANDED_OVER]
    assert len(again.events()) == sum(len(request.history) for request in kept.values())
    assert again.unbroken()
    again.close()


def test_of_many_officers_at_once_one_wins_and_the_chain_holds(address: str) -> None:
    first = RequestStore(address)
    request = first.add(brought_to(State.SUBMITTED))
    outcomes: list[str] = []

    def decide(number: int) -> None:
        mine = RequestStore(address)
        try:
            mine.change(request, steps.approve(request, Actor(who=f"officer {number}", why="agreed"), AT_US))
            outcomes.append("won")
        except Conflict:
            outcomes.append("told")
        mine.add(filed())
        mine.close()

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["told"] * 5 + ["won"]
    assert len(first.list()) == 7
    assert first.unbroken()
    first.close()


def test_a_change_whose_event_fails_is_no_change(address: str) -> None:
    store = RequestStore(address)
    request = store.add(brought_to(State.SUBMITTED))
    events = len(store.events())
    run(address, "ALTER TABLE disclosure_events ADD CONSTRAINT no_more CHECK (id < 0) NOT VALID")
    with pytest.raises((Unavailable, Conflict)):
        store.change(request, steps.approve(request, APPROVER, AT_US))
    assert store.get(request.id) == request
    assert len(store.events()) == events
    store.close()


def test_an_event_that_is_changed_or_removed_is_found(address: str) -> None:
    store = RequestStore(address)
    request = store.add(filed())
    for _ in range(3):
        request = store.change(request, steps.find(request, OFFICER, AT_US, 1))
    assert store.unbroken()
    run(address, "DELETE FROM disclosure_events WHERE id = (SELECT min(id) + 1 FROM disclosure_events)")
    assert not store.unbroken()
    store.close()


def test_a_server_that_is_away_and_an_unknown_request_are_told_in_one_sentence(server: PostgresServer) -> None:
    store = RequestStore(server.new_database())
    with pytest.raises(Unknown):
        store.get("nothing")
    store.close()
    with pytest.raises(Unavailable):
        RequestStore("postgresql://veil@127.0.0.1:1/nothing")
