"""Changes of policies are events, once each, whoever sees them and however often they look."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.audit.policies import CHANGE, UNREADABLE
from services.audit.sources import open_log
from services.audit_chain import first_break
from services.cli import app
from services.policy.book import FilePolicyBook, PolicySource, StaticPolicyBook
from services.policy.model import Mode, Policy
from tests.support.audit import make_log
from tests.support.originals import Clock, make_vault

MOSAIC = Policy(name="door", purpose="safety")
SOLID = MOSAIC.model_copy(update={"mode": Mode.SOLID, "retention_hours": 48})


def test_a_change_is_one_event_with_both_fingerprints(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    assert log.look(log.watch(StaticPolicyBook(default=MOSAIC)), ["gate"]) == ["gate"]
    assert log.look(log.watch(StaticPolicyBook(default=MOSAIC)), ["gate"]) == []
    watch = log.watch(StaticPolicyBook({"gate": SOLID}, MOSAIC), "kim", "admin", "what the works council asked for")
    assert log.look(watch, ["gate"]) == ["gate"]
    assert log.look(watch, ["gate"]) == []
    first, second = log.events("gate")
    assert (first.details["before"], first.details["after"]) == ("", MOSAIC.fingerprint)
    assert (second.details["before"], second.details["after"]) == (MOSAIC.fingerprint, SOLID.fingerprint)
    assert (second.actor, second.purpose, second.action) == ("kim", "what the works council asked for", CHANGE)


def test_whoever_runs_on_sees_which_keys_have_changed(tmp_path: Path) -> None:
    log, file = make_log(tmp_path), tmp_path / "door.yaml"
    now = [0.0]
    book = FilePolicyBook({"gate": PolicySource(file)}, clock=lambda: now[0])
    watch = log.watch(book)

    def write(text: str) -> None:
        file.write_text(text)
        now[0] += 60
        log.look(watch, ["gate"])

    write("name: door\nmode: mosaic\n")
    write("name: door\nmode: solid\nkinds: [face]\n")
    write("name: door\nmode: [\n")
    write("name: door\nmode: solid\nkinds: [face]\n")
    events = log.events("gate")
    assert [event.details.get("changed", "") for event in events] == ["", "kinds, mode mosaic → solid", "", ""]
    assert events[2].details["after"] == events[3].details["before"] == UNREADABLE
    assert first_break(events) is None


def test_the_vault_tells_of_changes_and_two_of_them_tell_once(tmp_path: Path) -> None:
    vault = make_vault(tmp_path, Clock())
    for policy in (MOSAIC, SOLID):
        for _ in range(2):
            vault.events.look(vault.events.watch(StaticPolicyBook(default=policy)), ["gate", "yard"])
    for camera in ("gate", "yard"):
        events = vault.events.of(camera)
        assert [event.details["after"] for event in events] == [MOSAIC.fingerprint, SOLID.fingerprint]
        assert vault.events.unbroken(camera)


def test_a_change_is_recorded_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_AUDIT_DATABASE", f"sqlite:///{tmp_path / 'audit.db'}")
    site = tmp_path / "site.yaml"
    cameras = [{"id": "gate", "source": "gate.mp4", "outputs": {"mp4": "out.mp4"}}]
    site.write_text(yaml.safe_dump({"name": "town", "policy": "bank", "cameras": cameras}))
    run = CliRunner()
    assert run.invoke(app, ["policy", "record", str(site)]).exit_code == 2
    result = run.invoke(app, ["policy", "record", str(site), "--purpose", "the first one", "--who", "kim"])
    assert result.exit_code == 0, result.output
    assert "gate: bank@" in result.stdout
    again = run.invoke(app, ["policy", "record", str(site), "--purpose", "again"])
    assert "knows all of these" in again.stdout
    (event,) = open_log().events()
    assert (event.actor, event.purpose, event.details["of"]) == ("kim", "the first one", "gate")
