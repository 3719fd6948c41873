"""I7: the outbox is bounded; a file waits, a live camera sheds pictures for detectors and then whole groups."""

import math
import random
import threading

import pytest

from services.bus.interface import Record
from services.bus.topics import VIDEO_SOURCE
from services.decoder.outbox import Entry, Kind, Outbox

K, P, S, D, E = Kind.KEYFRAME, Kind.PICTURE, Kind.SOUND, Kind.DETECTION, Kind.END


def entry(kind: Kind, name: str, size: int = 100) -> Entry:
    return Entry(kind, Record(VIDEO_SOURCE, name, bytes(size)))


def names(box: Outbox, most: float = math.inf) -> list[str]:
    return [taken.record.key for taken in box.drain(most)]


def fill(kinds: list[Kind], limit: int) -> list[str]:
    box = Outbox(limit, sheds=True)
    for number, kind in enumerate(kinds):
        box.put(entry(kind, f"{kind.name[0]}{number}"))
    return names(box)


def test_what_fits_stays_in_order() -> None:
    assert fill([K, D, P, S, P, E], 10_000) == ["K0", "D1", "P2", "S3", "P4", "E5"]


def test_detection_pictures_go_first() -> None:
    assert fill([K, D, P, D, P], 400) == ["K0", "P2", "P4"]


def test_a_detection_picture_never_displaces_a_frame() -> None:
    assert fill([K, P, P, D], 300) == ["K0", "P1", "P2"]


def test_then_the_oldest_group_up_to_the_next_keyframe() -> None:
    assert fill([K, P, P, K, P, P], 500) == ["K3", "P4", "P5"]


def test_a_group_that_lost_its_beginning_is_dropped_to_its_end() -> None:
    assert fill([K, P, P, P, P, K, P], 300) == ["K5", "P6"]


def test_the_rest_of_a_group_whose_start_is_already_sent_can_go() -> None:
    box = Outbox(300, sheds=True)
    box.put(entry(K, "K0"))
    box.drain()
    for name in ("P1", "P2", "P3", "P4"):
        box.put(entry(P, name))
    box.put(entry(K, "K5"))
    assert names(box) == ["K5"]


def timed(*entries: tuple[Kind, float]) -> Outbox:
    """An outbox of ten seconds that was given these, each at its second."""
    box = Outbox(10_000, sheds=True, max_age_s=10)
    for number, (kind, second) in enumerate(entries):
        record = Record(VIDEO_SOURCE, f"{kind.name[0]}{number}", bytes(100))
        box.put(Entry(kind, record, int(second * 1e6) + 1 if kind in (K, P, D) else 0))
    return box


def test_groups_that_grow_too_old_go_with_their_detection_pictures_and_the_younger_keep_theirs() -> None:
    box = timed((K, 0), (D, 0), (S, 0), (P, 2), (K, 4), (D, 4), (P, 8), (P, 10.5))
    assert names(box) == ["K4", "D5", "P6", "P7"]


def test_a_group_longer_than_the_time_goes_to_its_end() -> None:
    assert names(timed((K, 0), (P, 5), (P, 11), (P, 12), (K, 13), (P, 14))) == ["K4", "P5"]


def test_what_is_as_old_as_allowed_stays_and_so_does_an_end() -> None:
    assert names(timed((K, 0), (P, 10))) == ["K0", "P1"]
    assert names(timed((K, 0), (E, 0), (K, 100), (E, 0))) == ["E1", "K2", "E3"]


def test_draining_stops_near_the_asked_amount_and_goes_on_from_there() -> None:
    box = Outbox(10_000, sheds=True)
    for number in range(7):
        box.put(entry(P, f"P{number}"))
    assert names(box, 250) == ["P0", "P1", "P2"]
    assert box.size == 400
    assert names(box, 1) == ["P3"]
    assert names(box) == ["P4", "P5", "P6"]
    assert box.size == 0


def test_an_end_is_never_shed() -> None:
    assert fill([K, P, E, K, P, E], 350) == ["E2", "K3", "P4", "E5"]


def test_one_record_larger_than_the_limit_passes() -> None:
    box = Outbox(10, sheds=True)
    box.put(entry(K, "big", 1000))
    assert names(box) == ["big"]


@pytest.mark.parametrize("seed", range(20))
def test_it_never_holds_more_than_its_limit(seed: int) -> None:
    dice = random.Random(seed)
    box = Outbox(1000, sheds=True)
    for number in range(300):
        box.put(entry(dice.choices([K, P, S, D], [1, 8, 2, 3])[0], str(number), dice.randrange(1, 400)))
        if dice.random() < 0.02:
            box.drain()
        assert box.size <= 1000


def test_a_file_waits_for_room_and_loses_nothing() -> None:
    box = Outbox(300, sheds=False)
    sent = threading.Thread(target=lambda: [box.put(entry(P, str(number))) for number in range(50)])
    sent.start()
    got: list[str] = []
    while len(got) < 50:
        assert box.size <= 300
        got += names(box)
    sent.join(5)
    assert got == [str(number) for number in range(50)]


def test_release_ends_the_waiting() -> None:
    box = Outbox(100, sheds=False)
    sent = threading.Thread(target=lambda: [box.put(entry(P, str(number))) for number in range(5)])
    sent.start()
    sent.join(0.05)
    assert sent.is_alive()
    box.release()
    sent.join(5)
    assert not sent.is_alive()
    assert len(box.drain()) == 5
