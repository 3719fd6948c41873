"""`veil vault`: what is kept, held, purged and proven, each with a purpose."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.embedded.errors import ExitCode
from tests.support.originals import CAMERA, Bus, Clock, feed, make_stage, make_vault, minutes, opened, seqs, stop

FOR = ("--purpose", "file 7", "--who", "kim")


def _veil(*arguments: str | Path, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["vault", *map(str, arguments)], input=answer, env={"COLUMNS": "200"})


@pytest.fixture
def began_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A vault with 25 s of now, set up in the environment; when they began."""
    now = time.time_ns() // 1000 - 60_000_000
    vault, bus = make_vault(tmp_path, Clock(now)), Bus()
    minutes(bus, 25, epoch=now)
    stage = make_stage(vault, Clock(now))
    feed(stage, bus.messages)
    stop(stage)
    vault.close()
    monkeypatch.setenv("VEIL_VAULT_STORE", str(tmp_path / "vault"))
    monkeypatch.setenv("VEIL_KEYS_FOLDER", str(tmp_path / "keys"))
    return now


def iso(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat()


def test_a_hold_a_purge_and_its_proof(began_us: int, tmp_path: Path) -> None:
    listed = _veil("list", *FOR)
    assert listed.exit_code == 0, listed.output
    assert re.search(rf"{CAMERA} .* 6 ", listed.stdout)
    within = ("--from", iso(began_us), "--to", iso(began_us + 30_000_000))
    held = _veil("hold", CAMERA, *within, *FOR)
    assert held.exit_code == 0, held.output
    (hold,) = re.findall(r"hold (\S+) keeps 6 segments", held.stdout)
    refused = _veil("purge", CAMERA, *within, *FOR, "--yes")
    assert refused.exit_code == ExitCode.USAGE
    assert "A legal hold keeps 6 of 6 segments: nothing was purged" in refused.stderr
    assert f"hold {hold}" in _veil("list", *FOR).stdout
    assert _veil("release", hold, *FOR).exit_code == 0
    assert _veil("purge", CAMERA, *within, *FOR, answer="n\n").exit_code == ExitCode.USAGE
    assert len(seqs(opened(make_vault(tmp_path, Clock(began_us))))) == 250
    purged = _veil("purge", CAMERA, *within, *FOR, answer="y\n")
    assert purged.exit_code == 0, purged.output
    (purge,) = re.findall(r"purge (\S+): 6 segments", purged.stdout)
    proof = _veil("prove-purge", purge, *FOR, "--json", tmp_path / "proof.json")
    assert proof.exit_code == 0, proof.output
    assert "NO" not in proof.output
    assert json.loads((tmp_path / "proof.json").read_text())["proven"] is True
    assert "nothing is kept" in _veil("list", *FOR).stdout
    events = make_vault(tmp_path).events.of(CAMERA)
    acts = [event.action for event in events]
    assert acts == ["vault.hold", "vault.release", "vault.open", "vault.purge", "vault.prove"]
    assert {event.purpose for event in events if event.action != "vault.open"} == {"file 7"}


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("hold", CAMERA, "--from", "2026-01-01", "--to", "2026-01-02"),
        ("release", "x"),
        ("purge", CAMERA, "--from", "2026-01-01", "--to", "2026-01-02", "--yes"),
        ("prove-purge", "x"),
    ],
)
@pytest.mark.usefixtures("began_us")
def test_nothing_without_a_purpose(command: tuple[str, ...]) -> None:
    result = _veil(*command)
    assert result.exit_code == ExitCode.USAGE
    assert "without a purpose" in result.stderr


@pytest.mark.usefixtures("began_us")
def test_what_is_wrong_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "There is no purge x" in _veil("prove-purge", "x", *FOR).stderr
    assert "needs both its ends" in _veil("hold", CAMERA, "--from", "2026-01-01", *FOR).stderr
    backwards = ("--from", "2026-01-02", "--to", "2026-01-01")
    assert "ends before it begins" in _veil("hold", CAMERA, *backwards, *FOR).stderr
    monkeypatch.setenv("VEIL_KEYS_FOLDER", str(tmp_path / "vault" / "keys"))
    assert "put them elsewhere" in " ".join(_veil("list", *FOR).stderr.split())
    monkeypatch.delenv("VEIL_KEYS_FOLDER")
    assert "VEIL_KEYS_FOLDER" in _veil("list", *FOR).stderr
    monkeypatch.delenv("VEIL_VAULT_STORE")
    assert "VEIL_VAULT_STORE" in _veil("list", *FOR).stderr


def test_help_teaches() -> None:
    told = " ".join(_veil("--help").stdout.split())
    for word in ("originals: keep", "VEIL_VAULT_STORE", "prove-purge", "needs a purpose"):
        assert word in told
