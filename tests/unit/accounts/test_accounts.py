"""Accounts: what a guess can't learn, how long things last, and that every change is told."""

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("argon2")
pytest.importorskip("sqlalchemy")

from services.accounts.accounts import Accounts
from services.accounts.errors import Conflict, Invalid, Refused, TooMany, Unknown
from services.accounts.model import Account, Role, folded
from services.accounts.passwords import Passwords
from tests.support.accounts import NAMES, PASSWORD, Told, TurnedClock, cheap, settings_in, staffed

ADDRESS = "10.0.0.7"
OFFICER = NAMES[Role.OFFICER]
PASSWORDS = Passwords()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def accounts(tmp_path: Path, clock: TurnedClock, told: Told) -> Accounts:
    made = staffed(Accounts(settings_in(tmp_path), told, clock, cheap()))
    told.events.clear()
    return made


def test_a_good_password_begins_a_session_and_no_secret_is_kept(accounts: Accounts, tmp_path: Path) -> None:
    account, token = accounts.log_in(OFFICER.upper(), PASSWORD, ADDRESS)

    assert account.name == OFFICER
    assert accounts.sessions.find(token) == account
    accounts.close()
    everything = b"".join(file.read_bytes() for file in tmp_path.glob("accounts.db*"))
    assert token.encode() not in everything
    assert PASSWORD.encode() not in everything
    assert (tmp_path / "accounts.db").stat().st_mode & 0o077 == 0


def test_nothing_tells_a_wrong_password_from_no_account_or_a_locked_one(accounts: Accounts, told: Told) -> None:
    accounts.lock("test", NAMES[Role.VIEWER])
    said = set()
    for name in (OFFICER, "nobody", NAMES[Role.VIEWER]):
        for _ in range(5):
            with pytest.raises(Refused) as refused:
                accounts.log_in(name, PASSWORD if name != OFFICER else "wrong", f"10.0.{len(name)}.1")
            said.add(str(refused.value))
        with pytest.raises(TooMany) as paused:
            accounts.log_in(name, "wrong", "10.9.9.9")
        said.add(str(paused.value))

    assert len(said) == 2
    assert not any("nobody" in str(event) for event in told.events)


def test_the_work_is_the_same_without_an_account(monkeypatch: pytest.MonkeyPatch, accounts: Accounts) -> None:
    """Counted, not timed: a machine under load tells nothing."""
    verified: list[str] = []
    real = accounts._passwords._hasher.verify
    monkeypatch.setattr(
        type(accounts._passwords._hasher),
        "verify",
        lambda _, kept, given: (verified.append(kept), real(kept, given))[1],
    )
    for name in (OFFICER, "nobody"):
        with pytest.raises(Refused):
            accounts.log_in(name, "wrong", ADDRESS)

    assert len(verified) == 2
    assert {kept.split("$")[3] for kept in verified} == {verified[0].split("$")[3]}


def test_pauses_grow_and_end(accounts: Accounts, clock: TurnedClock, told: Told) -> None:
    waits = []
    for _ in range(9):
        try:
            accounts.log_in(OFFICER, "wrong", ADDRESS)
        except Refused:
            continue
        except TooMany as error:
            waits.append(error.retry_after_s)
            clock.pass_s(error.retry_after_s)

    assert waits == [1, 2]
    assert told.actions.count("login.locked_out") == 3
    clock.pass_s(4)
    assert accounts.log_in(OFFICER, PASSWORD, ADDRESS)[0].name == OFFICER
    with pytest.raises(Refused):
        accounts.log_in(OFFICER, "wrong", ADDRESS)


def test_a_pause_is_never_longer_than_it_may_be(accounts: Accounts, clock: TurnedClock) -> None:
    longest = 0
    for _ in range(60):
        try:
            accounts.log_in(OFFICER, "wrong", f"10.0.0.{clock.us % 250}")
        except Refused:
            continue
        except TooMany as error:
            longest = max(longest, error.retry_after_s)
            clock.pass_s(error.retry_after_s)

    assert longest == accounts.settings.pause_max_s


def test_one_address_can_not_try_many_names(accounts: Accounts) -> None:
    for number in range(20):
        with pytest.raises(Refused):
            accounts.log_in(f"name{number}", "wrong", f"2001:db8::{number:x}")
    with pytest.raises(TooMany):
        accounts.log_in("another", "wrong", "2001:db8::ffff")
    assert accounts.log_in(OFFICER, PASSWORD, "2001:db8:1::1")[0].name == OFFICER


def test_many_guesses_at_once_are_no_way_around(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(Passwords, "matches", lambda *_: tried.append("x") is not None)

    def guess() -> None:
        with suppress(Refused, TooMany):
            accounts.log_in(OFFICER, "wrong", ADDRESS)

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(tried) == accounts.settings.tries


def test_a_session_ends_when_idle_and_after_its_time(accounts: Accounts, clock: TurnedClock) -> None:
    idle_s, hours = accounts.settings.idle_minutes * 60, accounts.settings.session_hours
    token = accounts.sessions.begin(accounts.book.get(OFFICER))
    clock.pass_s(idle_s - 1)
    assert accounts.sessions.find(token)
    clock.pass_s(idle_s - 1)
    assert accounts.sessions.find(token)
    clock.pass_s(idle_s)
    assert accounts.sessions.find(token) is None

    token = accounts.sessions.begin(accounts.book.get(OFFICER))
    for _ in range(hours * 4 - 1):
        clock.pass_s(900)
        assert accounts.sessions.find(token)
    clock.pass_s(900)
    assert accounts.sessions.find(token) is None


@pytest.mark.parametrize("change", ["roles", "password", "lock", "sees"])
def test_a_change_ends_sessions(accounts: Accounts, change: str) -> None:
    token = accounts.sessions.begin(accounts.book.get(OFFICER))
    other = accounts.sessions.begin(accounts.book.get(NAMES[Role.VIEWER]))
    if change == "roles":
        accounts.change("test", OFFICER, roles=["viewer"])
    elif change == "password":
        accounts.set_password("test", OFFICER, "nine slow barges upriver")
    elif change == "lock":
        accounts.lock("test", OFFICER)
    else:
        accounts.change("test", OFFICER, sites=[], cameras=["gate"])

    assert accounts.sessions.find(token) is None
    assert accounts.sessions.find(other)


def test_an_account_has_so_many_sessions(accounts: Accounts, clock: TurnedClock) -> None:
    account = accounts.book.get(OFFICER)
    tokens = []
    for _ in range(22):
        clock.pass_s(1)
        tokens.append(accounts.sessions.begin(account))

    assert [accounts.sessions.find(token) is not None for token in tokens] == [False] * 2 + [True] * 20


def test_a_token_has_no_more_roles_than_its_account_and_ends(accounts: Accounts, clock: TurnedClock) -> None:
    account = accounts.change("test", OFFICER, roles=["officer", "viewer"])
    with pytest.raises(Invalid):
        accounts.make_token("test", account, "export", ["admin"], 3)
    token, secret = accounts.make_token("test", account, "export", ["officer"], 3)

    found = accounts.tokens.find(secret)
    assert found is not None
    assert found.roles == {Role.OFFICER}
    accounts.change("test", OFFICER, roles=["viewer"])
    found = accounts.tokens.find(secret)
    assert found is not None
    assert found.roles == frozenset()
    clock.pass_s(3 * 24 * 3600)
    assert accounts.tokens.find(secret) is None
    with pytest.raises(Invalid):
        accounts.make_token("test", account, "export", ["officer"], 3660)
    _, secret = accounts.make_token("test", account, "export", ["officer"], 3)
    accounts.lock("test", OFFICER)
    assert accounts.tokens.find(secret) is None
    with pytest.raises(Unknown):
        accounts.revoke_token("test", account, token.id)


def test_one_admin_stays(accounts: Accounts) -> None:
    admin = NAMES[Role.ADMIN]
    for change in (lambda: accounts.lock("test", admin), lambda: accounts.change("test", admin, roles=["viewer"])):
        with pytest.raises(Conflict):
            change()
    accounts.change("test", OFFICER, roles=["admin"])
    accounts.lock("test", admin)
    with pytest.raises(Conflict):
        accounts.lock("test", OFFICER)
    with pytest.raises(Refused):
        accounts.log_in(admin, PASSWORD, ADDRESS)


def test_of_two_admins_at_once_the_second_is_told(accounts: Accounts) -> None:
    seen = accounts.book.get(OFFICER)
    accounts.change("one", OFFICER, cameras=["gate"], version=seen.version)
    with pytest.raises(Conflict):
        accounts.change("two", OFFICER, roles=["viewer"], version=seen.version)
    assert accounts.book.get(OFFICER).roles == {Role.OFFICER}


def test_who_changes_their_name_is_nobody_else(accounts: Accounts) -> None:
    accounts.change("test", OFFICER, person="lee@city.example")
    approver = accounts.change("test", NAMES[Role.APPROVER], person="LEE@city.example")
    accounts.change("test", OFFICER, person="somebody@else.example")

    names = accounts.book.names_of(approver)

    assert {OFFICER, "lee@city.example", "somebody@else.example", NAMES[Role.APPROVER]} == names
    assert accounts.book.names_of(accounts.book.get(NAMES[Role.VIEWER])) == {NAMES[Role.VIEWER]}


def test_what_can_not_be_told_is_not_done(tmp_path: Path, accounts: Accounts) -> None:
    def fails(*_: object) -> None:
        raise OSError("no room")

    deaf = Accounts(settings_in(tmp_path), fails, passwords=cheap())
    for act in (
        lambda: deaf.log_in(OFFICER, PASSWORD, ADDRESS),
        lambda: deaf.change("test", OFFICER, roles=["admin"]),
        lambda: deaf.add("test", "new", PASSWORD, ["admin"]),
        lambda: deaf.make_token("test", deaf.book.get(OFFICER), "x", ["officer"], 1),
    ):
        with pytest.raises(OSError, match="no room"):
            act()
    assert accounts.book.get(OFFICER).roles == {Role.OFFICER}
    assert accounts.book.find("new") is None
    with sqlite3.connect(tmp_path / "accounts.db") as rows:
        assert rows.execute("SELECT count(*) FROM accounts_sessions").fetchone() == (0,)
        assert rows.execute("SELECT count(*) FROM accounts_tokens").fetchone() == (0,)
    rows.close()


def test_every_change_is_an_event_of_an_unbroken_chain(tmp_path: Path) -> None:
    from services.audit_chain import first_break

    accounts = Accounts(settings_in(tmp_path), passwords=cheap())
    accounts.add("root", "kim", PASSWORD, ["admin"])
    accounts.log_in("kim", PASSWORD, ADDRESS)
    with pytest.raises(Refused):
        accounts.log_in("kim", "wrong", ADDRESS)

    events = accounts.log.events()
    assert [event.action for event in events] == ["account.create", "login.good", "login.failed"]
    assert first_break(events) is None
    assert PASSWORD not in str(events)


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("short one", "12"),
        ("aaaaaaaaaaaaaab", "repeats"),
        ("abcabcabcabcabc", "repeats"),
        ("12345678901234", "repeats"),
        ("mnbvcxzlkjhgfd", "repeats"),
        ("!!Administrator2026", "first"),
        ("kim.minsu likes tea", "name"),
        ("KIM.MINSU likes tea", "name"),
        ("x" * 300, "at most"),
    ],
)
def test_passwords_that_are_tried_first_are_refused(password: str, word: str) -> None:
    with pytest.raises(Invalid, match=word):
        PASSWORDS.checked(password, "lee", "kim.minsu@city.example")


def test_two_spellings_of_a_password_are_one() -> None:
    passwords = PASSWORDS
    kept = passwords.hash(passwords.checked("caf\u00e9 au lait et pain"))
    assert kept.startswith("$argon2id$")
    assert passwords.matches(kept, "cafe\u0301 au lait et pain")
    assert not passwords.matches(kept, "cafe au lait et pain")
    assert not passwords.matches("damaged", "cafe au lait et pain")


@pytest.mark.parametrize(
    ("sites", "cameras", "camera", "site", "seen"),
    [
        ((), (), "gate", "", False),
        (("*",), (), "gate", "", True),
        ((), ("gate",), "gate", "", True),
        ((), ("gate",), "gate2", "", False),
        ((), ("gate*",), "gate2", "", True),
        ((), ("north-*",), "south-1", "north-", False),
        (("north",), (), "gate", "north", True),
        (("north",), (), "north", "", False),
    ],
)
def test_what_an_account_sees(sites: tuple, cameras: tuple, camera: str, site: str, seen: bool) -> None:
    assert Account("a", "x", "", frozenset(), sites, cameras).sees(camera, site) is seen


@pytest.mark.parametrize("place", ["a*b", "**", "a?", "[a]*", "", "a\nb", "x" * 65])
def test_patterns_are_simple(accounts: Accounts, place: str) -> None:
    with pytest.raises(Invalid):
        accounts.change("test", OFFICER, cameras=[place])


def test_names_are_one_however_they_are_spelled(accounts: Accounts) -> None:
    with pytest.raises(Conflict):
        accounts.add("test", OFFICER.upper(), PASSWORD, ["viewer"])
    assert folded(" \uff2bim") == "kim"
    for name in ("", " ", "a b", "-kim", "x" * 101, "kim\n"):
        with pytest.raises(Invalid):
            accounts.add("test", name + ("!" if name == "kim\n" else ""), PASSWORD, ["viewer"])
