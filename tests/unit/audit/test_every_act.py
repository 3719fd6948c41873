"""Goes through every privileged act of the product and finds the event of each; the chains hold afterwards."""

from contextlib import closing, suppress
from datetime import date
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("argon2")
pytest.importorskip("alembic")

from services.accounts.accounts import Accounts
from services.accounts.errors import AccountError
from services.accounts.model import Role
from services.audit.acts import ACTS
from services.audit.check import check_chains
from services.audit.settings import AuditSettings
from services.audit.sources import Source, addresses
from services.bus.clock import now_us
from services.cli import app
from services.disclosure import steps
from services.disclosure.request import Correction, Request
from services.disclosure.states import State
from services.disclosure.store import RequestStore
from services.envelope import KeyFolder
from services.vault import Missing
from tests.support.accounts import NAMES, PASSWORD, cheap, settings_in, staffed
from tests.support.disclosures import ADMIN, APPROVER, DAY_US, FACE, OFFICER, START_US, brought_to, filed
from tests.support.originals import CAMERA, HOUR_US, Bus, Clock, make_vault, minutes, opened, store

ROOT = Path(__file__).parents[3]
ELSEWHERE = {
    "leak.suspected": "tests/unit/auditor/test_stage.py",
    "live.view": "tests/unit/console/test_app.py",
    "live.refused": "tests/unit/console/test_app.py",
    "insight.export": "tests/unit/insight/test_export.py",
}
"""Acts that take a whole line or a browser, and the test that does them and looks for the event."""
WHY = ("--purpose", "a test of every act", "--who", "kim")


def veil(*arguments: str | Path, ends_with: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == ends_with, f"{arguments}: {result.output}"
    return result.stdout


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that a house sets up, in one folder."""
    given = {
        "VEIL_AUDIT_DATABASE": f"sqlite:///{tmp_path / 'audit.db'}",
        "VEIL_AUDIT_KEYS": tmp_path / "signing",
        "VEIL_ACCOUNTS_DATABASE": f"sqlite:///{tmp_path / 'accounts.db'}",
        "VEIL_VAULT_STORE": tmp_path / "vault",
        "VEIL_KEYS_FOLDER": tmp_path / "keys",
        "VEIL_DISCLOSURE_FOLDER": tmp_path,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path


def keys(house: Path) -> None:
    veil("keys", "create", house / "keys", *WHY)
    veil("keys", "rotate", house / "keys", *WHY)
    veil("keys", "destroy", KeyFolder(house / "keys").names()[0], house / "keys", "--yes", *WHY)
    veil("disclose", "keys", "create", house / "signing", *WHY)


def originals(house: Path) -> None:
    clock = Clock(now_us())
    vault, bus = make_vault(house, clock, house / "keys"), Bus()
    minutes(bus, 30, clock.at_us - HOUR_US)
    store(vault, bus, clock)
    opened(vault)
    vault.outline(CAMERA, 0, 1 << 60, purpose="a test", who="kim")
    with pytest.raises(Missing):
        vault.open(CAMERA, 0, 1, purpose="a test", who="kim")
    vault.close()
    veil("vault", "list", *WHY)
    times = ("--from", "2020-01-01", "--to", "2100-01-01")
    hold = veil("vault", "hold", CAMERA, *times, *WHY).split()[1]
    veil("vault", "release", hold, *WHY)
    purge = veil("vault", "purge", CAMERA, *times, "--yes", *WHY).split()[1].removesuffix(":")
    veil("vault", "prove-purge", purge, *WHY)


def requests(house: Path) -> None:
    """Every step, written by the store that every desk and API writes with."""
    at_us = START_US + DAY_US
    with closing(RequestStore(f"sqlite:///{house / 'requests.db'}")) as kept:

        def done(request: Request) -> Request:
            known = kept.add(filed())
            moved = request.model_copy(
                update={"id": known.id, "version": known.version, "history": (*known.history, *request.history[1:])}
            )
            return kept.change(known, moved)

        done(steps.suggest(brought_to(State.FOUND), OFFICER, at_us, 1, 2))
        done(steps.send_back(brought_to(State.SUBMITTED), APPROVER, at_us))
        more = Correction(camera="gate", epoch=FACE.epoch, first_seq=0, last_seq=9, why="the eyes show")
        done(steps.correct(brought_to(State.RENDERED), OFFICER, at_us, (more,)))
        done(steps.look(brought_to(State.RENDERED), OFFICER, at_us))
        handed = done(steps.download(brought_to(State.HANDED_OVER), OFFICER, at_us))
        kept.change(handed, steps.expire(handed, ADMIN, at_us + 2 * DAY_US))
        done(brought_to(State.REVIEWED))
        put_off = steps.postpone(brought_to(State.FILED), OFFICER, at_us, date(2026, 11, 1))
        done(steps.resume(put_off, OFFICER, at_us))
        for state in (State.REFUSED, State.WITHDRAWN):
            done(brought_to(state))


def accounts(house: Path) -> None:
    with closing(staffed(Accounts(settings_in(house), passwords=cheap()))) as made:
        name, admin = NAMES[Role.OFFICER], NAMES[Role.ADMIN]
        made.change(admin, name, cameras=["gate"])
        made.set_password(admin, name, PASSWORD + "!")
        made.lock(admin, name)
        made.unlock(admin, name)
        account, session = made.log_in(name, PASSWORD + "!", "10.0.0.7")
        token, _ = made.make_token(name, account, "a script", [Role.OFFICER], 1)
        made.revoke_token(name, account, token.id)
        made.log_out(account, session)
        for _ in range(made.settings.tries + 1):
            with suppress(AccountError):
                made.log_in(NAMES[Role.VIEWER], "wrong", "10.0.0.8")


def papers(house: Path) -> None:
    cameras = [{"id": CAMERA, "source": "gate.mp4", "policy": "bank"}]
    (house / "site.yaml").write_text(yaml.safe_dump({"name": "Town", "cameras": cameras}))
    veil("policy", "record", house / "site.yaml", *WHY)
    veil("audit-log", "show", *WHY)
    veil("audit-log", "export", house / "march", *WHY)
    veil("audit-log", "checkpoint")
    veil("compliance", house / "site.yaml", "--to", house / "report.html", "--law", "edpb", *WHY, ends_with=1)  # late
    veil("audit-log", "verify")


def test_every_act_is_an_event(house: Path) -> None:
    for act in (keys, originals, requests, accounts, papers):
        act(house)

    found: dict[str, str] = {}
    for name, address, password in addresses(AuditSettings()):
        with closing(Source(name, address, password)) as source:
            assert check_chains(name, source.chains(), whole=True) == []
            found |= {event.action: event.details["chain"] for event in source.events()}
            lacks = [event.action for event in source.events() if ACTS[event.action].purpose and not event.purpose]
            assert lacks == []
    assert set(ACTS) - set(found) == set(ELSEWHERE)
    for action, chain in found.items():
        assert chain in ACTS[action].where.split(", "), action


@pytest.mark.parametrize(("action", "file"), ELSEWHERE.items())
def test_acts_of_other_rooms_are_tested_there(action: str, file: str) -> None:
    assert action in (ROOT / file).read_text(encoding="utf-8")
