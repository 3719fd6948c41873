"""Lag in seconds: never too low, and nothing of the past where nothing waits."""

import pytest
from prometheus_client import REGISTRY

from services.bus.clock import now_us
from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.memory import MemoryBus
from services.bus.topics import DETECTIONS
from services.runtime.lag import Lag
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from tests.unit.runtime.test_runner import READERS, Copier, feed

HERE, THERE = TopicPartition("detections", 0), TopicPartition("detections", 1)
SECOND = 1_000_000


def message(source: TopicPartition, at_s: int, offset: int = 0) -> Message:
    return Message(Record(DETECTIONS, "gate", b""), Position(source, offset), at_s * SECOND)


def test_what_waits_is_as_old_as_what_was_taken_before_it() -> None:
    lag = Lag()
    lag.took(message(HERE, 90))
    assert lag.look({HERE: 7}, {}, 100 * SECOND) == {"detections": 10}
    lag.took(message(HERE, 97))
    assert lag.look({HERE: 3}, {}, 100 * SECOND) == {"detections": 3}


def test_a_stage_that_takes_nothing_gets_later_and_later() -> None:
    lag = Lag()
    lag.look({HERE: 0}, {}, 100 * SECOND)
    assert lag.look({HERE: 5}, {}, 101 * SECOND) == {"detections": 1}
    assert lag.look({HERE: 900}, {}, 160 * SECOND) == {"detections": 60}


def test_a_silent_camera_that_speaks_again_is_not_late() -> None:
    lag = Lag()
    lag.took(message(HERE, 100))
    for at_s in (101, 3600):
        assert lag.look({HERE: 0}, {}, at_s * SECOND) == {"detections": 0}
    assert lag.look({HERE: 1}, {}, 3601 * SECOND) == {"detections": 1}


def test_the_worst_partition_counts_and_those_that_went_do_not() -> None:
    lag = Lag()
    lag.took(message(HERE, 90))
    lag.took(message(THERE, 60))
    assert lag.look({HERE: 1, THERE: 1}, {}, 100 * SECOND) == {"detections": 40}
    assert lag.look({HERE: 1}, {}, 100 * SECOND) == {"detections": 10}
    assert lag.look({THERE: 1}, {}, 100 * SECOND) == {"detections": 0}, "it has just come, and nothing is known of it"


def test_what_the_stage_did_not_take_waits() -> None:
    lag = Lag()
    lag.took(message(HERE, 70, 1))
    lag.took(message(HERE, 80, 2))
    assert lag.look({HERE: 0}, {HERE: message(HERE, 70, 1)}, 100 * SECOND) == {"detections": 30}


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"veil_runner_lag_{name}", {"stage": "tracker", "topic": "detections"})


@pytest.mark.parametrize("room", [0, 1000], ids=["a stage that takes nothing", "a stage that keeps up"])
def test_a_runner_says_how_late_it_is(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = MemoryBus(groups=READERS)
    feed(bus, 40)
    runner = Runner(Copier(room=room), bus, RunnerSettings(commit_every_s=0))
    monkeypatch.setattr("services.runtime.runner.now_us", lambda: now_us() + 50 * SECOND)
    for _ in range(5):
        runner._turn(0.001)
    seconds = gauge("seconds")
    assert seconds is not None
    assert (seconds >= 50) == (room == 0)


def test_partitions_that_went_leave_no_lag_behind() -> None:
    bus = MemoryBus(groups=READERS)
    feed(bus, 200)
    runner = Runner(Copier(room=0), bus, RunnerSettings(commit_every_s=0))
    runner._turn(0.001)
    assert gauge("messages")
    runner._note_lag({})
    assert (gauge("messages"), gauge("seconds")) == (0, 0)
