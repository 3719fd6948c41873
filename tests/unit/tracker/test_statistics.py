"""Counts, dwell, direction, zones and lines; and nothing that could tell who it was."""

import pytest

from services.schema import pb
from services.tracker.settings import TrackerSettings
from tests.support.book import Book
from tests.unit.tracker.harness import EPOCH, Found, Harness, policy, result

MIDDLE = {"name": "middle", "polygon": [(0.4, 0), (0.6, 0), (0.6, 1), (0.4, 1)]}
DOWNWARD = {"name": "door", "start": (0.5, 0), "end": (0.5, 1)}


def face(x: float, y: float = 300) -> Found:
    return x - 20, y - 20, x + 20, y + 20, 0.9


def walk(start: float, end: float, keys: dict[str, object], frames: int = 125) -> Harness:
    """A face that walks from x = start to x = end, then is gone for three seconds."""
    harness = Harness(Book(policy(**keys)))
    for seq in range(0, frames, 5):
        harness.look(seq, result([face(start + (end - start) * seq / (frames - 5))]))
    harness.looks(range(frames, frames + 75, 5))
    harness.end(frames + 75)
    return harness


def test_track_record_tells_dwell_direction_and_distance() -> None:
    harness = walk(200, 1000, {})
    record = harness.tracks[-1]
    assert record.ended
    assert (record.kind, record.first_seq, record.last_seq) == (pb.KIND_FACE, 0, 120)
    assert record.dwell_s == pytest.approx(4.8)
    assert record.direction_deg == pytest.approx(0, abs=0.1)
    assert record.distance_px == pytest.approx(800, rel=0.02)
    assert list(record.box) == pytest.approx(face(1000)[:4])
    assert (record.first_us, record.last_us) == (EPOCH, EPOCH + 4_800_000)


def test_direction_is_measured_clockwise_from_the_right() -> None:
    harness = Harness(Book(policy()))
    for seq in range(0, 50, 5):
        harness.look(seq, result([face(600, 100 + 5 * seq)]))
    harness.end(50)
    assert harness.tracks[-1].direction_deg == pytest.approx(90, abs=0.1)


def test_a_long_track_is_told_of_while_it_lasts() -> None:
    harness = Harness(Book(policy()), TrackerSettings(track_record_every_s=2))
    harness.looks(range(0, 126, 5), face(300))
    assert [record.ended for record in harness.tracks] == [False, False]
    assert len({record.track_id for record in harness.tracks}) == 1
    harness.end(130)
    assert harness.tracks[-1].ended


def test_a_single_sight_does_not_count() -> None:
    harness = Harness(Book(policy()))
    harness.looks([0], face(300))
    harness.looks(range(5, 300, 5))
    harness.end(303)
    assert not harness.tracks
    assert not any(record.kinds for record in harness.stats)


def test_each_interval_counts_who_was_there_who_came_and_who_left() -> None:
    harness = Harness(Book(policy()), TrackerSettings(stats_every_s=10))
    for seq in range(0, 400, 5):
        found = [face(300)] + ([face(900)] if seq <= 100 else [])
        harness.look(seq, result(found))
    harness.end(403)
    first, second = harness.stats
    assert (first.from_us, first.to_us) == (EPOCH, EPOCH + 10_000_000)
    (count,) = first.kinds
    assert (count.kind, count.present, count.entered, count.left) == (pb.KIND_FACE, 2, 2, 1)
    assert count.mean_dwell_s == pytest.approx(4.0)
    (count,) = second.kinds
    assert (count.present, count.entered, count.left) == (1, 0, 1)
    assert first.frames + second.frames == 403
    assert first.incomplete_frames == second.incomplete_frames == 0


def test_closed_frames_are_counted() -> None:
    harness = Harness(Book(policy()))
    harness.looks([0, 5])
    harness.look(10, result(status=pb.DetectorResult.FAILED))
    harness.end(13)
    (stats,) = harness.stats
    assert (stats.frames, stats.incomplete_frames) == (13, 8)


@pytest.mark.parametrize(
    ("start", "end", "line", "counts"),
    [
        # Seen along a line that points down, the left hand is at the picture's right side.
        (900, 300, DOWNWARD, (1, 0)),
        (300, 900, DOWNWARD, (0, 1)),
        (300, 900, {"name": "door", "start": (0.5, 1), "end": (0.5, 0)}, (1, 0)),
        (300, 900, {"name": "door", "start": (0.5, 0), "end": (0.5, 0.3)}, None),
        (300, 600, DOWNWARD, None),
    ],
)
def test_line_crossings_have_a_direction(
    start: float, end: float, line: dict[str, object], counts: tuple[int, int] | None
) -> None:
    harness = walk(start, end, {"lines": [line]})
    found = [(count.forward, count.backward) for stats in harness.stats for count in stats.lines]
    assert found == ([counts] if counts else [])


def test_a_crossing_is_counted_at_a_persons_feet() -> None:
    line = {"name": "kerb", "start": (0, 0.5), "end": (1, 0.5)}
    harness = Harness(Book(policy(kinds={"person": {}}, lines=[line])))
    for seq in range(0, 50, 5):
        feet = 300 + 3 * seq
        box = (600, feet - 200, 660, feet, 0.9)
        harness.look(seq, result([box], "person", pb.KIND_PERSON))
    harness.end(50)
    ((count,),) = [stats.lines for stats in harness.stats]
    assert (count.line, count.kind, count.forward, count.backward) == ("kerb", pb.KIND_PERSON, 1, 0)


def test_jitter_on_a_line_is_no_crossing() -> None:
    harness = Harness(Book(policy(lines=[DOWNWARD], zones=[MIDDLE])))
    for seq in range(0, 100, 5):
        harness.look(seq, result([face(640 + (2 if seq % 2 else -2))]))
    harness.end(100)
    assert not any(stats.lines for stats in harness.stats)


def test_zones_count_who_went_in_and_out_and_for_how_long() -> None:
    harness = walk(200, 1000, {"zones": [MIDDLE, {"name": "shop", "use": "mask", "polygon": MIDDLE["polygon"]}]})
    ((count,),) = [stats.zones for stats in harness.stats]
    assert (count.zone, count.kind, count.entered, count.left) == ("middle", pb.KIND_FACE, 1, 1)
    assert count.mean_dwell_s == pytest.approx(256 / 800 * 4.8, abs=0.25)
    assert list(harness.tracks[-1].zones) == ["middle"]


def test_a_track_that_ends_inside_a_zone_leaves_it() -> None:
    harness = walk(600, 600, {"zones": [MIDDLE]})
    ((count,),) = [stats.zones for stats in harness.stats]
    assert (count.entered, count.left) == (1, 1)


def test_ids_of_two_epochs_can_not_be_linked() -> None:
    harness = Harness(Book(policy()))
    harness.looks([0, 5, 10], face(300), face(600))
    harness.end(13)
    first = {record.track_id for record in harness.tracks}
    harness.previous, harness.epoch = None, EPOCH + 1
    harness.looks([0, 5, 10], face(300), face(600))
    harness.end(13)
    both = {record.track_id for record in harness.tracks}
    assert len(first) == 2
    assert len(both) == 4
    assert max(both) > 1000, "random, not counted up"


def test_replaying_an_epoch_gives_the_same_counts() -> None:
    """Times come from the stream, not from the clock on the wall."""
    one, two = walk(200, 1000, {"zones": [MIDDLE]}), walk(200, 1000, {"zones": [MIDDLE]})
    assert one.stats == two.stats
