"""The report on a real vault, real requests and a real log: it says what is there, and that it lacks what isn't."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner, Result

from services.audit.sources import open_log
from services.bus.clock import now_us
from services.cli import app
from services.compliance.checklist import FRAMEWORKS, Status
from services.compliance.facts import Facts
from services.compliance.gather import Sources, gather
from services.compliance.page import page
from services.disclosure.states import State
from services.disclosure.store import RequestStore
from services.policy.model import Policy
from services.vault.events import Actor
from services.vault.vault import Vault
from tests.support.audit import database
from tests.support.disclosures import brought_to, filed
from tests.support.originals import CAMERA, HOUR_US, START_US, Bus, Clock, make_vault, minutes, opened, store

KEEPS = Policy(
    name="gate", purpose="safety of visitors", legal_basis="PIPA art. 25", originals="keep", retention_hours=24
)
DROPS = Policy(name="yard", purpose="safety", legal_basis="PIPA art. 25")
DAY_US = 24 * HOUR_US


def vault_in(folder: Path, clock: Clock) -> Vault:
    """Half a minute of the camera gate, opened once for a purpose."""
    vault, bus = make_vault(folder, clock), Bus()
    minutes(bus, 30)
    store(vault, bus, clock)
    opened(vault)
    return vault


def facts_of(folder: Path, vault: Vault, at_us: int, **given: object) -> Facts:
    sources = Sources(
        vault=vault.database,
        requests=RequestStore(f"sqlite:///{folder / 'requests.db'}"),
        events=[event for camera in (CAMERA, "*") for event in vault.events.of(camera)],
    )
    policies = given.pop("policies", {"gate": KEEPS, "yard": DROPS})
    return gather(
        "Town",
        policies,  # type: ignore[arg-type]
        sources,
        house="The City",
        who="dpo",
        purpose="yearly report",
        at_us=at_us,
        start_us=0,
        end_us=at_us + 1,
        **given,  # type: ignore[arg-type]
    )


def judged(facts: Facts, law: str, where: str) -> Status:
    (point,) = [point for point in FRAMEWORKS[law].points if point.where.startswith(where)]
    return point.judge(facts).status


def test_it_says_what_is_kept_and_whether_that_is_right(tmp_path: Path) -> None:
    clock = Clock()
    vault = vault_in(tmp_path, clock)
    facts = facts_of(tmp_path, vault, START_US + HOUR_US)
    gate, yard = facts.cameras
    assert gate.kept is not None
    assert yard.kept is not None
    assert (gate.kept.oldest_us, gate.kept.overdue) == (START_US, 0)
    assert gate.kept.segments == vault.stock(Actor("dpo", "a test"))[0].segments
    assert yard.kept.segments == 0
    assert judged(facts, "pipa", "Art. 21") is Status.MET

    late = facts_of(tmp_path, vault, START_US + 26 * HOUR_US)
    assert late.cameras[0].kept is not None
    assert late.cameras[0].kept.overdue == gate.kept.segments
    assert judged(late, "pipa", "Art. 21") is Status.NOT_MET
    assert "older than the policy allows" in page(late)

    clock.at_us = START_US + 26 * HOUR_US
    vault.purger.expire()
    gone = facts_of(tmp_path, vault, clock.at_us)
    assert gone.cameras[0].kept is not None
    assert (gone.cameras[0].kept.segments, gone.cameras[0].kept.purged) == (0, gate.kept.segments)
    assert (gone.cameras[0].kept.not_erased, gone.cameras[0].kept.unfinished) == (0, 0)
    assert judged(gone, "pipa", "Art. 21") is Status.MET


def test_what_a_policy_drops_may_not_be_there(tmp_path: Path) -> None:
    vault = vault_in(tmp_path, Clock())
    facts = facts_of(tmp_path, vault, START_US + 2 * HOUR_US, policies={"gate": DROPS})
    assert judged(facts, "edpb", "Section 8") is Status.NOT_MET


def test_a_hold_is_no_breach_and_is_named(tmp_path: Path) -> None:
    clock = Clock()
    vault = vault_in(tmp_path, clock)
    vault.purger.hold(CAMERA, 0, 1 << 60, Actor("kim", "police file 7-211"))
    facts = facts_of(tmp_path, vault, START_US + 48 * HOUR_US)
    assert facts.cameras[0].kept is not None
    assert facts.cameras[0].kept.overdue == 0
    assert facts.cameras[0].kept.held == facts.cameras[0].kept.segments
    assert "police file 7-211" in page(facts)


def test_a_key_that_a_purge_left_is_seen(tmp_path: Path) -> None:
    clock = Clock(START_US)
    vault = vault_in(tmp_path, clock)
    vault.purger.order(CAMERA, 0, 1 << 60, Actor("kim", "objection"))
    with vault.database.write() as connection:
        connection.execute(text("UPDATE vault_segments SET salt=x'00' WHERE id=1"))
    facts = facts_of(tmp_path, vault, START_US + HOUR_US)
    assert judged(facts, "cnil", "Code de la sécurité intérieure, L252-5") is Status.NOT_MET


def test_who_accessed_what_and_what_for(tmp_path: Path) -> None:
    vault = vault_in(tmp_path, Clock())
    for _ in range(2):
        vault.open(CAMERA, 0, 1 << 60, purpose="file 7-211", who="kim", role="officer")
    facts = facts_of(tmp_path, vault, START_US + HOUR_US)
    gate, yard = facts.cameras
    assert [(each.who, each.action, each.times) for each in gate.accesses or ()] == [
        ("kim", "vault.open", 2),
        ("tester", "vault.open", 1),
    ]
    assert yard.accesses == []
    shown = page(facts)
    assert "file 7-211" in shown
    assert "Nobody, in that time" in shown


def test_an_officers_words_about_a_request_stay_out(tmp_path: Path) -> None:
    vault = vault_in(tmp_path, Clock())
    vault.open(CAMERA, 0, 1 << 60, purpose="disclosure 20260302-1f: to find J. Park", who="kim", role="officer")
    request = RequestStore(f"sqlite:///{tmp_path / 'requests.db'}")
    known = request.add(filed())
    facts = facts_of(tmp_path, vault, START_US + HOUR_US)
    events = [*vault.events.of(CAMERA), *request.events()]
    told = gather(
        "Town",
        {"gate": KEEPS},
        Sources(requests=request, events=events),
        house="",
        who="dpo",
        purpose="p",
        at_us=facts.at_us,
        start_us=0,
        end_us=START_US + 100 * DAY_US,
    )
    purposes = {purpose for each in told.cameras[0].accesses or () for purpose in each.purposes}
    assert purposes == {"a test", "disclosure 20260302-1f", f"request {known.id}"}
    assert "Park" not in page(told)


def test_requests_and_their_deadlines_without_whose_they_are(tmp_path: Path) -> None:
    vault = vault_in(tmp_path, Clock())
    requests = RequestStore(f"sqlite:///{tmp_path / 'requests.db'}")
    waiting = requests.add(filed())
    answered = requests.add(brought_to(State.HANDED_OVER))
    day = datetime.combine(waiting.due, datetime.min.time(), UTC)
    in_time = facts_of(tmp_path, vault, int(day.timestamp() * 1e6))
    assert [(each.id, each.days_left) for each in in_time.cameras[0].requests or ()] == [
        (each.id, 0 if each is waiting else None) for each in sorted((waiting, answered), key=lambda one: one.id)
    ]
    assert judged(in_time, "pipa", "Art. 35(3)") is Status.MET
    late = facts_of(tmp_path, vault, int((day + timedelta(days=3)).timestamp() * 1e6))
    assert judged(late, "edpb", "Section 6.1; GDPR 12") is Status.NOT_MET
    shown = page(late)
    assert "3 days late" in shown
    assert waiting.id in shown
    assert "Park" not in shown, "whose footage it is stays out of the report"


def test_what_is_not_known_is_said_so() -> None:
    facts = gather(
        "Town",
        {"gate": KEEPS},
        Sources(),
        house="",
        who="dpo",
        purpose="p",
        at_us=START_US,
        start_us=0,
        end_us=START_US,
    )
    assert len(facts.unknown) == 4
    shown = page(facts)
    for words in ("What is there is not known", "no figures here", "no audit log was at hand", "requests were not at"):
        assert words in shown
    for law, where in (("pipa", "Art. 21"), ("pipa", "Art. 35(3)"), ("cnil", "CNIL")):
        point = next(point for point in FRAMEWORKS[law].points if point.where.startswith(where))
        assert point.judge(facts).status is Status.DECIDE


def test_policies_that_the_law_does_not_allow_are_not_met(tmp_path: Path) -> None:
    vault = vault_in(tmp_path, Clock())
    bad = Policy(name="bad", sound="keep", kinds={"plate": {}})
    facts = facts_of(tmp_path, vault, START_US, policies={"yard": bad})
    assert judged(facts, "pipa", "Art. 25(5)") is Status.NOT_MET
    assert judged(facts, "pipa", "Art. 25(1)") is Status.NOT_MET
    assert judged(facts, "edpb", "Section 9.2") is Status.NOT_MET


def test_the_page_is_one_quiet_file(tmp_path: Path) -> None:
    hostile = KEEPS.model_copy(update={"purpose": "<script>alert(1)</script>"})
    vault = vault_in(tmp_path, Clock())
    shown = page(facts_of(tmp_path, vault, START_US, policies={"gate": hostile}))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in shown


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VEIL_AUDIT_DATABASE", f"sqlite:///{tmp_path / 'audit.db'}")
    monkeypatch.setenv("VEIL_VAULT_STORE", str(tmp_path / "vault"))
    monkeypatch.setenv("VEIL_DISCLOSURE_FOLDER", str(tmp_path))
    clock = Clock(now_us())
    vault, bus = make_vault(tmp_path, clock), Bus()
    epoch = clock.at_us - HOUR_US
    minutes(bus, 5, epoch)
    store(vault, bus, clock)
    opened(vault)
    vault.close()
    today = datetime.now(UTC).date()
    RequestStore(f"sqlite:///{tmp_path / 'requests.db'}").add(filed(received=today))
    cameras = [{"id": "gate", "source": "gate.mp4", "policy": "gate.yaml"}]
    (tmp_path / "site.yaml").write_text(yaml.safe_dump({"name": "Town", "cameras": cameras}))
    (tmp_path / "gate.yaml").write_text(yaml.safe_dump(KEEPS.model_dump(mode="json")))
    audits = [{"file": "gate.mp4", "looks": 40, "duration_s": 20.0, "suspects": [{"kind": "face"}]}]
    (tmp_path / "suspects.json").write_text(json.dumps({"files": audits}))
    return tmp_path


def veil(house: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, ["compliance", str(house / "site.yaml"), "--to", str(house / "report.html"), *arguments]
    )


def test_the_command_looks_at_all_that_is_set_up(house: Path) -> None:
    result = veil(
        house, "--purpose", "yearly report", "--suspects", str(house / "suspects.json"), "--house", "The City"
    )
    assert result.exit_code == 0, result.output
    assert "not known" not in result.output
    shown = (house / "report.html").read_text()
    for words in ("The City", "safety of visitors", "tester", "1 face suspects", "40 looks", "days left"):
        assert words in shown, words
    event = open_log().events()[-1]
    assert (event.action, event.purpose) == ("compliance.report", "yearly report")


def test_a_changed_log_is_told_and_ends_with_1(house: Path) -> None:
    own = database(f"sqlite:///{house / 'vault' / 'index.db'}")
    with own.write() as connection:
        connection.execute(text("UPDATE vault_events SET hash=x'00'"))
    own.close()
    result = veil(house, "--purpose", "yearly report", "--law", "cnil")
    assert result.exit_code == 1
    assert "was changed" in (house / "report.html").read_text()


def test_nothing_is_looked_at_without_a_purpose(house: Path) -> None:
    assert veil(house).exit_code == 2
    assert veil(house, "--purpose", "p", "--law", "mars").exit_code == 2
    assert not (house / "report.html").exists()
    (house / "suspects.json").write_text("[]")
    assert veil(house, "--purpose", "p", "--suspects", str(house / "suspects.json")).exit_code == 3
