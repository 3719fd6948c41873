"""No count below the threshold can be worked out from what is told: all sets of small numbers are tried."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import product

import pytest

from services.insight.suppression import NOTHING, Part, is_rest, leaf, split, too_near, total

Told = tuple[object, ...]


def shown(part: Part) -> tuple[int, bool]:
    """What a reader sees of a part."""
    return part.told, part.whole


def hour(counts: Iterable[int], least: int) -> tuple[Told, Part]:
    """All that is told of an hour, and what its day is made of."""
    steps = [leaf(count, least) for count in counts]
    whole = total(steps, least)
    return (tuple(map(shown, steps)), shown(whole)), whole


def values_by_output(worlds: Iterable[tuple[tuple[int, ...], Told]]) -> dict[Told, list[set[int]]]:
    """For each thing that can be told: the values that each leaf has in all worlds in which just that is told."""
    found: dict[Told, list[set[int]]] = {}
    for counts, told in worlds:
        values = found.setdefault(told, [set() for _ in counts])
        for value, count in zip(values, counts, strict=True):
            value.add(count)
    return found


@pytest.mark.parametrize(
    ("leaves", "least", "most"), [(2, 3, 6), (3, 3, 5), (4, 3, 4), (3, 5, 8), (4, 4, 5), (5, 2, 3)]
)
def test_whoever_sees_an_hour_and_knows_the_rule_can_narrow_no_small_count(leaves: int, least: int, most: int) -> None:
    worlds = ((counts, hour(counts, least)[0]) for counts in product(range(most + 1), repeat=leaves))
    for told, values in values_by_output(worlds).items():
        steps = told[0]
        assert isinstance(steps, tuple)
        for (_, whole), possible in zip(steps, values, strict=True):
            if not whole:
                assert possible == set(range(least)), f"{told} leaves only {possible}"


@pytest.mark.parametrize(("hours", "steps", "least", "most"), [(3, 2, 3, 3), (2, 3, 3, 3), (4, 2, 2, 2)])
def test_whoever_sees_a_day_too_can_narrow_no_small_count(hours: int, steps: int, least: int, most: int) -> None:
    def day(counts: tuple[int, ...]) -> Told:
        told, parts = zip(*(hour(counts[at : at + steps], least) for at in range(0, len(counts), steps)), strict=True)
        return (told, shown(total(parts, least)))

    worlds = ((counts, day(counts)) for counts in product(range(most + 1), repeat=hours * steps))
    for told, values in values_by_output(worlds).items():
        leaves = [each for one in told[0] for each in one[0]]  # type: ignore[attr-defined]
        for (_, whole), possible in zip(leaves, values, strict=True):
            if not whole:
                assert possible == set(range(least)), f"{told} leaves only {possible}"


def test_a_true_total_would_give_a_small_count_away() -> None:
    """The attack that the sums of told counts are there against: 20 in the hour, 18 in what is told of it."""
    parts = [leaf(count, 5) for count in (9, 9, 2)]
    assert sum((9, 9, 2)) - sum(part.told for part in parts) == 2
    assert total(parts, 5).told - sum(part.told for part in parts) == 0


def test_a_rest_is_told_where_it_says_nothing_of_its_leaves() -> None:
    assert total([leaf(7, 5), *[leaf(2, 5)] * 3, *[NOTHING] * 2], 5) == Part(13, whole=True, left=0)
    assert total([leaf(7, 5), leaf(4, 5), leaf(4, 5)], 5) == Part(7, whole=False, left=8), "both must be 4"
    assert total([leaf(7, 5), leaf(1, 5), leaf(1, 5)], 5) == Part(7, whole=False, left=2), "a small sum is small"


def test_what_no_hour_can_tell_a_day_can() -> None:
    hours = [total([leaf(1, 5), leaf(2, 5), *[NOTHING] * 4], 5)] * 4
    assert [shown(each) for each in hours] == [(0, False)] * 4
    assert total([*hours, *[NOTHING] * 20], 5) == Part(12, whole=True, left=0)


def test_a_zero_looks_like_any_other_small_count() -> None:
    assert shown(leaf(0, 5)) == shown(leaf(4, 5)) == shown(NOTHING)
    assert shown(total([NOTHING] * 6, 5)) == shown(total([leaf(4, 5), *[NOTHING] * 5], 5))


@pytest.mark.parametrize("inside", range(12))
def test_a_zone_never_differs_from_its_camera_by_a_few(inside: int) -> None:
    camera = leaf(11, 5)
    zone = leaf(inside, 5, beside=11)
    if zone.whole:
        assert camera.told - zone.told == 0 or camera.told - zone.told >= 5


def test_nor_do_sums_of_them() -> None:
    """Each step may be told, the rest makes the difference small: the rest of the zone is left out."""
    camera = total([leaf(10, 5), *[leaf(2, 5)] * 3, *[NOTHING] * 2], 5)
    zone_steps = [leaf(10, 5, 10), *[leaf(2, 5, 2)] * 2, leaf(1, 5, 2), *[NOTHING] * 2]
    assert too_near(15, camera.told, 5)
    assert total(zone_steps, 5).told == 15
    assert total(zone_steps, 5, beside=camera.told) == Part(10, whole=False, left=5)


def test_the_few_of_a_division_are_not_what_is_left_of_its_sum() -> None:
    told = split({0: 12, 1: 8, 2: 1}, 5)
    assert {at for at, part in told.items() if part.whole} == {0}, "12 of 21, and nine others who knows where"
    assert {at for at, part in split({0: 12, 1: 8, 2: 4, 3: 3}, 5).items() if part.whole} == {0, 1}


def test_division_leaves_no_few_for_anyone_who_knows_the_sum() -> None:
    for counts in product(range(8), repeat=3):
        parts = split(dict(enumerate(counts)), 3)
        told = sum(part.told for part in parts.values())
        left = sum(counts) - told
        assert left == 0 or left >= 3 or told == 0


def test_a_rest_has_room_for_every_value() -> None:
    for least, cells in product(range(2, 6), range(8)):
        for rest in range(least * 8):
            others = (cells - 1) * (least - 1)
            roomy = cells > 0 and all(0 <= rest - value <= others for value in range(least)) and rest >= least
            assert is_rest(rest, cells, least) == roomy


def test_worlds_are_told_apart() -> None:
    """The trial itself: with true totals it finds what can be worked out."""
    narrowed = defaultdict(set)
    for counts in product(range(5), repeat=2):
        narrowed[tuple(shown(leaf(count, 3)) for count in counts), sum(counts)].add(counts)
    assert any(len(worlds) == 1 for worlds in narrowed.values())
