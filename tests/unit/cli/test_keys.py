"""`veil keys`: making, adding, listing and destroying key-encryption keys."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.audit.sources import open_log
from services.cli import app
from services.embedded.errors import ExitCode
from services.envelope import KeyFolder


def _veil(*arguments: str | Path, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, arguments)], input=answer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "etc" / "keys"
    assert _veil("create", folder).exit_code == 0
    return folder


def test_create_makes_a_folder_and_a_key_for_its_owner_only(folder: Path) -> None:
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.name == f"{KeyFolder(folder).current()}.key"


def test_create_never_touches_a_folder_that_has_keys(folder: Path) -> None:
    result = _veil("create", folder)
    assert result.exit_code == ExitCode.USAGE
    assert "veil keys rotate" in result.stderr
    assert len(KeyFolder(folder).names()) == 1


def test_rotate_adds_the_current_key(folder: Path) -> None:
    old = KeyFolder(folder).current()
    assert _veil("rotate", folder).exit_code == 0
    names = KeyFolder(folder).names()
    assert names[0] == old != names[1] == KeyFolder(folder).current()


def test_rotate_needs_a_first_key(tmp_path: Path) -> None:
    result = _veil("rotate", tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert "veil keys create" in result.stderr
    assert _veil("rotate", tmp_path / "none").exit_code == ExitCode.USAGE


def test_a_key_that_would_not_be_used_is_not_made(folder: Path) -> None:
    (folder / "z.key").write_bytes(next(folder.iterdir()).read_bytes())
    result = _veil("rotate", folder)
    assert result.exit_code == ExitCode.USAGE
    assert "sorts before z" in result.stderr


def test_list_shows_each_keys_state_and_ends_with_2_where_one_is_unusable(folder: Path) -> None:
    _veil("rotate", folder)
    old, new = KeyFolder(folder).names()
    result = _veil("list", folder)
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [[old, "opens"], [new, "current"]]
    KeyFolder(folder).file(new).chmod(0o640)
    result = _veil("list", folder)
    assert result.exit_code == ExitCode.USAGE
    assert "unusable" in result.stdout
    assert "chmod 600" in result.stderr


def test_destroy_asks_and_leaves_nothing(folder: Path) -> None:
    _veil("rotate", folder)
    old, new = KeyFolder(folder).names()
    refused = _veil("destroy", old, folder, answer="n\n")
    assert refused.exit_code == ExitCode.USAGE
    silent = _veil("destroy", old, folder)
    assert (silent.exit_code, silent.stderr) == (ExitCode.INTERRUPTED, "error: no answer; nothing was done\n")
    assert len(KeyFolder(folder).names()) == 2
    assert _veil("destroy", old, folder, answer="y\n").exit_code == 0
    assert [entry.name for entry in folder.iterdir()] == [f"{new}.key"]


def test_the_current_key_and_one_that_is_not_there_are_not_destroyed(folder: Path) -> None:
    current = KeyFolder(folder).current()
    result = _veil("destroy", current, folder, "--yes")
    assert result.exit_code == ExitCode.USAGE
    assert "veil keys rotate" in result.stderr
    for name in ("other", "../etc", "a/b"):
        assert _veil("destroy", name, folder, "--yes").exit_code == ExitCode.USAGE
    assert KeyFolder(folder).names() == [current]


def test_the_folder_may_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_KEYS_FOLDER", str(folder))
    assert KeyFolder(folder).current() in _veil("list").stdout


def test_i3_no_key_is_ever_shown(folder: Path) -> None:
    secret = next(folder.iterdir()).read_text().strip()
    for arguments in (("list",), ("create",), ("rotate",), ("list",)):
        result = _veil(*arguments, folder)
        assert secret not in result.output


def test_making_and_destroying_a_key_are_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_AUDIT_DATABASE", f"sqlite:///{tmp_path / 'audit.db'}")
    folder = tmp_path / "keys"
    for command in ("create", "rotate"):
        assert _veil(command, folder, "--who", "kim").exit_code == 0
    old, new = KeyFolder(folder).names()
    assert _veil("destroy", new, folder, "--yes").exit_code == ExitCode.USAGE
    assert _veil("destroy", old, folder, "--yes", "--who", "kim", "--purpose", "a year old").exit_code == 0
    events = open_log().events()
    assert [event.action for event in events] == ["key.create", "key.rotate", "key.destroy"]
    assert events[2].object == f"{folder}/{old}"
    assert (events[2].actor, events[2].purpose) == ("kim", "a year old")


def test_a_key_is_not_destroyed_where_nobody_would_know(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _veil("rotate", folder)
    old = KeyFolder(folder).names()[0]
    monkeypatch.setenv("VEIL_AUDIT_DATABASE", "sqlite:////proc/nowhere/audit.db")
    assert _veil("destroy", old, folder, "--yes").exit_code == ExitCode.INPUT
    assert old in KeyFolder(folder).names()
