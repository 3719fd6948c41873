"""Expiry, purges, holds and proofs: the key first, and nothing that a hold keeps."""

import json
import threading
from pathlib import Path

import pytest
from sqlalchemy import select, update

from services.policy.book import StaticPolicyBook
from services.policy.model import Policy
from services.vault import Expired, Held, Missing
from services.vault import metrics as vault_metrics
from services.vault.errors import Unavailable
from services.vault.events import Actor
from services.vault.keeper import Keeper, SteadyClock
from services.vault.store import FolderStore
from services.vault.tables import EVENTS, KEYS, SEGMENTS
from services.vault.vault import Vault
from tests.support.originals import (
    CAMERA,
    HOUR_US,
    KEEPING,
    SECOND_US,
    START_US,
    Bus,
    Clock,
    expected,
    files,
    gaps,
    make_stage,
    make_vault,
    minutes,
    opened,
    seqs,
    stop,
    store,
)

KIM = Actor("kim", "court order 12")
DAY_US = 24 * HOUR_US


def filled(folder: Path, clock: Clock, seconds: float = 30) -> Vault:
    vault, bus = make_vault(folder, clock), Bus()
    minutes(bus, seconds)
    store(vault, bus, clock)
    return vault


def rows(vault: Vault, *what: object) -> list[tuple[object, ...]]:
    with vault.database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*what))]  # type: ignore[call-overload]


def test_i8_what_is_due_goes_and_nothing_else(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    clock.at_us = START_US + DAY_US + 15 * SECOND_US
    assert vault.purger.expire() == 4, "two of video, two of spans"
    assert seqs(opened(vault, START_US, START_US + 30 * SECOND_US)) == expected(START_US, range(200, 300))
    assert len(files(tmp_path / "vault")) == 2
    # The hour's key is still needed for the rest; what it can't derive any more are the keys of what went.
    assert rows(vault, KEYS.c.gone_us) == [(None,)]
    assert {salt is None for state, salt in rows(vault, SEGMENTS.c.state, SEGMENTS.c.salt) if state == "gone"} == {True}
    clock.at_us = START_US + DAY_US + 30 * SECOND_US
    assert vault.purger.expire() == 2
    assert not files(tmp_path / "vault")
    assert rows(vault, KEYS.c.wrapped, KEYS.c.gone_us) == [(None, clock.at_us)]
    assert vault.index.used_bytes() == 0
    with pytest.raises(Expired):
        opened(vault, START_US, START_US + 30 * SECOND_US)


def test_i8_erased_salts_and_keys_are_not_in_the_files_of_the_database(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    secrets = [salt for (salt,) in rows(vault, SEGMENTS.c.salt)] + [
        wrapped for (wrapped,) in rows(vault, KEYS.c.wrapped)
    ]
    assert any(secrets[0] in raw for raw in database_files(tmp_path))  # type: ignore[operator]
    clock.at_us += 2 * DAY_US
    vault.purger.expire()
    for secret in secrets:
        assert not any(secret in raw for raw in database_files(tmp_path))  # type: ignore[operator]


def database_files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / "vault").glob("index.db*")]


def test_the_key_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is away: the bytes stay, and are of no use to anybody."""
    clock = Clock()
    vault = filled(tmp_path, clock)
    clock.at_us += 2 * DAY_US

    def away(*_: object) -> None:
        raise Unavailable("The store is away.")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "delete", away)
        with pytest.raises(Unavailable):
            vault.purger.expire()
    assert len(files(tmp_path / "vault")) == 6
    assert rows(vault, KEYS.c.wrapped) == [(None,)]
    assert {salt for (salt,) in rows(vault, SEGMENTS.c.salt)} == {None}
    (purge,) = vault.purger.purges()
    assert purge.done_us is None
    vault.purger.resume()
    assert not files(tmp_path / "vault")
    (purge,) = vault.purger.purges()
    assert purge.done_us == clock.at_us


def test_a_hold_stops_expiry_and_purge_until_it_is_released(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    hold, count = vault.purger.hold(CAMERA, START_US + 11 * SECOND_US, START_US + 12 * SECOND_US, KIM)
    assert count == 2, "one segment of video and one of spans"
    with pytest.raises(Held, match="nothing was purged"):
        vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
    clock.at_us = START_US + 2 * DAY_US
    vault.purger.expire()
    parts = list(opened(vault, START_US, START_US + 30 * SECOND_US))
    assert seqs(parts) == expected(START_US, range(100, 200)), "what a hold keeps can be read for the court"
    assert [gap.kind for gap in gaps(parts)] == ["gone", "gone"]
    assert [each.id for each in vault.purger.holds()] == [hold.id]
    vault.purger.release(hold.id, Actor("lee", "the case is closed"))
    assert not vault.purger.holds()
    with pytest.raises(Missing):
        vault.purger.release(hold.id, KIM)
    with pytest.raises(Expired):
        opened(vault, START_US, START_US + 30 * SECOND_US)
    vault.purger.expire()
    assert not files(tmp_path / "vault")
    assert [event.action for event in vault.events.of(CAMERA) if event.action.startswith("vault.")][:2] == [
        "vault.hold",
        "vault.purge",
    ]


def test_a_hold_keeps_what_is_still_to_come(tmp_path: Path) -> None:
    clock = Clock()
    vault = make_vault(tmp_path, clock)
    vault.purger.hold(CAMERA, START_US, START_US + HOUR_US, KIM)
    bus = Bus()
    minutes(bus, 10)
    store(vault, bus, clock)
    clock.at_us += 2 * DAY_US
    assert vault.purger.expire() == 0
    assert len(seqs(opened(vault))) == 100


def test_a_purge_takes_whole_segments_and_leaves_their_neighbours(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    (purge,) = vault.purger.order(CAMERA, START_US + 12 * SECOND_US, START_US + 13 * SECOND_US, KIM)
    assert (purge.why, purge.who) == ("ordered", "kim")
    parts = list(opened(vault, START_US, START_US + 30 * SECOND_US))
    assert seqs(parts) == expected(START_US, [*range(100), *range(200, 300)])
    (gap,) = gaps(parts)
    assert (gap.kind, gap.frames) == ("gone", 100)
    with pytest.raises(Missing):
        vault.purger.order(CAMERA, START_US + 12 * SECOND_US, START_US + 13 * SECOND_US, KIM)


def test_purged_originals_that_come_again_stay_purged(tmp_path: Path) -> None:
    clock = Clock()
    vault, bus = make_vault(tmp_path, clock), Bus()
    minutes(bus, 10)
    store(vault, bus, clock)
    vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
    assert len(store(vault, bus, clock)) == len(bus.messages)
    assert not files(tmp_path / "vault")
    # The hour goes on under a key of its own.
    more = Bus()
    minutes(more, 10, first=100)
    store(vault, more, clock)
    assert seqs(opened(vault)) == expected(START_US, range(100, 200))
    assert len(rows(vault, KEYS.c.id)) == 2


def test_a_key_that_a_purge_destroys_is_none_that_a_segment_is_written_under(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The purge comes between taking the hour's key and noting the file."""
    clock = Clock()
    vault, bus = make_vault(tmp_path, clock, threads=1), Bus()
    minutes(bus, 10)
    store(vault, bus, clock)
    ask, purged = vault.index.next_number, threading.Event()

    def purging(*lane: object) -> int:
        if not purged.is_set():
            purged.set()
            vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
        return ask(*lane)  # type: ignore[arg-type]

    monkeypatch.setattr(vault.index, "next_number", purging)
    more = Bus()
    minutes(more, 10, first=100)
    store(vault, more, clock)
    assert purged.is_set()
    assert seqs(opened(vault)) == expected(START_US, range(100, 200))


def test_a_proof_names_everything_and_looks_again(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    (purge,) = vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
    proof = vault.purger.prove(purge.id, Actor("park", "yearly check"))
    assert proof.holds, proof.checks
    assert len(proof.tombstones) == purge.segments == 6
    assert any("destroyed and unwraps no more" in check.says for check in proof.checks)
    plain = json.loads(json.dumps(proof.as_plain_data()))
    assert plain["proven"] is True
    assert len(plain["segments"]) == 6
    assert vault.events.of(CAMERA)[-1].action == "vault.prove"
    assert vault.purger.purges()[0].digest.hex() == plain["purge"]["digest"]
    with pytest.raises(Missing):
        vault.purger.prove("nothing", KIM)


def test_a_proof_fails_where_something_is_left_or_was_changed(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    names = [str(name) for (name,) in rows(vault, SEGMENTS.c.name)]
    saved = (tmp_path / "vault" / names[0]).read_bytes()
    (purge,) = vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)

    def failing() -> list[str]:
        return [check.says for check in vault.purger.prove(purge.id, KIM).checks if not check.holds]

    assert failing() == []
    (tmp_path / "vault" / names[0]).write_bytes(saved)
    assert failing() == ["no file is left in the store"]
    (tmp_path / "vault" / names[0]).unlink()
    with vault.database.write() as connection:
        connection.execute(update(SEGMENTS).where(SEGMENTS.c.name == names[1]).values(end_us=SEGMENTS.c.end_us + 1))
    assert failing() == ["the record names 6 segments, and its digest is theirs"]
    with vault.database.write() as connection:
        connection.execute(update(SEGMENTS).where(SEGMENTS.c.name == names[1]).values(end_us=SEGMENTS.c.end_us - 1))
        connection.execute(update(SEGMENTS).where(SEGMENTS.c.name == names[1]).values(salt=b"s" * 32))
    assert failing() == ["no segment has a salt left that its key could be derived from"]
    with vault.database.write() as connection:
        connection.execute(update(SEGMENTS).values(salt=None))
        connection.execute(EVENTS.delete().where(EVENTS.c.id == 1))
    assert failing() == [
        "the audit event of the purge carries the digest",
        "the camera's chain of audit events is unbroken",
    ]


def test_a_shorter_policy_counts_for_what_is_stored_and_a_longer_one_does_not(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    vault.purger.shorten(CAMERA, 100 * HOUR_US)
    assert {due - start for due, start in rows(vault, SEGMENTS.c.due_us, SEGMENTS.c.start_us)} == {DAY_US}  # type: ignore[operator]
    keeper = make_keeper(vault, clock, KEEPING.model_copy(update={"retention_hours": 2}))
    clock.at_us += 2 * HOUR_US - SECOND_US
    keeper.sweep()
    assert len(seqs(opened(vault))) == 300
    clock.at_us += 60 * SECOND_US
    keeper._steady = SteadyClock(clock, lambda: 0.0, 300, None)
    keeper.sweep()
    assert not files(tmp_path / "vault")


def make_keeper(vault: Vault, clock: Clock, policy: Policy) -> Keeper:
    book = StaticPolicyBook(default=policy)
    return Keeper(
        vault.settings, vault.index, vault.store, vault.purger, vault.events, book, lambda: [CAMERA], clock, lambda: 0.0
    )


def test_a_clock_that_leaps_ahead_destroys_nothing_until_it_has_settled() -> None:
    clock, passed = Clock(), [0.0]
    steady = SteadyClock(clock, lambda: passed[0], 300, START_US)
    assert steady.settled()
    passed[0] += 60
    clock.at_us += 60 * SECOND_US
    assert steady.settled()
    clock.at_us += 30 * DAY_US
    passed[0] += 60
    assert not steady.settled()
    # Set right again after a minute: that is a leap too.
    passed[0] += 60
    clock.at_us -= 30 * DAY_US
    assert not steady.settled()
    for _ in range(11):
        passed[0] += 60
        clock.at_us += 60 * SECOND_US
        settled = steady.settled()
    assert settled
    assert vault_metrics.CLOCK_UNSETTLED._value.get() == 0


def test_a_machine_that_starts_with_a_wrong_clock_destroys_nothing_at_once(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    clock.at_us += 400 * DAY_US
    make_keeper(vault, clock, KEEPING).sweep()
    assert len(files(tmp_path / "vault")) == 6
    with pytest.raises(Expired):
        opened(vault)


def test_holds_and_purges_that_meet_never_both_win(tmp_path: Path) -> None:
    """Two officers at once: whatever the order, a hold that was granted has its segments."""
    clock = Clock()
    vault = filled(tmp_path, clock, 100)
    results: list[str] = []

    def hold() -> None:
        _, count = vault.purger.hold(CAMERA, START_US, START_US + HOUR_US, KIM)
        results.append(f"held {count}")

    def purge() -> None:
        try:
            vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
        except (Held, Missing) as refusal:
            results.append(type(refusal).__name__)

    threads = [threading.Thread(target=work) for work in (purge, hold, purge)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (held,) = (int(result.split()[1]) for result in results if result.startswith("held"))
    assert held == len(files(tmp_path / "vault"))


def test_the_stage_sweeps_by_itself(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    vault.close()
    clock.at_us += DAY_US + 20 * 60 * SECOND_US
    again = make_vault(tmp_path, clock, sweep_s=1, clock_step_s=300)
    stage = make_stage(again, clock)
    stage._keeper._steady = SteadyClock(clock, lambda: 0.0, 1e9, None)
    waiter = threading.Event()
    for _ in range(100):
        if not files(tmp_path / "vault"):
            break
        waiter.wait(0.2)
    stop(stage)
    assert not files(tmp_path / "vault")


def test_tombstones_are_buried_in_the_end(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    (purge,) = vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
    clock.at_us += 400 * DAY_US
    vault.purger.bury_tombstones(399)
    assert not rows(vault, SEGMENTS.c.id)
    assert not rows(vault, KEYS.c.id)
    assert vault.purger.purges()[0].digest == purge.digest
    assert vault.events.unbroken(CAMERA)
