"""The stage: what is durable is done, what can't be read is passed over, and nothing grows without bound."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.bus.interface import Record
from services.bus.memory import MemoryBus
from services.bus.topics import METADATA_STATS, METADATA_TRACKS
from services.insight.database import open_database
from services.insight.errors import Unavailable
from services.insight.process import make_stage
from services.insight.reading import InsightReader
from services.insight.stage import GROUP, InsightStage
from services.insight.store import InsightStore, Taken
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Backpressure
from services.schema import pb
from tests.support.insights import HOUR_US, MINUTE_US, NOON_US, message, quiet, settings_in, stats, track


class _Broken(InsightStore):
    """A store whose database is away for a while."""

    def __init__(self) -> None:
        self.failures = 1
        self.told: list[object] = []

    def take(self, told: Sequence[object]) -> Taken:
        if self.failures:
            self.failures -= 1
            raise Unavailable("The database is away.")
        self.told += told
        return Taken(len(told), 0, 0)


def test_from_the_bus_into_the_database(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    database = open_database(settings)
    bus = MemoryBus(groups={METADATA_TRACKS: (GROUP,), METADATA_STATS: (GROUP,)})
    producer = bus.producer()
    for told in [
        stats(entered=6),
        *[track(n) for n in range(6)],
        *quiet(start_us=NOON_US, end_us=NOON_US + 2 * HOUR_US),
    ]:
        topic = METADATA_STATS if isinstance(told, pb.StatsRecord) else METADATA_TRACKS
        producer.publish(Record(topic, told.camera_id, told.SerializeToString()))
    producer.publish(Record(METADATA_STATS, "gate", b"\xff no protobuf"))
    producer.flush(5)
    stage, stop = make_stage(database, settings), threading.Event()
    runner = Runner(stage, bus, RunnerSettings(commit_every_s=0))
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    reader = InsightReader(database, settings)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not reader.cameras():
        time.sleep(0.05)
    stop.set()
    thread.join(20)
    assert reader.totals({"gate": "person"}, NOON_US, NOON_US + HOUR_US) == {"gate": 6}
    consumer = bus.consumer(GROUP, stage.inputs)
    assert sum(consumer.lag().values()) == 0, "all was committed, what can't be read too"
    bus.close()


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("services.insight.stage._RETRY_S", 0.0)
    store = _Broken()
    stage = InsightStage(store, settings_in(tmp_path))
    for offset in range(3):
        stage.submit(message(stats(at_us=NOON_US + offset * MINUTE_US), offset))
    done = []
    deadline = time.monotonic() + 10
    while len(done) < 3 and time.monotonic() < deadline:
        done += [position.offset for emission in stage.completed() for position in emission.done]
        time.sleep(0.005)
    stage.close()
    stage.join(1)
    assert done == [0, 1, 2]
    assert len(store.told) == 3


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    stage = InsightStage(_Broken(), settings_in(tmp_path, waiting_max=2))
    stage.submit(message(stats()))
    stage.submit(message(stats(), 1))
    with pytest.raises(Backpressure):
        stage.submit(message(stats(), 2))
    stage.join(0)


def test_records_that_can_not_be_true_are_passed_over(tmp_path: Path) -> None:
    stage = InsightStage(_Broken(), settings_in(tmp_path))
    other = message(stats())
    wrong = [
        message(stats(at_us=2 * NOON_US)),
        message(stats(entered=2_000_000)),
        message(track(1, at_us=2 * NOON_US)),
        message(stats(zones={"x" * 65: 1})),
        message(stats(lasts_us=0)),
        type(other)(Record(METADATA_STATS, "yard", other.record.value), other.position, 0),
    ]
    for each in wrong:
        stage.submit(each)
    (emission,) = stage.completed()
    assert len(emission.done) == len(wrong)
    stage.join(0)


def test_stopping_writes_what_waits(tmp_path: Path) -> None:
    store = _Broken()
    store.failures = 0
    stage = InsightStage(store, settings_in(tmp_path, every_s=60, batch=1))
    for offset in range(3):
        stage.submit(message(stats(), offset))
    stage.close()
    done = [position.offset for emission in stage.join(10) for position in emission.done]
    assert done == [0, 1, 2]
