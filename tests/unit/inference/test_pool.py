"""Several calls at once: as many as allowed, never more stuck threads than that, and no frame that waits for ever."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import FRAMES_DETECT
from services.detect.interface import Boxes, DetectorError, Image
from services.inference import InferenceSettings
from services.inference.job import FrameJob
from services.inference.pool import DetectorPool
from services.schema import pb

_RAN, _FAILED, _TIMED_OUT = pb.DetectorResult.RAN, pb.DetectorResult.FAILED, pb.DetectorResult.TIMED_OUT


class Gate:
    """A detector whose calls all wait until it is opened."""

    name, model, version = "face", "face-net", "1+abc"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.inside = 0
        self.most_inside = 0
        self.calls = 0
        self._lock = threading.Lock()

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        with self._lock:
            self.calls += 1
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.open.wait(10)
        with self._lock:
            self.inside -= 1
        return [Boxes.empty() for _ in images]


class Failing:
    """A detector that raises what it is told to."""

    name, model, version = "face", "face-net", "1+abc"

    def __init__(self, error: Exception | None, takes_s: float = 0.0) -> None:
        self.error = error
        self.takes_s = takes_s
        self.calls = 0

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        self.calls += 1
        time.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        return [Boxes.empty() for _ in images]


def _job() -> FrameJob:
    frame = pb.DetectFrame(camera_id="c", width=8, height=8, source_width=8, source_height=8, detectors=["face"])
    frame.attached = True
    record = Record(FRAMES_DETECT, "c", b"x", np.zeros((8, 8, 3), np.uint8))
    return FrameJob(Message(record, Position(TopicPartition("frames.detect", 0), 0), 0), frame, time.monotonic())


Make = Callable[..., DetectorPool]


@pytest.fixture
def make() -> Iterator[Make]:
    pools: list[DetectorPool] = []

    def build(detector: object, **settings: object) -> DetectorPool:
        pools.append(DetectorPool({"face": detector}, InferenceSettings(**settings), time.monotonic))
        return pools[-1]

    yield build
    for pool in pools:
        pool.close()
        pool.join(5)


def _statuses(pool: DetectorPool, jobs: Sequence[FrameJob], within_s: float = 5.0) -> list[int]:
    until = time.monotonic() + within_s
    while not all(job.done for job in jobs):
        assert time.monotonic() < until, f"{sum(job.done for job in jobs)} of {len(jobs)} settled"
        pool.expire()
        time.sleep(0.002)
    return [job.results["face"].status for job in jobs]


def test_a_detector_is_called_as_often_at_once_as_the_settings_say(make: Make) -> None:
    gate = Gate()
    pool = make(gate, workers=4, concurrency=3)
    jobs = [_job() for _ in range(12)]
    for job in jobs:
        pool.add(job)
    time.sleep(0.1)
    assert gate.inside == 3
    gate.open.set()
    assert set(_statuses(pool, jobs)) == {_RAN}
    assert gate.most_inside == 3


def test_i7_stuck_threads_do_not_pile_up(make: Make) -> None:
    gate = Gate()
    threads = threading.active_count()
    pool = make(gate, workers=2, concurrency=2, timeout_s=0.1)
    jobs = [_job() for _ in range(30)]
    for job in jobs:
        pool.add(job)
        time.sleep(0.01)
        pool.expire()
    assert set(_statuses(pool, jobs)) == {_TIMED_OUT}
    assert gate.calls == 2
    assert threading.active_count() <= threads + 4
    gate.open.set()
    after = _job()
    pool.add(after)
    assert _statuses(pool, [after]) == [_RAN]


def test_a_queue_behind_a_detector_that_times_out_does_not_grow_old(make: Make) -> None:
    pool = make(Failing(TimeoutError("late"), takes_s=0.1), timeout_s=0.1)
    jobs = [_job() for _ in range(40)]
    for job in jobs:
        pool.add(job)
    began = time.monotonic()
    assert set(_statuses(pool, jobs)) == {_TIMED_OUT}
    assert time.monotonic() - began < 2


def test_a_queue_behind_a_slow_detector_that_answers_waits(make: Make) -> None:
    pool = make(Failing(None, takes_s=0.02), timeout_s=0.1)
    jobs = [_job() for _ in range(20)]
    for job in jobs:
        pool.add(job)
    assert set(_statuses(pool, jobs)) == {_RAN}


def test_an_outage_is_logged_when_it_begins_and_when_it_ends(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    detector = Failing(DetectorError("gone"))
    pool = make(detector)

    def run(count: int) -> list[int]:
        jobs = [_job() for _ in range(count)]
        for job in jobs:
            pool.add(job)
        return _statuses(pool, jobs)

    assert run(5) == [_FAILED] * 5
    detector.error = None
    assert run(5) == [_RAN] * 5
    assert [record.message for record in caplog.records if record.name.endswith("pool")] == [
        "the face detector failed: gone",
        "the face detector works again",
    ]


def test_a_live_frame_that_became_too_old_is_skipped_and_the_fresh_one_behind_it_is_looked_at(make: Make) -> None:
    gate = Gate()
    pool = make(gate, live_age_s=0.3)
    now_us = time.time_ns() // 1000
    in_hand, stale, fresh, filed = _job(), _job(), _job(), _job()
    for job, age_s in ((in_hand, 0), (stale, 0.25), (fresh, -5)):
        job.frame.live = True
        job.frame.captured_us = now_us - int(age_s * 1e6)
    filed.frame.captured_us = now_us - 10**9
    for job in (in_hand, stale, fresh, filed):
        pool.add(job)
    until = time.monotonic() + 5
    while not stale.done and time.monotonic() < until:
        pool.expire()
    gate.open.set()
    while not (fresh.done and filed.done) and time.monotonic() < until:
        pool.expire()
    found = [job.results["face"].status for job in (in_hand, stale, fresh, filed)]
    assert found == [_RAN, pb.DetectorResult.SKIPPED, _RAN, _RAN]
    assert "too old" in stale.results["face"].reason


def test_a_detector_that_is_late_gets_smaller_calls_until_it_answers_in_time(make: Make) -> None:
    class Slow:
        """Needs 30 ms a picture, and is given 100."""

        name, model, version = "face", "face-net", "1+abc"

        def __init__(self) -> None:
            self.sizes: list[int] = []

        def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
            self.sizes.append(len(images))
            time.sleep(min(0.03 * len(images), timeout_s))
            if 0.03 * len(images) >= timeout_s:
                raise TimeoutError
            return [Boxes.empty() for _ in images]

    slow = Slow()
    pool = make(slow, max_batch=8, timeout_s=0.1)
    jobs = [_job() for _ in range(24)]
    for job in jobs:
        pool.add(job)
    until = time.monotonic() + 5
    while not all(job.done for job in jobs) and time.monotonic() < until:
        time.sleep(0.005)
    assert 2 in slow.sizes[1:4], slow.sizes
    assert any(job.results["face"].status == _RAN for job in jobs)


def test_a_live_frame_is_looked_at_before_a_file_that_came_earlier(make: Make) -> None:
    gate = Gate()
    pool = make(gate)
    order: list[str] = []
    jobs = {name: _job() for name in ("in hand", "file 1", "file 2", "live 1", "live 2")}
    for name, job in jobs.items():
        settle = job.settle
        job.settle = lambda result, name=name, settle=settle: (order.append(name), settle(result))[1]
        if name.startswith("live"):
            job.frame.live = True
            job.frame.captured_us = time.time_ns() // 1000 + 10**7
        pool.add(job)
        while not gate.calls:
            time.sleep(0.001)
    gate.open.set()
    until = time.monotonic() + 5
    while not all(job.done for job in jobs.values()) and time.monotonic() < until:
        time.sleep(0.005)
    assert order[1:] == ["live 1", "live 2", "file 1", "file 2"]
