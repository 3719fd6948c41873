"""Heads are a part of persons: from behind, small or turned away, they are masked without a face being found."""

import pytest

from services.schema import pb
from services.tracker.look import head_of
from tests.support.book import Book
from tests.unit.tracker.harness import Found, Harness, policy, result

HEAD = policy(kinds={"head": {}})


def persons(*found: Found) -> pb.DetectorResult:
    return result(found, "person", pb.KIND_PERSON)


def segments(harness: Harness) -> list[pb.TrackSegment]:
    return [segment for span in harness.spans for segment in span.tracks]


def test_i1_the_head_of_a_person_is_masked_and_nothing_below_it() -> None:
    harness = Harness(Book(HEAD))
    for seq in range(0, 50, 5):
        harness.look(seq, persons((600, 300, 660, 500, 0.9)))
    harness.end(50)
    assert {span.coverage for span in harness.spans} == {pb.COMPLETE}
    assert {segment.kind for segment in segments(harness)} == {pb.KIND_HEAD}
    for segment in segments(harness):
        x1, y1, x2, y2 = segment.first
        assert (x1, x2) == (600, 660)
        assert y1 < 300
        assert 300 + 200 / 8 < y2 < 300 + 200 / 3


@pytest.mark.parametrize("kinds", [["head"], ["face", "head"]])
def test_i2_a_policy_that_asks_for_heads_needs_the_persons(kinds: list[str]) -> None:
    harness = Harness(Book(policy(kinds=kinds)))
    harness.look(0, result(), persons())
    harness.look(5, result())
    harness.look(10, result(), persons())
    harness.end(15)
    assert [(span.coverage, "person" in span.why) for span in harness.spans] == [
        (pb.INCOMPLETE, True),
        (pb.INCOMPLETE, True),
        (pb.COMPLETE, False),
    ]


def test_persons_are_masked_whole_only_where_the_policy_says_so() -> None:
    harness = Harness(Book(policy(kinds=["head", "person"])))
    for seq in range(0, 50, 5):
        harness.look(seq, persons((600, 300, 660, 500, 0.9)))
    harness.end(50)
    assert {segment.kind for segment in segments(harness)} == {pb.KIND_HEAD, pb.KIND_PERSON}


@pytest.mark.parametrize(
    ("width", "height", "least", "most"),
    [(60, 180, 0.15, 0.3), (60, 120, 0.2, 0.3), (100, 100, 0.4, 0.5), (150, 100, 0.5, 0.5)],
    ids=["standing", "sitting", "upper body", "head and shoulders"],
)
def test_the_more_of_the_body_is_cut_off_the_more_of_the_box_is_head(
    width: float, height: float, least: float, most: float
) -> None:
    _, y, w, h, score = head_of([0.0, height / 2, width, height, 0.7])
    assert (w, score) == (width, 0.7)
    assert y - h / 2 < 0
    assert least <= (y + h / 2) / height <= most + 0.01
