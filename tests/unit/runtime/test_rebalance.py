"""The main loop when partitions move, and when the bus is lost: what is settled, dropped, remembered, left."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence

import pytest

from services.bus.interface import (
    Bus,
    BusFull,
    BusLost,
    Consumer,
    Message,
    Producer,
    Reader,
    RebalanceListener,
    Record,
    Start,
    TopicPartition,
)
from services.bus.memory import MemoryBus
from services.bus.topics import DETECTIONS, REDACTIONS, Topic
from services.runtime.health import Heartbeat
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Backpressure, Emission

PACE = RunnerSettings(commit_every_s=0.01, poll_records=4, idle_min_s=1e-4, idle_max_s=1e-3, drain_s=1, settle_s=0.2)
KEYS = ("gate", "yard", "hall", "door")  # two in each of two partitions


class Holder:
    """Copies detections to redactions; of each partition it keeps the newest `keep` in hand."""

    name = "tracker"
    inputs: tuple[Topic, ...] = (DETECTIONS,)
    outputs: tuple[Topic, ...] = (REDACTIONS,)
    finished = False

    has_threads = True  # some of what it has in hand is ready later

    def __init__(self, keep: int = 3, room: int = 6, remembers: Topic | None = None) -> None:
        self.keep, self.room, self.remembers = keep, room, remembers
        self.held: deque[Message] = deque()
        self.forgotten: list[TopicPartition] = []
        self.remembered: list[Message] = []
        self.ended: list[str] = []

    def remember(self, message: Message) -> None:
        assert not any(message.position.source.partition == one.position.source.partition for one in self.held)
        self.remembered.append(message)

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        self.forgotten += partitions
        self.held = deque(message for message in self.held if message.position.source not in partitions)

    def submit(self, message: Message) -> None:
        if len(self.held) >= self.room:
            raise Backpressure
        self.held.append(message)

    def completed(self) -> Sequence[Emission]:
        return [self._emission()] if len(self.held) > self.keep else []

    def close(self) -> None:
        self.ended.append("close")

    def join(self, timeout_s: float) -> Sequence[Emission]:
        self.ended.append("join")
        return [self._emission() for _ in range(len(self.held))]

    def _emission(self) -> Emission:
        message = self.held.popleft()
        return Emission((Record(REDACTIONS, message.record.key, message.record.value),), (message.position,))


class Wrapped:
    """A memory bus whose producers and consumers a test can spoil."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.made: list[Spoiled] = []
        self.readers: list[Start] = []
        self.slow_reader = False

    def producer(self) -> Producer:
        self.made.append(Spoiled(self.bus.producer()))
        return self.made[-1]  # type: ignore[return-value]

    def consumer(self, group: str, topics: Collection[Topic], listener: RebalanceListener | None = None) -> Consumer:
        self.made.append(Spoiled(self.bus.consumer(group, topics, listener)))
        return self.made[-1]  # type: ignore[return-value]

    def reader(self, topic: Topic, start: Start, partitions: Collection[int] | None = None) -> Reader:
        self.readers.append(start)
        if self.slow_reader:
            return Endless()
        return self.bus.reader(topic, start, partitions)

    def close(self) -> None:
        self.bus.close()


class Spoiled:
    """Passes on whatever is asked of it, unless a test has put something else in its place."""

    def __init__(self, inner: object) -> None:
        self.inner = inner
        self.instead: dict[str, object] = {}
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> object:
        self.asked[name] += 1
        other = self.instead.get(name)
        if isinstance(other, BaseException) and name == "acknowledged":
            raise other
        return getattr(self.inner, name) if other is None else other


class Endless:
    """A reader that never comes to the end, and never gives anything."""

    caught_up = False

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        return ()

    def close(self) -> None:
        pass


def raising(error: Exception) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise error

    return refuse


def feed(bus: MemoryBus, *numbers: int) -> None:
    producer = bus.producer()
    for number in numbers:
        for key in KEYS:
            producer.publish(Record(DETECTIONS, key, b"%d" % number))


def a_bus() -> MemoryBus:
    return MemoryBus(2, {DETECTIONS: ("tracker",), REDACTIONS: ("never commits",)})


def sent(bus: MemoryBus) -> list[tuple[str, int]]:
    reader = bus.reader(REDACTIONS, Start("oldest"))
    out: list[tuple[str, int]] = []
    while not reader.caught_up:
        out += [(message.record.key, int(message.record.value)) for message in reader.poll(0)]
    return out


class Running:
    def __init__(self, bus: Bus, stage: Holder, pace: RunnerSettings = PACE, beat: Heartbeat | None = None) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.runner = Runner(stage, bus, pace, beat)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.runner.run(self.stop)
        except BaseException as error:
            self.error = error

    def end(self) -> BaseException | None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.error


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def committed(bus: MemoryBus) -> int:
    consumer = bus.consumer("tracker", (DETECTIONS,))
    consumer.poll(0)
    offsets = [consumer.committed(TopicPartition("detections", number)) for number in (0, 1)]
    consumer.close()
    return sum(0 if offset is None else offset.next_offset for offset in offsets)


def test_i6_partitions_move_while_messages_come_and_nothing_is_lost() -> None:
    """Two runners, one of which comes and goes; the first one's stage is under backpressure all the time."""
    bus = a_bus()
    stages = [Holder()]
    running = [Running(bus, stages[0])]
    for number in range(60):
        feed(bus, number)
        if number % 20 == 5:
            stages.append(Holder())
            running.append(Running(bus, stages[-1]))
        if number % 20 == 15:
            assert running.pop().end() is None
        time.sleep(0.001)
    until(lambda: len(set(sent(bus))) >= 60 * 4 - stages[0].keep)
    assert running.pop().end() is None
    assert committed(bus) == 60 * 4
    assert stages[0].forgotten, "partitions went"
    by_key = {key: [number for one, number in sent(bus) if one == key] for key in KEYS}
    for numbers in by_key.values():
        firsts = list(dict.fromkeys(numbers))
        assert firsts == list(range(60)), "once duplicates are dropped, all are there in order"


def test_i6_what_is_finished_is_committed_before_partitions_go() -> None:
    bus = a_bus()
    feed(bus, *range(10))
    first = Running(bus, Holder(keep=2, room=100), RunnerSettings(commit_every_s=60, idle_max_s=1e-3))
    until(lambda: len(sent(bus)) == 38)
    other = bus.consumer("tracker", (DETECTIONS,))
    until(lambda: other.poll(0.01) or other.assignment())
    [source] = other.assignment()
    offset = other.committed(source)
    assert offset is not None
    assert offset.next_offset >= 18
    other.close()
    assert first.end() is None


def test_partitions_that_go_without_warning_end_the_run_only_where_something_is_under_way() -> None:
    bus = a_bus()
    stage = Holder(keep=0)
    runner = Runner(stage, bus, PACE)
    source = TopicPartition("detections", 0)
    runner.release([source])
    assert stage.forgotten == [source]
    runner._pending.append(Record(REDACTIONS, "gate", b"1"))
    with pytest.raises(BusLost, match="went to another member while"):
        runner.release([source])


def test_carried_messages_of_a_released_partition_are_dropped_and_come_again() -> None:
    bus = a_bus()
    feed(bus, *range(4))
    stage = Holder(keep=10, room=1)
    runner = Runner(stage, bus, RunnerSettings(commit_every_s=0, poll_records=4))
    for _ in range(4):
        runner._turn(0)
    assert runner._carried
    other = bus.consumer("tracker", (DETECTIONS,))
    other.poll(0)
    runner._turn(0)
    gone = stage.forgotten[0]
    other.close()
    stage.room, stage.keep = 100, 0
    for _ in range(200):
        runner._turn(0)
    assert gone not in runner._carried
    assert sorted(sent(bus)) == sorted((key, number) for key in KEYS for number in range(4))
    assert runner._ledger.unfinished == 0


def test_nothing_is_published_while_a_rebalance_is_under_way() -> None:
    bus = Wrapped(a_bus())
    feed(bus.bus, *range(4))
    runner = Runner(Holder(keep=0), bus, PACE)
    consumer = bus.made[1]
    runner._turn(0)
    consumer.instead["rebalancing"] = True
    before = len(sent(bus.bus))
    for _ in range(20):
        runner._turn(0)
    assert len(sent(bus.bus)) == before
    del consumer.instead["rebalancing"]
    for _ in range(40):
        runner._turn(0)
    assert len(sent(bus.bus)) == 16


def test_a_stage_that_remembers_is_shown_what_was_sent_since_its_first_input() -> None:
    """Of each partition, before its first message, and again after the partition was away."""
    now = [0]
    bus = MemoryBus(2, {DETECTIONS: ("tracker",), REDACTIONS: ("never commits",)}, clock=lambda: now[0])
    wrapped = Wrapped(bus)
    base = time.time_ns() // 1000
    producer = bus.producer()
    for number, (key, seconds) in enumerate([("gate", -60), ("hall", -60), ("gate", -6), ("gate", 1), ("hall", 2)]):
        now[0] = base + seconds * 1_000_000
        producer.publish(Record(REDACTIONS, key, b"%d" % number))
    now[0] = base
    feed(bus, 0)
    stage = Holder(keep=50, room=100, remembers=REDACTIONS)
    runner = Runner(stage, wrapped, PACE)
    for _ in range(5):
        runner._turn(0)
    assert sorted(int(message.record.value) for message in stage.remembered) == [2, 3, 4]
    assert wrapped.readers == [Start("time", base - 10_000_000)], "one reading serves all partitions"

    other = bus.consumer("tracker", (DETECTIONS,))
    other.poll(0)
    runner._turn(0)
    other.close()
    stage.remembered.clear()
    for _ in range(5):
        runner._turn(0)
    assert {message.position.source.partition for message in stage.remembered} == {stage.forgotten[0].partition}


def test_an_input_from_long_ago_makes_it_look_no_further_back_than_the_topic_is_kept() -> None:
    bus = MemoryBus(2, {DETECTIONS: ("tracker",)}, clock=lambda: 0)
    wrapped = Wrapped(bus)
    feed(bus, 0)
    Runner(Holder(remembers=REDACTIONS), wrapped, PACE)._turn(0)
    hours_back = (time.time() - wrapped.readers[0].value / 1e6) / 3600
    assert 5.9 < hours_back < 6.1, "detections are kept for six hours"


def test_looking_back_beats_and_gives_up_where_the_bus_is_silent() -> None:
    beats = []

    class Beat(Heartbeat):
        def beat(self, *, ready: bool = True) -> None:
            beats.append(ready)

    bus = Wrapped(a_bus())
    bus.slow_reader = True
    feed(bus.bus, 0)
    pace = RunnerSettings(recall_s=0.05, idle_max_s=0.001)
    running = Running(bus, Holder(remembers=REDACTIONS), pace, Beat())
    running.thread.join(5)
    error = running.end()
    assert isinstance(error, BusLost)
    assert str(error) == "what was sent to redactions before could not be read"
    assert beats.count(False) > 10


def test_a_record_that_is_lost_stops_the_commits_and_ends_the_run() -> None:
    bus = Wrapped(a_bus())
    stage = Holder(keep=0)
    running = Running(bus, stage)
    producer, consumer = bus.made
    feed(bus.bus, *range(3))
    until(lambda: committed_of(consumer) == 12)
    producer.instead["acknowledged"] = BusLost("a record of redactions could not be delivered")
    feed(bus.bus, *range(3, 6))
    running.thread.join(5)
    error = running.end()
    assert isinstance(error, BusLost)
    assert committed(bus.bus) == 12
    assert stage.ended[-2:] == ["close", "join"]


def committed_of(consumer: Spoiled) -> int:
    inner = consumer.inner
    assert hasattr(inner, "committed")
    offsets = [inner.committed(TopicPartition("detections", number)) for number in (0, 1)]
    return sum(0 if offset is None else offset.next_offset for offset in offsets)


def test_a_source_ends_too_when_a_record_of_it_is_lost() -> None:
    class Source(Holder):
        inputs: tuple[Topic, ...] = ()

    bus = Wrapped(a_bus())
    running = Running(bus, Source())
    bus.made[0].instead["acknowledged"] = BusLost("gone")
    running.thread.join(5)
    assert isinstance(running.end(), BusLost)


def test_a_drain_without_the_broker_is_one_sentence() -> None:
    bus = Wrapped(a_bus())
    stage = Holder(keep=0)
    running = Running(bus, stage)
    bus.made[0].instead["flush"] = raising(TimeoutError("3 records are not acknowledged"))
    feed(bus.bus, 0)
    error = running.end()
    assert isinstance(error, BusLost)
    assert str(error) == "what was published did not arrive in time"
    assert stage.ended[-2:] == ["close", "join"]
    assert bus.made[1].asked["close"] == bus.made[0].asked["close"] == 1


def test_settling_without_the_broker_gives_up_in_time() -> None:
    bus = Wrapped(a_bus())
    runner = Runner(Holder(), bus, PACE)
    runner._pending.append(Record(REDACTIONS, "gate", b"1"))
    bus.made[0].instead["publish"] = raising(BusFull("full"))
    began = time.monotonic()
    with pytest.raises(BusLost, match="could not be published before the partitions went"):
        runner.settle([])
    assert time.monotonic() - began < 2


def test_everything_is_closed_even_where_closing_fails() -> None:
    bus = Wrapped(a_bus())
    stage = Holder()
    running = Running(bus, stage)
    producer, consumer = bus.made
    consumer.instead["close"] = raising(BusLost("gone"))
    producer.instead["publish"] = raising(BusLost("gone"))
    feed(bus.bus, *range(3))
    running.thread.join(5)
    assert isinstance(running.end(), BusLost)
    assert stage.ended[-2:] == ["close", "join"]
    assert producer.asked["close"] == 1


def test_readiness_follows_the_assignment() -> None:
    bus = a_bus()
    holder = bus.consumer("tracker", (DETECTIONS,))
    second = bus.consumer("tracker", (DETECTIONS,))
    holder.poll(0)
    beat = Heartbeat()
    runner = Runner(Holder(), bus, PACE, beat)
    runner._turn(0)
    assert not beat.ready, "the third of two partitions' readers has none"
    holder.close()
    second.close()
    runner._turn(0)
    runner._turn(0)
    assert beat.ready
