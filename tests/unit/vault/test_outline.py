"""Reading a range without its pictures: the same frames and spans, in the same order, and as hard to get at."""

import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from services.vault import Expired, Missing, NoPurpose, Tampered
from services.vault.outline import Outline
from services.vault.tables import SEGMENTS
from services.vault.vault import Vault
from tests.support.originals import (
    CAMERA,
    FPS,
    HOUR_US,
    SECOND_US,
    START_US,
    Bus,
    Clock,
    end,
    make_vault,
    minutes,
    opened,
    pieces,
    seqs,
    span,
    store,
)

LATER = START_US + 60 * SECOND_US


def filled(folder: Path, clock: Clock | None = None) -> Vault:
    """Two epochs of half a minute."""
    vault, bus = make_vault(folder, clock), Bus()
    minutes(bus, 30)
    bus.put(end())
    minutes(bus, 30, epoch=LATER)
    store(vault, bus, clock)
    return vault


def outline(vault: Vault, start_us: int = 0, end_us: int = 1 << 60) -> list[Outline]:
    return list(vault.outline(CAMERA, start_us, end_us, purpose="a test", who="tester"))


def frames(outlines: list[Outline]) -> list[tuple[int, int]]:
    return [(one.epoch, seq) for one in outlines for run in one.runs for seq in range(run.first_seq, run.last_seq + 1)]


def test_frames_times_and_spans_are_those_of_the_pictures(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    whole = outline(vault)
    assert frames(whole) == seqs(opened(vault))
    for one in whole:
        there = {each.SerializeToString() for piece in pieces(opened(vault)) for each in piece.spans}
        mine = [each.SerializeToString() for each in one.spans()]
        assert len(mine) == len(set(mine)) == 30
        assert there.issuperset(mine)
        for run in one.runs:
            assert run.start_us == one.epoch + run.first_seq * SECOND_US // FPS
            assert run.end_us == one.epoch + run.last_seq * SECOND_US // FPS


@pytest.mark.parametrize(("start_s", "end_s"), [(0, 1), (7, 12.5), (9.9, 10.1), (25, 70), (40, 80)])
def test_a_part_of_a_range_is_cut_where_the_pictures_are(tmp_path: Path, start_s: float, end_s: float) -> None:
    vault = filled(tmp_path)
    low, high = START_US + round(start_s * SECOND_US), START_US + round(end_s * SECOND_US)
    exact = seqs(opened(vault, low, high), wanted=True)
    about = frames(outline(vault, low, high))
    assert len(set(exact) ^ set(about)) <= 4
    assert abs(len(exact) - len(about)) <= 2


def test_spans_come_in_the_order_in_which_they_came_over_all_segments(tmp_path: Path) -> None:
    """What a restarted tracker says again comes last, also where it is about the first segment."""
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 30)
    bus.put(span(95, 104, why="said again"))
    store(vault, bus)
    (one,) = outline(vault)
    said = [each.why for each in one.spans()]
    assert said == [""] * 30 + ["said again"]


def test_a_search_is_an_event_of_its_own_and_needs_name_and_purpose(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    outline(vault)
    event = vault.events.of(CAMERA)[-1]
    assert (event.actor, event.action, event.purpose) == ("tester", "vault.search", "a test")
    for who, purpose in (("", "a test"), ("tester", " ")):
        with pytest.raises(NoPurpose):
            vault.outline(CAMERA, 0, 1 << 60, purpose=purpose, who=who)
    with pytest.raises(Missing):
        vault.outline("yard", 0, 1 << 60, purpose="a test", who="tester")
    assert vault.events.of("yard")[-1].action == "vault.refused"


def test_what_has_expired_is_not_told_of(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, clock)
    clock.at_us = LATER + 24 * HOUR_US + 5 * SECOND_US
    assert {one.epoch for one in outline(vault)} == {LATER}
    clock.at_us += HOUR_US
    with pytest.raises(Expired):
        outline(vault)


def test_a_changed_segment_of_spans_is_told(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    with vault.database.read() as connection:
        row = connection.execute(select(SEGMENTS).where(SEGMENTS.c.kind == "spans")).first()
    assert row is not None
    file = tmp_path / "vault" / row.name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(Tampered, match="not the one that was written"):
        [list(one.spans()) for one in outline(vault)]
    file.unlink()
    with pytest.raises(Tampered, match="nobody has purged"):
        [list(one.spans()) for one in outline(vault)]
    with vault.database.write() as connection:
        connection.execute(update(SEGMENTS).where(SEGMENTS.c.id == row.id).values(state="gone", salt=None))
    assert sum(len(list(one.spans())) for one in outline(vault)) == 60 - row.messages


def test_no_segment_of_pictures_is_opened(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    for file in (tmp_path / "vault").rglob("*.video"):
        file.unlink()
    began = time.process_time()
    assert [len(list(one.spans())) for one in outline(vault)] == [30, 30]
    assert time.process_time() - began < 5
