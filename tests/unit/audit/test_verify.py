"""Everything that an enemy of the log could try: in SQL, on the topic, in an export, with and without checkpoints."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from services.audit.check import Fault, by_chain, check_against, check_chains, check_published, without_repeats
from services.audit.checkpoints import Checkpoints, check_checkpoints
from services.audit.errors import AuditError, Unavailable
from services.audit.export import check_export, export
from services.audit.links import of_messages
from services.audit.log import AuditLog
from services.audit.publish import publish
from services.audit.select import Wanted
from services.audit.settings import AuditSettings
from services.audit.sources import Source, addresses
from services.audit_chain import chained
from services.bus.interface import Record, Start
from services.bus.memory import MemoryBus
from services.bus.topics import AUDIT
from services.schema import pb
from services.signing import SigningKeys, fingerprint
from tests.support.audit import database, make_log
from tests.support.originals import START_US, Clock

Statement = str
COLUMNS = "chain, key, event, hash, published"


def filled(folder: Path, clock: Clock | None = None) -> AuditLog:
    """Six events of the camera gate, six of yard, two of none."""
    clock = clock or Clock()
    log = make_log(folder, clock=clock)
    for number in range(6):
        for camera in ("gate", "yard"):
            log.append("policy.change", "kim" if number % 2 else "lee", purpose=f"why {number}", camera_id=camera)
        clock.at_us += 1_000_000
    log.append("account.create", "kim", thing="lee")
    log.append("login.failed", "mallory")
    return log


def logs_of(folder: Path) -> Source:
    return Source("log", f"sqlite:///{folder / 'audit.db'}")


def faults_in(folder: Path) -> list[Fault]:
    with closing(logs_of(folder)) as source:
        return check_chains("log", source.chains(), whole=True)


def run(folder: Path, *statements: Statement) -> None:
    """As whoever owns the database would."""
    with closing(database(f"sqlite:///{folder / 'audit.db'}")) as opened, opened.write() as connection:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount > 0


def forge(folder: Path, row: int, *, again: bool, **fields: str) -> None:
    """Changes an event's fields, and computes its hash anew where `again` says so."""
    with closing(database(f"sqlite:///{folder / 'audit.db'}")) as opened, opened.write() as connection:
        raw = connection.execute(text(f"SELECT event FROM audit_events WHERE id={row}")).scalar_one()
        event = pb.AuditEvent.FromString(raw)
        for name, value in fields.items():
            setattr(event, name, value)
        if again:
            event = chained(event, event.previous_hash)
        values = {"event": event.SerializeToString(deterministic=True), "hash": event.hash, "id": row}
        connection.execute(text("UPDATE audit_events SET event=:event, hash=:hash WHERE id=:id"), values)


def test_a_log_that_nobody_touched_holds(tmp_path: Path) -> None:
    filled(tmp_path)
    assert faults_in(tmp_path) == []
    with closing(logs_of(tmp_path)) as source:
        assert [(head.key, head.events) for head in source.heads()] == [("*", 2), ("gate", 6), ("yard", 6)]
        assert sum(1 for _ in source.events()) == 14


# Rows 1, 3, 5, 7, 9, 11 are gate's, 2, 4, … 12 yard's, 13 and 14 nobody's.
@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["DELETE FROM audit_events WHERE id=5"], "event 2 is missing"),
        (["DELETE FROM audit_events WHERE id IN (5, 7)"], "events 2 to 3 are missing"),
        (["DELETE FROM audit_events WHERE id=1"], "event 0 is missing before event 1"),
        (["UPDATE audit_events SET event=x'00ff' WHERE id=5"], "row 5 can't be read any more"),
        (["UPDATE audit_events SET hash=x'00' WHERE id=5"], "was changed"),
        (
            [
                "UPDATE audit_events SET id=100 WHERE id=5",
                "UPDATE audit_events SET id=5 WHERE id=7",
                "UPDATE audit_events SET id=7 WHERE id=100",
            ],
            "another order",
        ),
        (["UPDATE audit_events SET id=99 WHERE id=3"], "another order"),
        (["UPDATE audit_events SET key='yard' WHERE id=11"], "was moved here"),
        (
            [
                "UPDATE audit_events SET key='x' WHERE key='gate'",
                "UPDATE audit_events SET key='gate' WHERE key='yard'",
                "UPDATE audit_events SET key='yard' WHERE key='x'",
            ],
            "belongs to the chain test of yard",
        ),
        (
            [
                f"INSERT INTO audit_events ({COLUMNS}) SELECT {COLUMNS} FROM audit_events WHERE id=3",
            ],
            "stands there twice",
        ),
        (["UPDATE audit_events SET chain='other' WHERE key='gate'"], "belongs to the chain test of gate"),
    ],
)
def test_what_is_done_to_rows_is_found(tmp_path: Path, statements: list[Statement], says: str) -> None:
    filled(tmp_path)
    run(tmp_path, *statements)
    assert any(says in str(fault) for fault in faults_in(tmp_path)), faults_in(tmp_path)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("field", ["actor", "action", "object", "purpose", "role", "event_id"])
def test_a_changed_field_is_found(tmp_path: Path, field: str, again: bool) -> None:
    filled(tmp_path)
    forge(tmp_path, 5, again=again, **{field: "somebody else's"})
    (fault,) = faults_in(tmp_path)
    assert ("does not follow" if again else "its hash is not that of its content") in str(fault)
    assert "gate" in fault.where


def test_an_event_that_was_put_in_is_found(tmp_path: Path) -> None:
    log = filled(tmp_path)
    third = log.events("gate")[2]
    event = pb.AuditEvent(event_id="new", actor="kim", details=third.details)
    linked = chained(event, third.previous_hash)
    with closing(database(f"sqlite:///{tmp_path / 'audit.db'}")) as opened, opened.write() as connection:
        connection.execute(text("UPDATE audit_events SET id = id + 100 WHERE id >= 5"))
        values = {"event": linked.SerializeToString(deterministic=True), "hash": linked.hash}
        connection.execute(
            text("INSERT INTO audit_events (id, chain, key, event, hash) VALUES (50, 'test', 'gate', :event, :hash)"),
            values,
        )
    assert any("does not follow" in str(fault) or "another order" in str(fault) for fault in faults_in(tmp_path))


# The cut tail: chains alone don't show it; a checkpoint, the topic or an export does.


def keys_in(folder: Path) -> SigningKeys:
    keys = SigningKeys(folder / "keys")
    keys.create()
    return keys


CUTS: list[list[Statement]] = [
    ["DELETE FROM audit_events WHERE id=11"],
    ["DELETE FROM audit_events WHERE id IN (9, 11)"],
    ["DELETE FROM audit_events WHERE key='gate'"],
    ["DELETE FROM audit_events"],
]


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_tail_is_missed_by_a_checkpoint(tmp_path: Path, cut: list[Statement]) -> None:
    log, keys = filled(tmp_path), keys_in(tmp_path)
    checkpoints = Checkpoints(tmp_path / "checkpoints.jsonl", keys)
    checkpoints.write(log.heads())
    with closing(logs_of(tmp_path)) as source:
        assert check_checkpoints("c", checkpoints.read(), keys.public(), source.chains()) == []
    run(tmp_path, *cut)
    assert faults_in(tmp_path) == [], "the chains alone don't show it"
    with closing(logs_of(tmp_path)) as source:
        found = check_checkpoints("c", checkpoints.read(), keys.public(), source.chains())
    assert any("its end was cut off" in str(fault) and "gate" in str(fault) for fault in found)


def test_a_tail_that_was_written_anew_is_missed_by_a_checkpoint(tmp_path: Path) -> None:
    log, keys = filled(tmp_path), keys_in(tmp_path)
    checkpoints = Checkpoints(tmp_path / "checkpoints.jsonl", keys)
    checkpoints.write(log.heads())
    forge(tmp_path, 11, again=True, actor="somebody else")
    assert faults_in(tmp_path) == []
    with closing(logs_of(tmp_path)) as source:
        (fault,) = check_checkpoints("c", checkpoints.read(), keys.public(), source.chains())
    assert "others stand there now" in str(fault)


def three_checkpoints(folder: Path) -> tuple[Checkpoints, SigningKeys]:
    log, keys = filled(folder), keys_in(folder)
    checkpoints = Checkpoints(folder / "checkpoints.jsonl", keys)
    for _ in range(3):
        log.append("login.failed", "mallory")
        checkpoints.write(log.heads())
    return checkpoints, keys


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: lines[1:], "does not follow"),
        (lambda lines: [lines[0], lines[2]], "does not follow"),
        (lambda lines: [lines[1], lines[0], lines[2]], "does not follow"),
        (lambda lines: [*lines[:2], lines[2].replace(b'\\"events\\":5', b'\\"events\\":4')], "signature does not hold"),
    ],
)
def test_checkpoints_themselves_can_not_be_changed(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], says: str
) -> None:
    checkpoints, keys = three_checkpoints(tmp_path)
    lines = checkpoints.file.read_bytes().splitlines()
    changed = change(lines)
    assert changed != lines
    checkpoints.file.write_bytes(b"\n".join(changed) + b"\n")
    found = check_checkpoints("c", checkpoints.read(), keys.public(), None)
    assert any(says in str(fault) for fault in found), found


def test_checkpoints_of_somebody_else_count_for_nothing(tmp_path: Path) -> None:
    checkpoints, _ = three_checkpoints(tmp_path)
    other = SigningKeys(tmp_path / "other")
    other.create()
    found = check_checkpoints("c", checkpoints.read(), other.public(), None)
    assert len(found) == 3
    assert all("not ours" in str(fault) for fault in found)
    checkpoints.file.write_bytes(b"{}\n")
    with pytest.raises(Unavailable, match="line 1"):
        checkpoints.read()


# SQL and topic


def published(folder: Path) -> tuple[AuditLog, MemoryBus]:
    log, bus = filled(folder), MemoryBus(partitions=3)
    publish([log], bus.producer())
    return log, bus


def against_topic(folder: Path, bus: MemoryBus) -> list[Fault]:
    messages = bus.reader(AUDIT, Start("oldest")).poll(0.1, 10_000)
    seen = by_chain(without_repeats(of_messages(messages)))
    with closing(logs_of(folder)) as source:
        found = check_against("log", source.chains(), "the topic", seen)
        found += check_published("log", source.chains(), "the topic", seen, 0)
    return [*check_chains("topic", seen, whole=False), *found]


def test_log_and_topic_agree(tmp_path: Path) -> None:
    log, bus = published(tmp_path)
    log.append("login.failed", "mallory")  # is not there yet: nothing wrong
    assert against_topic(tmp_path, bus) == []
    publish([log, log], bus.producer())
    assert against_topic(tmp_path, bus) == [], "one that comes twice is one"


@pytest.mark.parametrize("cut", CUTS[:3])
def test_a_cut_tail_is_missed_by_the_topic(tmp_path: Path, cut: list[Statement]) -> None:
    _, bus = published(tmp_path)
    run(tmp_path, *cut)
    assert any("that the log has not" in str(fault) and "gate" in str(fault) for fault in against_topic(tmp_path, bus))


def test_what_was_changed_with_all_hashes_behind_it_is_found_by_the_topic(tmp_path: Path) -> None:
    _, bus = published(tmp_path)
    forge(tmp_path, 11, again=True, actor="somebody else")
    found = [str(fault) for fault in against_topic(tmp_path, bus)]
    assert any("the log has not" in says for says in found)
    assert any("the topic has not got it" in says for says in found)


def test_an_event_that_is_only_said_to_be_published_is_found(tmp_path: Path) -> None:
    log, bus = published(tmp_path)
    log.append("login.failed", "mallory")
    run(tmp_path, "UPDATE audit_events SET published=1 WHERE id=15")
    assert any("went to the bus" in str(fault) for fault in against_topic(tmp_path, bus))


def test_a_changed_topic_is_found(tmp_path: Path) -> None:
    log, bus = published(tmp_path)
    event = log.events("gate")[5]
    event.actor = "somebody else"
    bus.producer().publish(Record(AUDIT, "gate", event.SerializeToString()))
    bus.producer().publish(Record(AUDIT, "gate", b"\xff"))
    found = [str(fault) for fault in against_topic(tmp_path, bus)]
    assert any("its hash is not that of its content" in says or "twice" in says for says in found)
    assert any("is no event" in says for says in found)


# Exports


def exported(folder: Path, wanted: Wanted | None = None) -> tuple[Path, SigningKeys]:
    log, keys = filled(folder), keys_in(folder)
    target = folder / "march"
    done = export(
        log.events(),
        wanted or Wanted(),
        target,
        keys.current(),
        who="kim",
        purpose="inquiry 12",
        at_us=START_US,
        house="The City",
    )
    assert done.events == json.loads((target / "manifest.json").read_bytes())["events"]
    return target, keys


def test_an_export_holds_anywhere(tmp_path: Path) -> None:
    target, keys = exported(tmp_path)
    moved = shutil.move(target, tmp_path / "elsewhere")
    verdict = check_export(moved, keys.current().public_key())
    assert verdict.faults == []
    assert verdict.fingerprint == fingerprint(keys.current().public_key())
    assert len(verdict.links) == verdict.manifest["events"] == 14
    page = (moved / "events.html").read_text()
    assert "inquiry 12" in page
    assert "<script" not in page


def test_a_part_of_the_log_still_shows_its_chains(tmp_path: Path) -> None:
    target, _ = exported(tmp_path, Wanted(camera="gate", actor="KIM", start_us=START_US + 500_000))
    lines = [json.loads(line) for line in (target / "events.jsonl").read_bytes().splitlines()]
    assert [line.get("actor") for line in lines] == ["kim", None, "kim", None, "kim"]
    assert set(lines[1]) == {"chain", "of", "number", "previous_hash", "hash"}
    assert check_export(target).faults == []


def sign_again(target: Path, keys: SigningKeys) -> None:
    """As who holds the signing key, or has exchanged it, can."""
    import hashlib

    manifest = json.loads((target / "manifest.json").read_bytes())
    lines = (target / "events.jsonl").read_bytes()
    manifest["files"]["events.jsonl"] = {"sha256": hashlib.sha256(lines).hexdigest(), "size": len(lines)}
    manifest["events"] = sum(b'"event_id"' in line for line in lines.splitlines())
    raw = json.dumps(manifest).encode()
    (target / "manifest.json").write_bytes(raw)
    (target / "manifest.sig").write_bytes(keys.current().sign(raw))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [*lines[:3], *lines[4:]], "missing"),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "another order"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "twice"),
        (lambda lines: [lines[0].replace(b"kim", b"lee"), *lines[1:]], "hash is not that of its content"),
        (lambda lines: [b"{}", *lines], "is no event"),
        (lambda lines: [lines[2].replace(b'"of":"gate"', b'"of":"yard"'), *lines[:2], *lines[3:]], "changed"),
    ],
)
def test_what_is_done_to_an_export_is_found(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], says: str, signed: bool
) -> None:
    target, keys = exported(tmp_path)
    lines = (target / "events.jsonl").read_bytes().splitlines()
    changed = change(lines)
    assert changed != lines
    (target / "events.jsonl").write_bytes(b"\n".join(changed) + b"\n")
    if signed:
        sign_again(target, keys)
        assert any(says in str(fault) for fault in check_export(target).faults), check_export(target).faults
    else:
        assert any("events.jsonl was changed" in str(fault) for fault in check_export(target).faults)


def test_an_export_that_was_cut_and_signed_anew_is_found_by_the_key_or_the_log(tmp_path: Path) -> None:
    target, keys = exported(tmp_path)
    theirs = SigningKeys(tmp_path / "theirs")
    theirs.create()
    lines = (target / "events.jsonl").read_bytes().splitlines()
    (target / "events.jsonl").write_bytes(b"\n".join(lines[:-1]) + b"\n")
    sign_again(target, theirs)
    assert any("signature does not hold" in str(fault) for fault in check_export(target).faults)
    assert any("does not hold" in str(f) for f in check_export(target, keys.current().public_key()).faults)


@pytest.mark.parametrize("file", ["events.html", "manifest.json", "manifest.sig", "public-key.pem"])
def test_every_file_of_an_export_is_held(tmp_path: Path, file: str) -> None:
    target, _ = exported(tmp_path)
    content = bytearray((target / file).read_bytes())
    content[len(content) // 2] ^= 1
    (target / file).write_bytes(content)
    try:
        assert check_export(target).faults != []
    except AuditError:
        assert file == "public-key.pem"
    (target / file).unlink()
    try:
        assert check_export(target).faults != []
    except AuditError:
        assert file != "events.html"


def test_an_export_knows_what_was_cut_off_the_log_since(tmp_path: Path) -> None:
    target, _ = exported(tmp_path)
    run(tmp_path, *CUTS[0])
    seen = by_chain(check_export(target).links)
    with closing(logs_of(tmp_path)) as source:
        (fault,) = check_against("log", source.chains(), "march", seen)
    assert "march holds event 5" in str(fault)


def test_an_export_never_writes_over_another(tmp_path: Path) -> None:
    target, _ = exported(tmp_path)
    with pytest.raises(Unavailable, match="is there already"):
        export([], Wanted(), target, SigningKeys(tmp_path / "keys").current(), who="k", purpose="p", at_us=0)


def test_the_logs_of_a_house_are_found_by_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    filled(tmp_path)
    settings = AuditSettings(database=f"sqlite:///{tmp_path / 'audit.db'}")
    assert addresses(settings, {}) == [("log", f"sqlite:///{tmp_path / 'audit.db'}", None)]
    given = {
        "VEIL_VAULT_STORE": str(tmp_path),
        "VEIL_DISCLOSURE_DATABASE": "postgresql://veil@db/veil",
        "VEIL_DISCLOSURE_DATABASE_PASSWORD_FILE": "/run/secret",
    }
    assert addresses(AuditSettings(database="sqlite:///nowhere.db"), given) == [
        ("vault", f"sqlite:///{tmp_path / 'index.db'}", None),
        ("disclosure", "postgresql://veil@db/veil", Path("/run/secret")),
    ]
    with pytest.raises(Unavailable, match="there is no database"):
        Source("vault", "sqlite:///nowhere.db")
