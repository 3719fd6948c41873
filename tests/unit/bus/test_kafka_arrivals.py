"""The library is asked when a fetch has ended, and now and then; not each time."""

import threading
import time
from collections import deque
from typing import Any

import pytest
from kafka.future import Future

from services.bus import kafka_arrivals
from services.bus.kafka_arrivals import Arrivals


class Library:
    """The library's consumer, as far as fetches go."""

    def __init__(self) -> None:
        self._fetcher = self
        self._fetch_futures: deque[Any] = deque()


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def arrivals(library: Library, monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    monkeypatch.setattr(kafka_arrivals, "_LOOK_EVERY_S", 0.3)
    return Arrivals(library)


def waited(arrivals: Arrivals, timeout_s: float) -> tuple[bool, float]:
    began = time.monotonic()
    return arrivals.wait(timeout_s), time.monotonic() - began


def test_without_a_fetch_only_the_library_knows(arrivals: Arrivals) -> None:
    assert not arrivals.under_way
    assert waited(arrivals, 1.0) < (True, 0.1)
    arrivals.asked(more=False)
    assert arrivals.wait(1.0)


def test_a_fetch_under_way_is_waited_for(arrivals: Arrivals, library: Library) -> None:
    library._fetch_futures.append(fetch := Future())
    arrivals.asked(more=False)
    came, took = waited(arrivals, 0.05)
    assert not came
    assert took >= 0.04
    threading.Timer(0.02, fetch.success, (None,)).start()
    came, took = waited(arrivals, 5.0)
    assert came
    assert took < 0.2


def test_a_fetch_that_ended_before_it_was_watched_counts(arrivals: Arrivals, library: Library) -> None:
    library._fetch_futures.extend((Future(), Future().success(None)))
    arrivals.asked(more=False)
    assert arrivals.wait(0.0)
    arrivals.asked(more=False)
    assert not arrivals.wait(0.0), "once"


def test_one_of_several_fetches_is_enough(arrivals: Arrivals, library: Library) -> None:
    library._fetch_futures.extend((slow := Future(), fast := Future()))
    arrivals.asked(more=False)
    fast.failure(RuntimeError())
    assert arrivals.wait(0.0)
    library._fetch_futures = deque((slow,))
    arrivals.asked(more=False)
    assert not arrivals.wait(0.0)


def test_the_library_is_asked_now_and_then_for_the_groups_sake(arrivals: Arrivals, library: Library) -> None:
    library._fetch_futures.append(Future())
    arrivals.asked(more=False)
    came, took = waited(arrivals, 5.0)
    assert came
    assert 0.25 < took < 2.0


def test_what_the_library_has_left_is_asked_for_at_once(arrivals: Arrivals, library: Library) -> None:
    library._fetch_futures.append(Future())
    arrivals.asked(more=True)
    assert waited(arrivals, 5.0) < (True, 0.1)
