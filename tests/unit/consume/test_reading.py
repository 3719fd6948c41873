"""A window of a topic: what is inside of it, when it is over, and that a stop is heard."""

import threading
import time

import pytest

from services.bus.interface import Start
from services.bus.memory import MemoryBus
from services.bus.topics import METADATA_TRACKS
from services.consume.reading import read
from services.consume.rows import RowReader
from services.consume.window import Window
from tests.support.consumed import OLDEST, fill, track

SECOND_US = 1_000_000


class Clock:
    """Both the bus's and the reader's: a second for each record, and whatever the test adds."""

    def __init__(self) -> None:
        self.us = 0

    def __call__(self) -> int:
        return self.us


def numbers(bus: MemoryBus, window: Window, clock: Clock, keys: tuple[str, ...] = ()) -> list[int]:
    """Track ids that `read` gives until the window is over; fails where it isn't within two seconds."""
    stop = threading.Event()
    deadline = time.monotonic() + 2
    rows = RowReader(METADATA_TRACKS)
    found = []
    for batch in read(bus.reader(METADATA_TRACKS, window.start), window, keys, stop, clock):
        found += [row["track_id"] for message in batch if (row := rows.row(message))]
        assert time.monotonic() < deadline
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bus(clock: Clock) -> MemoryBus:
    """Tracks 0 to 9, one a second, every third of another camera."""
    bus = MemoryBus(clock=clock)
    for number in range(10):
        clock.us = number * SECOND_US
        fill(bus, [track(number, "yard" if number % 3 == 0 else "gate")])
    clock.us = 10 * SECOND_US
    return bus


def test_a_window_of_the_past_ends_by_itself(bus: MemoryBus, clock: Clock) -> None:
    assert numbers(bus, Window(OLDEST, 10 * SECOND_US), clock) == list(range(10))
    assert numbers(bus, Window(OLDEST, 4 * SECOND_US), clock) == [0, 1, 2, 3]
    assert numbers(bus, Window(Start("time", 3 * SECOND_US), 5 * SECOND_US), clock) == [3, 4]
    assert numbers(bus, Window(Start("offset", 8), 10 * SECOND_US), clock) == [8, 9]


def test_only_the_cameras_that_were_asked_for(bus: MemoryBus, clock: Clock) -> None:
    assert numbers(bus, Window(OLDEST, 10 * SECOND_US), clock, ("yard",)) == [0, 3, 6, 9]
    assert numbers(bus, Window(OLDEST, 10 * SECOND_US), clock, ("nobody",)) == []


def test_a_span_counts_from_the_first_record_of_the_camera(bus: MemoryBus, clock: Clock) -> None:
    assert numbers(bus, Window(OLDEST, span_us=4 * SECOND_US), clock, ("gate",)) == [1, 2, 4]


def test_a_busy_topic_does_not_keep_a_finished_window_open(bus: MemoryBus, clock: Clock) -> None:
    """Records go on coming, all of them past the end."""
    reader = bus.reader(METADATA_TRACKS, OLDEST)
    rows = RowReader(METADATA_TRACKS)
    found = []
    for turn, batch in enumerate(read(reader, Window(OLDEST, 5 * SECOND_US), (), threading.Event(), clock)):
        found += [row["track_id"] for message in batch if (row := rows.row(message))]
        fill(bus, [track(100 + turn)])
        assert turn < 50
    assert found == [0, 1, 2, 3, 4]


def test_a_window_that_reaches_into_the_future_waits_for_its_end(bus: MemoryBus, clock: Clock) -> None:
    window = Window(Start("newest"), span_us=2 * SECOND_US)
    batches = read(bus.reader(METADATA_TRACKS, window.start), window, (), threading.Event(), clock)
    assert next(batches) == []
    fill(bus, [track(10)])
    assert len(next(batches)) == 1
    clock.us = 12 * SECOND_US
    assert next(batches) == []
    clock.us = 13 * SECOND_US
    assert list(batches) == [[]]


def test_without_an_end_it_goes_on_until_it_is_stopped(bus: MemoryBus, clock: Clock) -> None:
    stop = threading.Event()
    batches = read(bus.reader(METADATA_TRACKS, OLDEST), Window(OLDEST), (), stop, clock)
    assert len(next(batches)) == 10
    assert next(batches) == []
    stop.set()
    assert list(batches) == []
