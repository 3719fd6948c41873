"""`veil accounts`: passwords come from the keyboard or standard input, and every fault is one sentence."""

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("argon2")
pytest.importorskip("sqlalchemy")

from argon2.profiles import CHEAPEST

from services.accounts import passwords
from services.cli import app

GOOD = "seven quiet herons\n"


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VEIL_ACCOUNTS_DATABASE", f"sqlite:///{tmp_path}/accounts.db")
    real = passwords.PasswordHasher.from_parameters
    monkeypatch.setattr(passwords.PasswordHasher, "from_parameters", lambda _: real(CHEAPEST))
    return tmp_path


def veil(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["accounts", *arguments], input=typed, env={"COLUMNS": "200"})


def test_the_first_start_says_what_to_do() -> None:
    result = veil("list")
    assert result.exit_code == 0
    assert result.stdout == "there is no account yet: veil accounts add NAME --role admin makes the first\n"


def test_add_list_change_and_lock() -> None:
    assert veil("add", "kim", "--role", "admin", typed=GOOD).stdout == "kim is admin, and sees no camera\n"
    added = veil("add", "lee", "--role", "officer", "--all-cameras", "--person", "lee@city.example", typed=GOOD)
    assert added.stdout == "lee is officer, and sees every camera\n"
    assert veil("roles", "LEE", "--role", "viewer", "--role", "officer").stdout == "lee is officer, viewer\n"
    assert veil("sees", "lee", "--camera", "north-*", "--site", "harbour").stdout == "lee sees site harbour, north-*\n"
    assert veil("lock", "lee").stdout == "lee is locked\n"
    listed = veil("list").stdout
    assert "lee@city.example" in listed
    assert "locked" in listed
    assert veil("unlock", "lee").stdout == "lee can log in\n"
    assert veil("person", "lee", "l.lee@city.example").stdout == "lee is l.lee@city.example's\n"
    assert veil("password", "lee", typed="nine slow barges\n").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("add", "lee", "--role", "king"), GOOD, "There is no role 'king'"),
        (("add", "lee", "--role", "viewer"), "short\n", "at least 12 characters"),
        (("add", "lee", "--role", "viewer"), "", "at least 12 characters"),
        (("add", "KIM", "--role", "viewer"), GOOD, "There is an account of that name already"),
        (("lock", "kim"), None, "It is the last admin"),
        (("roles", "nobody", "--role", "viewer"), None, "There is no account of that name"),
        (("token", "add", "kim", "--role", "officer", "--for", "x"), None, "none that its account has not"),
        (("token", "add", "kim", "--role", "admin", "--for", "x", "--days", "9999"), None, "from 1 to 366 days"),
        (("token", "revoke", "kim", "t1"), None, "no token of that id"),
    ],
)
def test_faults_are_one_sentence(arguments: tuple[str, ...], typed: str | None, said: str) -> None:
    veil("add", "kim", "--role", "admin", typed=GOOD)
    result = veil(*arguments, typed=typed)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_token_is_shown_once(house: Path) -> None:
    veil("add", "kim", "--role", "admin", typed=GOOD)
    made = veil("token", "add", "kim", "--role", "admin", "--for", "nightly", "--days", "3")
    secret = made.stdout.strip()
    assert secret.startswith("veil_")
    listed = veil("token", "list", "kim")
    assert "nightly" in listed.stdout
    assert secret not in listed.stdout
    with sqlite3.connect(house / "accounts.db") as rows:
        assert secret not in "".join(rows.iterdump())
        (token,) = rows.execute("SELECT id FROM accounts_tokens").fetchone()
    rows.close()
    assert veil("token", "revoke", "kim", token).exit_code == 0
    assert veil("token", "list", "kim").stdout == "there is no token\n"


def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_ACCOUNTS_DATABASE", "mysql://x")
    result = veil("list")
    assert result.exit_code == 3
    assert result.stderr == "error: VEIL_ACCOUNTS_DATABASE: the database of accounts is SQLite or PostgreSQL\n"
    monkeypatch.setenv("VEIL_ACCOUNTS_TRIES", "0")
    assert "VEIL_ACCOUNTS_TRIES" in veil("list").stderr


def test_no_command_takes_a_password_as_an_argument() -> None:
    assert veil("add", "kim", "secret", "--role", "admin").exit_code == 2
    assert veil("password", "kim", "secret").exit_code == 2
    assert "--password" not in veil("add", "--help").stdout
