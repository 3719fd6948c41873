"""`veil audit-log`: verify, show, export and checkpoint, as an auditor would type them."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from services.audit.publish import publish
from services.audit.sources import open_log
from services.bus.interface import Reader, Start
from services.bus.memory import MemoryBus
from services.bus.topics import Topic
from services.cli import app
from services.signing import SigningKeys
from tests.support.audit import database
from tests.support.originals import Bus, make_vault, minutes, opened, store


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of its own, a vault whose originals were opened once, and keys that sign."""
    monkeypatch.setenv("VEIL_AUDIT_DATABASE", f"sqlite:///{tmp_path / 'audit.db'}")
    monkeypatch.setenv("VEIL_AUDIT_KEYS", str(tmp_path / "signing"))
    monkeypatch.setenv("VEIL_VAULT_STORE", str(tmp_path / "vault"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("VEIL_ACCOUNTS_DATABASE", "VEIL_VAULT_INDEX", "VEIL_DISCLOSURE_FOLDER", "VEIL_DISCLOSURE_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    SigningKeys(tmp_path / "signing").create()
    # On a slow machine the keeper would come to its first look, and tell of the policy.
    monkeypatch.setattr("services.vault.keeper._TURN_S", 60)
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 5)
    store(vault, bus)
    opened(vault)
    vault.close()
    open_log().append("account.create", "kim", thing="lee")
    return tmp_path


def veil(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit-log", *arguments])


def change(house: Path, file: str, statement: str) -> None:
    with closing(database(f"sqlite:///{house / file}")) as own, own.write() as connection:
        assert connection.execute(text(statement)).rowcount == 1


def test_a_whole_log(house: Path) -> None:
    assert veil("checkpoint").exit_code == 0
    result = veil("verify")
    assert result.exit_code == 0, result.output
    assert "vault: 1 events in 1 chains" in result.output
    assert "1 checkpoints" in result.output
    assert "nothing was removed" in result.output
    actions = [event.action for event in open_log().events()]
    assert actions == ["account.create", "audit.checkpoint", "audit.verify"]


def test_a_changed_log_is_told_with_its_place(house: Path) -> None:
    change(house, "vault/index.db", "UPDATE vault_events SET hash=x'00'")
    result = veil("verify")
    assert result.exit_code == 1
    assert "vault, chain vault of gate: event 0 (row 1) was changed" in result.stderr


def test_a_cut_log_is_told_by_its_checkpoint(house: Path) -> None:
    assert veil("checkpoint").exit_code == 0
    change(house, "vault/index.db", "DELETE FROM vault_events")
    result = veil("verify")
    assert result.exit_code == 1
    assert "had 1 events at checkpoint 0, and has 0 now: its end was cut off" in result.stderr


class BusyTopic:
    """A bus on which somebody acts, and their events arrive, right before the topic is read and right behind."""

    def __init__(self) -> None:
        self.bus = self
        self._memory = MemoryBus()
        self.act()

    def act(self) -> None:
        open_log().append("account.create", "kim", thing="lee")
        publish([open_log()], self._memory.producer())

    def reader(self, topic: Topic, start: Start) -> Reader:
        self.act()
        return self._memory.reader(topic, start)

    def close(self) -> None:
        self.act()
        self._memory.close()


def test_what_is_written_while_the_topic_is_read_is_no_fault(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.consume.connection.connect", lambda _: BusyTopic())
    result = veil("verify", "--topic")
    assert result.exit_code == 0, result.output
    assert "topic audit: 3 events in 1 chains" in result.output


def test_nothing_is_shown_or_exported_without_a_purpose(house: Path) -> None:
    for arguments in (["show"], ["export", str(house / "out")]):
        result = veil(*arguments)
        assert result.exit_code == 2, result.output
        assert "needs a purpose" in result.stderr
    assert not (house / "out").exists()
    assert [event.action for event in open_log().events()] == ["account.create"]


def test_looking_is_an_event(house: Path) -> None:
    result = veil("show", "--camera", "gate", "--purpose", "who opened it?", "--who", "lee", "--json")
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["action"] == "vault.open"
    event = open_log().events()[-1]
    assert (event.action, event.actor, event.purpose) == ("audit.show", "lee", "who opened it?")
    table = veil("show", "--action", "account.", "--purpose", "who is there?").stdout
    assert "account.create" in table
    assert "vault.open" not in table


def test_an_export_is_verified_anywhere(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = house / "march"
    result = veil("export", str(out), "--purpose", "inquiry 12", "--house", "The City")
    assert result.exit_code == 0, result.output
    assert open_log().events()[-1].action == "audit.export"
    lines = [json.loads(line) for line in (out / "events.jsonl").read_bytes().splitlines()]
    assert {line["action"] for line in lines} == {"vault.open", "account.create", "audit.export"}
    (key,) = (house / "signing").glob("*.public.pem")
    assert veil("verify", str(out), "--key", str(key), "--against-log").exit_code == 0
    change(house, "audit.db", "DELETE FROM audit_events WHERE id=1")
    result = veil("verify", str(out), "--against-log")
    assert result.exit_code == 1
    assert "march holds event 0" in result.stderr
    (out / "events.html").write_text("nothing happened")
    result = veil("verify", str(out))
    assert result.exit_code == 1
    assert "events.html was changed" in result.stderr
    assert veil("verify", str(house)).exit_code == 3


def test_what_can_not_be_told_is_not_done(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_AUDIT_DATABASE", "sqlite:////proc/nowhere/audit.db")
    result = veil("show", "--purpose", "who opened it?")
    assert result.exit_code == 3
    assert "vault.open" not in result.output


def test_an_old_checkpoint_is_a_fault(house: Path) -> None:
    assert veil("checkpoint").exit_code == 0
    import os

    os.environ["VEIL_AUDIT_CHECKPOINT_HOURS"] = "0.0000001"
    try:
        result = veil("verify")
    finally:
        del os.environ["VEIL_AUDIT_CHECKPOINT_HOURS"]
    assert result.exit_code == 1
    assert "nobody writes them" in result.stderr


def test_help_teaches() -> None:
    result = veil("--help")
    assert "checkpoint" in result.stdout
    assert "VEIL_AUDIT_DATABASE" in result.stdout
