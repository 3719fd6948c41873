"""Numbering in presentation order: the clocks that real sources have."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.order import OrderByDecoding, OrderByPts, SourceUnit


def unit(pts: int | None, dts: int | None, *, keyframe: bool = False, payload: bytes = b"x") -> SourceUnit:
    return SourceUnit(payload, keyframe, pts, dts, duration=1, captured_us=0)


def numbered(units: Iterable[SourceUnit], *, reordered: bool = True, live: bool = False) -> list[SourceUnit]:
    order = OrderByPts(second=25, reordered=reordered, live=live)
    out = [done for given in units for done in order.push(given)]
    return out + list(order.flush())


def test_b_frames_are_numbered_as_shown_and_travel_as_decoded() -> None:
    given = [unit(p, d, keyframe=p == 0) for p, d in [(0, -2), (4, -1), (2, 0), (1, 1), (3, 2), (6, 3), (5, 4)]]
    out = numbered(given)
    assert out == given
    assert [u.seq for u in out] == [0, 4, 2, 1, 3, 6, 5]


def test_without_b_frames_nothing_is_held_back() -> None:
    order = OrderByPts(second=25, reordered=False)
    for number in range(10):
        assert [u.seq for u in order.push(unit(100 + number, None))] == [number]
    for number in range(10, 20):
        assert [u.seq for u in order.push(unit(100 + number, 100 + number))] == [number]


def test_without_dts_at_most_16_are_held_back() -> None:
    order = OrderByPts(second=25, reordered=True)
    out = [u.seq for number in range(40) for u in order.push(unit(number, None))]
    assert out == list(range(24))


def test_missing_times_count_on() -> None:
    out = numbered([unit(None, None) for _ in range(4)], reordered=False)
    assert [(u.seq, u.pts, u.dts) for u in out] == [(n, n, n) for n in range(4)]


def test_matroska_gets_the_dts_that_it_does_not_store() -> None:
    out = numbered([unit(0, None), unit(4, None), unit(2, 0), unit(1, 1), unit(3, 2)])
    assert [u.dts for u in out] == [-2, -1, 0, 1, 2]


def test_repeated_pts_are_moved_apart() -> None:
    out = numbered([unit(p, p) for p in (0, 10, 10, 10, 20)])
    assert [u.pts for u in out] == [0, 10, 11, 12, 20]


def test_a_clock_that_starts_again_goes_on_behind_the_old_one() -> None:
    out = numbered([unit(p, p) for p in (1000, 1040, 1080, 0, 40, 80)])
    assert [u.pts for u in out] == [1000, 1040, 1080, 1081, 1121, 1161]
    assert [u.seq for u in out] == list(range(6))


@pytest.mark.parametrize("reordered", [False, True])
def test_a_live_clock_that_is_set_ahead_and_back_leaves_no_pause(reordered: bool) -> None:
    hour = 3600 * 25
    times = [0, 1, 2, 3 + hour, 4 + hour, 5, 6, 7 - hour, 8 - hour, 9 + hour]
    out = numbered([unit(p, p) for p in times], reordered=reordered, live=True)
    assert [(u.seq, u.pts) for u in out] == [(n, n) for n in range(10)]


def test_a_pause_in_a_file_stays_a_pause() -> None:
    assert [u.pts for u in numbered([unit(p, p) for p in (0, 1, 90_000, 90_001)])] == [0, 1, 90_000, 90_001]


def test_leading_pictures_of_an_open_group_need_the_group_before() -> None:
    given = [unit(0, -2, keyframe=True), unit(1, -1), unit(4, 0, keyframe=True), unit(2, 1), unit(3, 2), unit(5, 3)]
    out = numbered(given)
    assert [(u.seq, u.keyframe_seq) for u in out] == [(0, 0), (1, 0), (4, 4), (2, 0), (3, 0), (5, 4)]


@given(st.lists(st.tuples(st.none() | st.integers(-50, 50), st.none() | st.integers(-50, 50)), max_size=60))
def test_whatever_the_times_each_unit_gets_one_number_and_pts_rise_with_it(
    times: list[tuple[int | None, int | None]],
) -> None:
    given = [unit(pts, dts) for pts, dts in times]
    out = numbered(given)
    assert out == given
    by_seq = sorted(out, key=lambda u: u.seq)
    assert [u.seq for u in by_seq] == list(range(len(times)))
    pts = [u.pts for u in by_seq if u.pts is not None]
    assert len(pts) == len(times)
    assert all(a < b for a, b in pairwise(pts))


def test_a_decoder_tells_the_order_where_times_do_not() -> None:
    # Shown as 0, 2, 1; the unit with index 3 never is.
    shown = {0: [], 1: [0], 2: [2, 1], 3: [], None: []}
    order = OrderByDecoding(lambda payload, index: shown[None if payload is None else index], delay=1)
    out = [u for number in range(4) for u in order.push(unit(None, number))] + list(order.flush())
    assert [(u.seq, u.pts) for u in out] == [(0, 0), (2, 2), (1, 1), (3, 3)]
