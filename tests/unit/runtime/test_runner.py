"""The main loop: order, backpressure, commits, refusals, draining, crash and replay."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

import pytest

from services.bus.dead_letters import TooManyDeadLetters
from services.bus.interface import Committable, InvalidMessage, Message, Record, TopicPartition
from services.bus.memory import MemoryBus
from services.bus.topics import DETECTIONS, REDACTIONS, VIDEO_REDACTED, Topic, dead_letters_of
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Backpressure, Emission

SETTINGS = RunnerSettings(commit_every_s=0, drain_s=5)
READERS = {DETECTIONS: ("tracker",), REDACTIONS: ("test",), dead_letters_of(DETECTIONS): ("test",)}


class Copier:
    """Copies detections to redactions, at most `room` in hand; `before` may raise for a value."""

    name = "tracker"
    inputs: tuple[Topic, ...] = (DETECTIONS,)
    outputs: tuple[Topic, ...] = (REDACTIONS,)
    finished = False
    remembers: Topic | None = None
    has_threads = True  # some of what it has in hand is ready later

    def __init__(self, room: int = 1000, before: Callable[[bytes], None] = lambda _: None) -> None:
        self.room = room
        self.before = before
        self.held: deque[Message] = deque()
        self.closed = False

    def remember(self, message: Message) -> None:
        raise AssertionError(f"it asked for nothing, but was shown {message.position}")

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        self.held = deque(message for message in self.held if message.position.source not in partitions)

    def submit(self, message: Message) -> None:
        self.before(message.record.value)
        if len(self.held) >= self.room:
            raise Backpressure
        self.held.append(message)

    def completed(self) -> Sequence[Emission]:
        if not self.held:
            return ()
        message = self.held.popleft()
        return (Emission((Record(REDACTIONS, message.record.key, message.record.value),), (message.position,)),)

    def close(self) -> None:
        self.closed = True

    def join(self, timeout_s: float) -> Sequence[Emission]:
        return [emission for _ in range(len(self.held)) for emission in self.completed()]


def feed(bus: MemoryBus, count: int, start: int = 0) -> None:
    producer = bus.producer()
    for number in range(start, start + count):
        producer.publish(Record(DETECTIONS, "camera", b"%d" % number))


def read(bus: MemoryBus, count: int, topic: Topic = REDACTIONS) -> list[bytes]:
    consumer = bus.consumer("test", (topic,))
    values: list[bytes] = []
    deadline = time.monotonic() + 5
    while len(values) < count and time.monotonic() < deadline:
        messages = consumer.poll(0.05)
        values += [message.record.value for message in messages]
    consumer.close()
    return values


class Running:
    """A runner in a thread; leaving the block stops it and raises what it died of."""

    def __init__(self, bus: MemoryBus, stage: Copier) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.runner = Runner(stage, bus, SETTINGS)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.runner.run(self.stop)
        except Exception as error:
            self.error = error

    def __enter__(self) -> "Running":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_everything_comes_out_in_order_and_is_committed() -> None:
    bus = MemoryBus(groups=READERS)
    feed(bus, 100)
    with Running(bus, Copier()):
        assert read(bus, 100) == numbers(100)
    assert bus.consumer("tracker", (DETECTIONS,)).poll(0) == []


def test_i7_backpressure_keeps_order_and_loses_nothing() -> None:
    bus = MemoryBus(groups=READERS)
    feed(bus, 300)
    with Running(bus, Copier(room=2)):
        assert read(bus, 300) == numbers(300)


def test_i7_a_full_output_topic_holds_the_stage_and_recovers() -> None:
    bus = MemoryBus(groups=READERS, limits={REDACTIONS: 16})
    feed(bus, 100)
    stage = Copier(room=10)
    with Running(bus, stage) as running:
        time.sleep(0.1)
        assert running.thread.is_alive()
        assert len(stage.held) <= 10
        consumer = bus.consumer("test", (REDACTIONS,))
        values: list[bytes] = []
        deadline = time.monotonic() + 10
        while len(values) < 100 and time.monotonic() < deadline:
            for message in consumer.poll(0.05):
                values.append(message.record.value)
                consumer.commit({message.position.source: Committable.after(message.position)})
        assert values == numbers(100)


def test_a_refused_message_becomes_a_dead_letter_without_payload() -> None:
    bus = MemoryBus(groups=READERS)
    feed(bus, 100)

    def refuse(value: bytes) -> None:
        if value == b"41":
            raise InvalidMessage("unreadable")

    with Running(bus, Copier(before=refuse)):
        assert read(bus, 99) == [value for value in numbers(100) if value != b"41"]
        (letter,) = read(bus, 1, dead_letters_of(DETECTIONS))
    assert b"unreadable" in letter
    assert bus.consumer("tracker", (DETECTIONS,)).poll(0) == []


def test_too_many_refusals_stop_the_stage() -> None:
    bus = MemoryBus(groups=READERS)
    feed(bus, 500)

    def refuse(_: bytes) -> None:
        raise InvalidMessage("unreadable")

    with pytest.raises(TooManyDeadLetters), Running(bus, Copier(before=refuse)) as running:
        running.thread.join(5)


def test_i6_a_crash_replays_from_the_last_finished_message() -> None:
    bus = MemoryBus(groups=READERS)
    feed(bus, 50)

    def crash(value: bytes) -> None:
        if value == b"30":
            raise OSError("killed")

    with pytest.raises(OSError, match="killed"), Running(bus, Copier(before=crash)) as running:
        running.thread.join(5)
    with Running(bus, Copier()):
        values = read(bus, 50)
    seen = sorted(set(values), key=int)
    assert seen == numbers(50), "nothing is lost; what was not committed comes again"


def test_a_stop_drains_what_is_in_hand() -> None:
    class Holder(Copier):
        """Lets go of nothing until it is joined, as an encoder with delay does."""

        def completed(self) -> Sequence[Emission]:
            return super().completed() if self.closed else ()

    bus = MemoryBus(groups=READERS)
    stage = Holder()
    feed(bus, 20)
    with Running(bus, stage):
        deadline = time.monotonic() + 5
        while len(stage.held) < 20 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert read(bus, 20) == numbers(20)
    assert bus.consumer("tracker", (DETECTIONS,)).poll(0) == []


def test_a_sink_that_is_finished_ends_its_runner() -> None:
    class Sink(Copier):
        outputs: tuple[Topic, ...] = (VIDEO_REDACTED,)

        @property
        def finished(self) -> bool:  # type: ignore[override]
            return True

    runner = Runner(Sink(), MemoryBus(), SETTINGS)
    runner.run(threading.Event())
