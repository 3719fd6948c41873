"""Requests outlast crashes, the slower of two officers is told, and the events can't be changed unseen."""

import sqlite3
import threading
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from services.disclosure import steps
from services.disclosure.errors import Conflict, DisclosureError, Invalid, Unavailable, Unknown
from services.disclosure.request import Actor
from services.disclosure.states import State
from services.disclosure.store import RequestStore
from tests.support.disclosures import APPROVER, DAY_US, OFFICER, START_US, brought_to, filed

AT_US = START_US + 2 * DAY_US


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/requests.db"


@pytest.fixture
def store(tmp_path: Path) -> RequestStore:
    return RequestStore(url(tmp_path))


@pytest.mark.parametrize("state", list(State))
def test_a_request_in_any_state_outlasts_the_process(store: RequestStore, state: State, tmp_path: Path) -> None:
    request = brought_to(state)
    store.add(request)
    store.close()

    again = RequestStore(url(tmp_path))

    assert again.get(request.id) == request
    assert again.list(state) == [request]
    assert len(again.events(request.id)) == len(request.history)
    assert again.unbroken()


def test_a_crash_between_two_states_leaves_the_first(store: RequestStore, tmp_path: Path) -> None:
    """Neither the request nor its event are there unless both are."""
    request = store.add(brought_to(State.SUBMITTED))
    events = len(store.events())
    with sqlite3.connect(tmp_path / "requests.db") as broken:
        broken.execute("CREATE TRIGGER crash BEFORE INSERT ON disclosure_events BEGIN SELECT RAISE(ABORT, 'x'); END")
    broken.close()

    with pytest.raises(DisclosureError):
        store.change(request, steps.approve(request, APPROVER, AT_US))

    again = RequestStore(url(tmp_path))
    assert again.get(request.id) == request
    assert len(again.events()) == events


def test_of_two_officers_at_once_the_second_is_told(store: RequestStore) -> None:
    store.add(brought_to(State.SUBMITTED))
    (mine,), (theirs,) = store.list(), store.list()
    store.change(mine, steps.approve(mine, APPROVER, AT_US))

    with pytest.raises(Conflict, match="lee was faster"):
        store.change(theirs, steps.refuse(theirs, Actor(who="choi", why="not them"), AT_US))

    kept = store.get(mine.id)
    assert (kept.state, len(store.events(mine.id))) == (State.APPROVED, len(kept.history))
    assert store.unbroken()


def test_of_many_officers_at_once_one_wins_and_the_chain_holds(tmp_path: Path) -> None:
    first = RequestStore(url(tmp_path))
    request = first.add(brought_to(State.SUBMITTED))
    outcomes: list[str] = []

    def decide(number: int) -> None:
        mine = RequestStore(url(tmp_path))
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
    assert first.unbroken()
    assert len(first.list()) == 7


def test_what_was_done_can_not_be_rewritten(store: RequestStore) -> None:
    request = store.add(brought_to(State.APPROVED))
    other = request.model_copy(update={"history": request.history[:-1]})

    with pytest.raises(Invalid):
        store.change(request, other)


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM disclosure_events WHERE id = 2",
        "UPDATE disclosure_events SET event = (SELECT event FROM disclosure_events WHERE id = 1) WHERE id = 2",
        "UPDATE disclosure_events SET id = 99 WHERE id = 2",
    ],
)
def test_an_event_that_was_changed_removed_or_moved_is_found(store: RequestStore, attack: str, tmp_path: Path) -> None:
    store.add(brought_to(State.APPROVED))
    assert store.unbroken()

    with sqlite3.connect(tmp_path / "requests.db") as attacker:
        attacker.execute(attack)
    attacker.close()

    assert not store.unbroken()


def test_reminders_name_what_is_due_or_late_and_has_no_answer(store: RequestStore) -> None:
    today = date(2026, 9, 25)
    late = store.add(filed(rules="days:2"))
    soon = store.add(filed(rules="pipa"))
    store.add(filed(rules="gdpr"))
    store.add(brought_to(State.REFUSED, filed(rules="days:2")))
    store.add(brought_to(State.HANDED_OVER, filed(rules="days:2")))

    due = store.due_within(6, today)

    assert [request.id for request in due] == [late.id, soon.id]
    assert [request.days_left(today) for request in due] == [-2, 6]
    assert [request.id for request in store.due_within(5, today)] == [late.id]


def test_packages_whose_time_is_over_are_known(store: RequestStore) -> None:
    request = store.add(brought_to(State.HANDED_OVER))
    assert request.expires_us is not None

    assert store.expired(request.expires_us - 1) == []
    assert store.expired(request.expires_us) == [request]


def test_an_unknown_request_and_a_foreign_database_are_told_in_one_sentence(tmp_path: Path) -> None:
    store = RequestStore(url(tmp_path))
    with pytest.raises(Unknown, match="no request nothing"):
        store.get("nothing")
    with pytest.raises(Unknown):
        store.change(request := filed(), steps.find(request, OFFICER, AT_US, 0))
    with sqlite3.connect(tmp_path / "requests.db") as newer:
        newer.execute("UPDATE disclosure_schema SET version = 99")
    newer.close()
    with pytest.raises(Unavailable, match="version 99"):
        RequestStore(url(tmp_path))
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Unavailable, match="can't be used"):
        RequestStore(f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(Unavailable):
        RequestStore("mysql://x")


def test_the_database_is_its_owners_only(store: RequestStore, tmp_path: Path) -> None:
    assert (tmp_path / "requests.db").stat().st_mode & 0o077 == 0
