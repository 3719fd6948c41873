"""Which counts are told, so that none of fewer than `least` can be worked out from those that are.

Counts of one camera form a tree: intervals of minutes in an hour, hours in a day. A leaf is told if it is `least` or
more. What is told of a node is the sum of what is told below it, and never the true sum: there is no total from which
a leaf that was left out could be reckoned. What was left out below a node is told in one sum, its rest, only where
that sum is so large, and made of so many leaves, that each of them could still be anything from 0 to `least` - 1. Zero
is left out like any other small count. tests/unit/insight/test_suppression.py tries all sets of small numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """What is told of a part of an interval, and what is not.

    Attributes:
        told: count that is told.
        whole: nothing of it is left for the interval around it: all of it was told, or a rest.
        left: count that is not told; it goes up to the interval around it.
    """

    told: int
    whole: bool
    left: int


NOTHING = Part(0, whole=False, left=0)
"""A part in which nobody was counted: told as little as one with a few."""


def leaf(count: int, least: int, beside: int | None = None) -> Part:
    """What is told of the finest interval.

    Args:
        count: how many.
        least: smallest count that is told.
        beside: a count that is told, or could be, of which this one is a part. What is left of it may be a small count
            too: seven at a camera and six of them in a zone single out one.
    """
    if count < least or too_near(count, beside, least):
        return Part(0, whole=False, left=count)
    return Part(count, whole=True, left=0)


def total(parts: Sequence[Part], least: int, beside: int | None = None) -> Part:
    """What is told of an interval that consists of `parts`, of all of them: an empty one is NOTHING."""
    told = sum(part.told for part in parts)
    broken = [part for part in parts if not part.whole]
    # What was left out for its neighbours' sake, or is too much of too few leaves, is no small count: it is in no rest.
    small = [part.left for part in broken if part.left < least]
    rest = sum(small)
    if is_rest(rest, len(small), least) and not too_near(told + rest, beside, least):
        # Whether anything else was left out is not said either: only few numbers do that.
        return Part(told + rest, whole=True, left=0)
    return Part(told, whole=not broken, left=sum(part.left for part in broken))


def is_rest(rest: int, cells: int, least: int) -> bool:
    """Whether the sum of `cells` small counts tells nothing of any: each could be 0, and each could be `least` - 1."""
    return least <= rest <= (cells - 1) * (least - 1)


def too_near(count: int, beside: int | None, least: int) -> bool:
    """Whether the two counts differ by a few, but do differ."""
    return beside is not None and 0 < beside - count < least


def split(counts: Mapping[int, int], least: int) -> dict[int, Part]:
    """What is told of one count's division into bins.

    Where the small bins together are few, the smallest of the others is left out as well: who knows the sum from
    elsewhere would have the few by subtraction.
    """
    parts = {at: leaf(count, least) for at, count in counts.items()}
    left = sum(part.left for part in parts.values())
    told = sorted((part.told, at) for at, part in parts.items() if part.whole)
    if told and 0 < left < least:
        count, at = told[0]
        parts[at] = Part(0, whole=False, left=count)
    return parts
