"""The vault stage: what is done is durable, what is durable is there once, and nothing else is done."""

import time
from pathlib import Path

import pytest

from services.bus.interface import InvalidMessage
from services.bus.topics import AUDIT, REDACTIONS, VIDEO_SOURCE
from services.envelope import KeyFolder, Opener, Sealer, context
from services.policy.book import StaticPolicyBook
from services.policy.model import Policy, PolicyUnavailable
from services.runtime.stage import Backpressure
from services.schema import pb
from services.vault import metrics
from services.vault.errors import Full, Unavailable
from services.vault.stage import VaultStage
from services.vault.store import FolderStore
from tests.support.originals import (
    CAMERA,
    FPS,
    HOUR_US,
    KEEPING,
    SECOND_US,
    START_US,
    Bus,
    Clock,
    end,
    expected,
    feed,
    files,
    finished,
    gaps,
    make_stage,
    make_vault,
    minutes,
    opened,
    pieces,
    seqs,
    span,
    stop,
    store,
    unit,
)


def test_what_goes_in_comes_out_with_its_spans(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 35)
    bus.put(end(frames=350))
    done = store(vault, bus)
    assert sorted(done) == sorted(message.position for message in bus.messages)
    parts = list(opened(vault, START_US, START_US + 35 * SECOND_US))
    assert seqs(parts) == expected(START_US, range(350))
    assert not gaps(parts)
    found = pieces(parts)
    assert [piece.number for piece in found] == [0, 1, 2, 3]
    assert all(piece.keyframe and piece.units[0].unit.keyframe for piece in found)
    for piece in found:
        for each in piece.units:
            sent = unit(each.unit.seq)
            assert each.unit.inline == sent.inline
            assert each.unit.captured_us == sent.captured_us
            covering = piece.span_of(each.unit.seq)
            assert covering is not None
            assert covering.first_seq <= each.unit.seq <= covering.last_seq


def test_nothing_is_done_before_its_segment_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 25)
    away = True
    put = FolderStore.put

    def refused(self: FolderStore, name: str, content: bytes) -> None:
        if away:
            raise Unavailable("The store is away.")
        put(self, name, content)

    monkeypatch.setattr(FolderStore, "put", refused)
    stage = make_stage(vault)
    assert not feed(stage, bus.messages)
    time.sleep(0.3)
    assert not finished(stage)
    away = False
    assert sorted(stop(stage)) == sorted(message.position for message in bus.messages)
    assert seqs(opened(vault)) == expected(START_US, range(250))


def test_what_comes_again_is_stored_once(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 30)
    store(vault, bus)
    before = metrics.DUPLICATES._value.get()
    # The offsets were never committed: all of it comes again, and some more, cut at other places.
    minutes(bus, 15, first=300)
    stage = make_stage(vault)
    done = feed(stage, bus.messages[37:])
    done += stop(stage)
    assert sorted(done) == sorted(message.position for message in bus.messages[37:])
    assert metrics.DUPLICATES._value.get() > before
    parts = list(opened(vault))
    assert seqs(parts) == expected(START_US, range(450))
    assert [gap.kind for gap in gaps(parts)] == ["range", "range"]
    spans = [each for piece in pieces(parts) for each in piece.spans]
    assert len({(each.first_seq, each.last_seq) for each in spans}) == 45


def test_the_span_that_came_first_counts(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    for seq in range(30):
        bus.put(unit(seq))
    bus.put(span(0, 19, why="first"), span(10, 29, why="said again"))
    store(vault, bus)
    (piece,) = pieces(opened(vault))
    assert [piece.span_of(seq).why for seq in (0, 15, 19, 20, 29)] == ["first"] * 3 + ["said again"] * 2  # type: ignore[union-attr]


def test_a_group_of_pictures_without_end_is_cut_and_goes_on(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path, segment_s=2, segment_max_s=4), Bus()
    for seq in range(200):
        one = unit(seq)
        if seq:
            one.keyframe = False
            one.ClearField("stream")
        bus.put(one)
    store(vault, bus)
    found = pieces(opened(vault))
    assert [piece.keyframe for piece in found] == [True] + [False] * (len(found) - 1)
    assert len(found) >= 5
    assert seqs(found) == expected(START_US, range(200))
    # Whoever wants the end gets the way there, and is told which of it is not asked for.
    late = list(opened(vault, START_US + 18 * SECOND_US, START_US + 19 * SECOND_US))
    assert seqs(late)[0] == (START_US, 0)
    assert seqs(late, wanted=True) == expected(START_US, range(180, 190))
    assert seqs(late)[-1] == (START_US, 189)


def test_b_frames_stay_in_decoding_order(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path, segment_s=0.4), Bus()
    order = [0, 3, 1, 2, 6, 4, 5, 10, 9, 7, 8, 13, 11, 12, 20, 14, 15, 16, 17, 18, 19]
    for seq in order:
        bus.put(unit(seq))
    store(vault, bus)
    assert [seq for _, seq in seqs(opened(vault))] == order
    assert [gap.kind for gap in gaps(opened(vault))] == ["range", "range"]


def test_cameras_are_kept_only_where_their_policy_says_so(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 5)
    bus.put(pb.AudioUnit(camera_id=CAMERA, epoch=START_US, inline=b"sound"))
    stage = make_stage(vault, policies=StaticPolicyBook(default=Policy(name="p")))
    done = feed(stage, bus.messages) + stop(stage)
    assert len(done) == len(bus.messages)
    assert not files(tmp_path / "vault")


def test_sound_is_never_kept(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    bus.put(pb.AudioUnit(camera_id=CAMERA, epoch=START_US, inline=b"sound"))
    assert len(store(vault, bus)) == 1
    assert not files(tmp_path / "vault")


def test_while_a_policy_cant_be_read_what_it_said_last_holds(tmp_path: Path) -> None:
    class Book:
        readable = False

        def policy_for(self, camera_id: str) -> Policy:
            if not self.readable:
                raise PolicyUnavailable("not now")
            return KEEPING

    vault, bus, book = make_vault(tmp_path), Bus(), Book()
    minutes(bus, 1)
    stage = make_stage(vault, policies=book)
    feed(stage, bus.messages)
    book.readable = True
    first = len(bus.messages)
    minutes(bus, 1, first=10)
    feed(stage, bus.messages[first:])
    book.readable = False
    first = len(bus.messages)
    minutes(bus, 1, first=20)
    feed(stage, bus.messages[first:])
    stop(stage)
    assert seqs(opened(vault)) == expected(START_US, range(10, 30))


def test_memory_is_bounded_and_the_bus_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = make_vault(tmp_path, hold_mb=1)
    monkeypatch.setattr(FolderStore, "put", lambda *_: _raise(Full("The disk of the vault is full.")))
    stage, bus = make_stage(vault), Bus()
    for seq in range(40):
        bus.put(unit(seq, payload=bytes(50_000)))
    taken = taken_by(stage, bus)
    assert taken * 50_000 < 1 << 20
    time.sleep(0.7)
    assert not finished(stage)
    assert metrics.FULL._value.get() == 1
    monkeypatch.undo()
    assert len(feed(stage, bus.messages[taken:]) + stop(stage)) == 40
    assert len(seqs(opened(vault))) == 40


def test_full_is_a_state_and_what_expires_makes_room(tmp_path: Path) -> None:
    clock = Clock()
    vault, bus = make_vault(tmp_path, clock, max_gb=0.0005), Bus()
    for seq in range(40):
        bus.put(unit(seq, payload=bytes(30_000)))
    stage = make_stage(vault, clock)
    done = feed(stage, bus.messages)
    stage.close()
    deadline = time.monotonic() + 10
    while not stage._lanes.full and time.monotonic() < deadline:
        done += finished(stage)
        time.sleep(0.05)
    assert stage._lanes.full
    assert len(done) < 40
    stop(stage, 0.1)


def test_shedding_leaves_out_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = make_vault(tmp_path, hold_mb=1, when_full="shed")
    monkeypatch.setattr(FolderStore, "put", lambda *_: _raise(Full("The disk of the vault is full.")))
    stage, bus = make_stage(vault), Bus()
    before = metrics.DROPPED.labels("full")._value.get()
    for seq in range(40):
        bus.put(unit(seq, payload=bytes(50_000)))
    feed(stage, bus.messages, patience_s=1)
    shed = metrics.DROPPED.labels("full")._value.get() - before
    assert 15 < shed < 40
    stop(stage, 0.1)


def test_partitions_that_go_take_along_what_waits(tmp_path: Path) -> None:
    vault, bus, other = make_vault(tmp_path), Bus(0), Bus(1)
    minutes(bus, 5)
    minutes(other, 5, camera="yard")
    stage = make_stage(vault)
    feed(stage, bus.messages + other.messages)
    stage.forget({bus.messages[0].position.source, bus.messages[9].position.source})
    done = stop(stage)
    assert {position.source.partition for position in done} == {1}
    assert len(done) == len(other.messages)
    assert len(seqs(opened(vault, camera="yard"))) == 50
    again = make_stage(vault)
    assert len(feed(again, bus.messages) + stop(again)) == len(bus.messages)


def test_two_replicas_that_both_store_a_stretch_leave_it_there_once(tmp_path: Path) -> None:
    """A replica that is slow to notice that its partition went, and the one that has it now."""
    one = make_vault(tmp_path, writer="one")
    two = make_vault(tmp_path, writer="two")
    bus = Bus()
    minutes(bus, 60)
    first, second = make_stage(one), make_stage(two)
    for message in bus.messages:
        first.submit(message)
        second.submit(message)
    first.close()
    second.close()
    done = [position for stage in (first, second) for each in stage.join(30) for position in each.done]
    assert len(done) == 2 * len(bus.messages)
    assert seqs(opened(one)) == expected(START_US, range(600))
    assert len(files(tmp_path / "vault")) == len(pieces(opened(one))) + len(_spans(one))


def _spans(vault: object) -> list[object]:
    return list(vault.index.spans_of(CAMERA, START_US, 0, 1 << 40))  # type: ignore[attr-defined]


def test_sealed_payloads_are_opened_and_sealed_anew(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    keys = KeyFolder(tmp_path / "keys")
    sealer = Sealer(keys)
    for seq in range(20):
        one = unit(seq)
        one.sealed.CopyFrom(sealer.seal(CAMERA, context(VIDEO_SOURCE, CAMERA, START_US, seq), one.inline))
        if seq == 7:
            one.sealed.ciphertext = bytes(len(one.sealed.ciphertext))
        bus.put(one)
    before = metrics.DROPPED.labels("sealed")._value.get()
    stage = make_stage(vault, opener=Opener(keys))
    done = feed(stage, bus.messages) + stop(stage)
    assert len(done) == 20
    units = [each.unit for piece in pieces(opened(vault)) for each in piece.units]
    assert [one.inline for one in units if one.seq != 7] == [unit(seq).inline for seq in range(20) if seq != 7]
    assert (units[7].corrupt, units[7].WhichOneof("payload")) == (True, None)
    assert metrics.DROPPED.labels("sealed")._value.get() == before + 1


def test_i3_nothing_of_a_picture_is_readable_on_the_disk(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 12)
    store(vault, bus)
    for path in (tmp_path / "vault").rglob("*"):
        if path.is_file():
            assert b"picture" not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_clock_that_leaps_neither_lengthens_nor_shortens_a_life(tmp_path: Path) -> None:
    """A decoder's clock is off by years, in both ways; the broker's is right."""
    vault, bus = make_vault(tmp_path), Bus()
    for seq in range(30):
        one = unit(seq)
        one.captured_us += {0: 0, 1: 3 * 365 * 24 * HOUR_US, 2: -START_US + 1000}[seq // 10]
        value = pb.SourceMessage(unit=one).SerializeToString()
        bus.put_raw(VIDEO_SOURCE, CAMERA, value, START_US + seq * SECOND_US // FPS)
    store(vault, bus)
    parts = pieces(opened(vault, START_US, START_US + 3 * SECOND_US))
    assert seqs(parts) == expected(START_US, range(30))
    assert all(START_US <= each.unit.captured_us <= START_US + 3 * SECOND_US for p in parts for each in p.units)


def test_a_clock_that_steps_back_within_an_epoch_loses_nothing(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    for seq in range(300):
        bus.put(unit(seq, at_us=START_US + seq * SECOND_US // FPS - (20 * 60 * SECOND_US if seq >= 123 else 0)))
    store(vault, bus)
    assert seqs(opened(vault, START_US - HOUR_US, START_US + HOUR_US)) == expected(START_US, range(300))
    late = opened(vault, START_US - 20 * 60 * SECOND_US, START_US - 19 * 60 * SECOND_US)
    assert seqs(late, wanted=True) == expected(START_US, range(123, 300))


@pytest.mark.parametrize(
    ("topic", "value", "says"),
    [
        (VIDEO_SOURCE, b"\xff", "not a SourceMessage"),
        (REDACTIONS, b"\xff", "not a RedactionsMessage"),
        (VIDEO_SOURCE, b"", "an empty SourceMessage"),
        (VIDEO_SOURCE, pb.SourceMessage(unit=unit(1, camera="other")).SerializeToString(), "not the key"),
        (VIDEO_SOURCE, pb.SourceMessage(unit=unit(1, 2 * START_US)).SerializeToString(), "in the future"),
        (VIDEO_SOURCE, pb.SourceMessage(unit=unit(1 << 41, START_US)).SerializeToString(), "beyond every epoch"),
        (REDACTIONS, pb.RedactionsMessage(span=span(9, 3)).SerializeToString(), "a span from 9 to 3"),
    ],
)
def test_messages_that_cant_be_are_refused(tmp_path: Path, topic: object, value: bytes, says: str) -> None:
    stage, bus = make_stage(make_vault(tmp_path)), Bus()
    bus.put_raw(topic, CAMERA, value, START_US)
    with pytest.raises(InvalidMessage, match=says):
        stage.submit(bus.messages[0])
    stop(stage, 1)


def test_audit_events_go_to_the_topic(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 2)
    store(vault, bus)
    list(opened(vault))
    stage = make_stage(vault)
    records, deadline = [], time.monotonic() + 20
    while not records and time.monotonic() < deadline:
        records = [record for emission in stage.completed() for record in emission.records]
        time.sleep(0.05)
    stop(stage)
    (record,) = records
    event = pb.AuditEvent.FromString(record.value)
    assert (record.topic, record.key, event.action, event.actor) == (AUDIT, CAMERA, "vault.open", "tester")
    assert event.purpose == "a test"


def taken_by(stage: VaultStage, bus: Bus) -> int:
    """How many messages a stage takes until it wants no more."""
    for count, message in enumerate(bus.messages):
        try:
            stage.submit(message)
        except Backpressure:
            return count
    return len(bus.messages)


def _raise(error: Exception) -> None:
    raise error
