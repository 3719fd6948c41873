"""The ledger commits contiguous runs only, whatever order a stage finishes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.interface import Committable, Position, TopicPartition
from services.runtime.ledger import Ledger

SOURCE = TopicPartition("detections", 0)


def at(offset: int) -> Position:
    return Position(SOURCE, offset)


def delivered(*offsets: int) -> Ledger:
    ledger = Ledger()
    for offset in offsets:
        ledger.deliver(at(offset))
    return ledger


def test_a_gap_holds_back_what_lies_behind_it() -> None:
    ledger = delivered(5, 6, 7)
    ledger.finish([at(6), at(7)])
    assert ledger.take_commits() == {}
    ledger.finish([at(5)])
    assert ledger.take_commits() == {SOURCE: Committable(8)}
    assert ledger.unfinished == 0


def test_offsets_that_the_broker_skips_are_no_gap() -> None:
    ledger = delivered(5, 9)
    ledger.finish([at(5)])
    assert ledger.take_commits() == {SOURCE: Committable(6)}
    ledger.finish([at(9)])
    assert ledger.take_commits() == {SOURCE: Committable(10)}


def test_a_commit_is_taken_once() -> None:
    ledger = delivered(0)
    ledger.finish([at(0)])
    assert ledger.take_commits()
    assert not ledger.take_commits()


def test_a_partition_that_left_is_forgotten() -> None:
    ledger = delivered(0, 1)
    ledger.finish([at(0)])
    ledger.forget([SOURCE])
    assert not ledger.take_commits()
    ledger.finish([at(1)])
    assert not ledger.take_commits()


def test_out_of_order_delivery_is_refused() -> None:
    ledger = delivered(3)
    with pytest.raises(ValueError, match="out of order"):
        ledger.deliver(at(3))


@given(st.permutations(range(12)), st.integers(0, 12))
def test_i6_never_commits_past_an_unfinished_offset(order: list[int], finished: int) -> None:
    ledger = delivered(*range(12))
    done = set()
    for offset in order[:finished]:
        ledger.finish([at(offset)])
        done.add(offset)
        for committable in ledger.take_commits().values():
            assert set(range(committable.next_offset)) <= done


def test_what_is_finished_twice_or_was_never_here_leaves_nothing_behind() -> None:
    ledger = delivered(0, 1)
    ledger.finish([at(0), at(0)])
    ledger.finish([at(0)])
    ledger.forget([SOURCE])
    ledger.finish([at(1)])
    other = Position(TopicPartition("redactions", 3), 7)
    ledger.finish([other])
    ledger.deliver(at(0))
    assert not ledger.take_commits(), "it came again and is not finished yet"
    ledger.finish([at(0)])
    assert ledger.take_commits() == {SOURCE: Committable(1)}
    assert not any(ledger._finished.values())
