"""A chain of stages: order, backpressure, and no commit ahead of what its last stage sent."""

import random
import threading
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.interface import InvalidMessage, Message, Position, Record, Start, TopicPartition
from services.bus.memory import MemoryBus
from services.bus.topics import (
    DETECTIONS,
    FRAMES_DETECT,
    REDACTIONS,
    VIDEO_REDACTED,
    VIDEO_RENDERED,
    VIDEO_SOURCE,
    Topic,
    dead_letters_of,
)
from services.runtime import metrics
from services.runtime.chain import Chain
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Backpressure, Emission, Stage
from tests.support.dying import DyingBus, Killed

KEYS = ("gate", "hall", "yard")  # in both of two partitions


class Passer:
    """Passes each message on, some messages late, never out of a key's order.

    Like a renderer it names an input as done later than it sends what it made of it, and like an encoder it knows
    from its own output what it sent before.
    """

    finished = False

    def __init__(
        self, name: str, inputs: Sequence[Topic], outputs: Sequence[Topic], pace: random.Random, room: int = 5
    ) -> None:
        self.name, self.inputs, self.outputs = name, tuple(inputs), tuple(outputs)
        self.has_threads = True  # it hands out some results when it is not called for them
        self.remembers: Topic | None = self.outputs[-1] if name == "encoder" else None
        self.pace, self.room = pace, room
        self.held: deque[Message] = deque()
        self.owed: deque[Position] = deque()
        self.sent: dict[str, int] = defaultdict(lambda: -1)
        self.closed = False
        self.shown = 0

    def remember(self, message: Message) -> None:
        self.shown += 1
        self.sent[message.record.key] = max(self.sent[message.record.key], int(message.record.value))

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        self.held = deque(message for message in self.held if message.position.source not in partitions)
        self.owed = deque(position for position in self.owed if position.source not in partitions)

    def submit(self, message: Message) -> None:
        if len(self.held) >= self.room:
            raise Backpressure
        if message.record.value == b"bad":
            raise InvalidMessage("bad")
        self.held.append(message)

    def completed(self) -> Sequence[Emission]:
        if self.pace.random() < 0.4:
            return ()
        return list(self.emitted(self.pace.randint(0, 3)))

    def emitted(self, most: int) -> Iterator[Emission]:
        for _ in range(min(most, len(self.held))):
            message = self.held.popleft()
            number, key = int(message.record.value), message.record.key
            records = [Record(topic, key, message.record.value) for topic in self.outputs]
            if self.remembers and number <= self.sent[key]:
                records = []
            self.sent[key] = max(self.sent[key], number)
            self.owed.append(message.position)
            keep = self.pace.randint(0, 3)
            done = [self.owed.popleft() for _ in range(len(self.owed) - keep)]
            yield Emission(records, done)

    def close(self) -> None:
        self.closed = True

    def join(self, timeout_s: float) -> Sequence[Emission]:
        assert self.closed
        out = list(self.emitted(len(self.held)))
        done, self.owed = list(self.owed), deque()
        return [*out, Emission((), done)]


def renderer(pace: random.Random) -> Passer:
    return Passer("renderer", [VIDEO_SOURCE, REDACTIONS], [VIDEO_RENDERED], pace)


def encoder(pace: random.Random) -> Passer:
    return Passer("encoder", [VIDEO_RENDERED], [VIDEO_REDACTED], pace)


def tracker(pace: random.Random) -> Passer:
    return Passer("tracker", [DETECTIONS], [REDACTIONS], pace)


def message(topic: Topic, key: str, number: int, partition: int = 0, offset: int | None = None) -> Message:
    position = Position(TopicPartition(topic.name, partition), number if offset is None else offset)
    return Message(Record(topic, key, b"%d" % number), position, 0)


def test_names_topics_and_memory_are_those_of_both() -> None:
    pace = random.Random(1)
    pair = Chain(renderer(pace), encoder(pace))
    assert (pair.name, pair.inputs, pair.outputs) == ("renderer-encoder", (VIDEO_SOURCE, REDACTIONS), (VIDEO_REDACTED,))
    assert pair.remembers == VIDEO_REDACTED
    three = Chain(tracker(pace), pair)
    assert three.name == "tracker-renderer-encoder"
    assert three.inputs == (DETECTIONS, VIDEO_SOURCE)
    assert three.outputs == (REDACTIONS, VIDEO_REDACTED), "the vault reads redactions too"
    with pytest.raises(ValueError, match="encoder reads nothing of what tracker writes"):
        Chain(tracker(pace), encoder(pace))
    both = Passer("b", [FRAMES_DETECT, DETECTIONS], [REDACTIONS], pace)
    with pytest.raises(ValueError, match="read the same topic"):
        Chain(Passer("a", [FRAMES_DETECT], [DETECTIONS], pace), both)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), kills=st.lists(st.integers(1, 60), max_size=5), nested=st.booleans())
def test_i6_killed_anywhere_nothing_is_lost_doubled_or_out_of_order(seed: int, kills: list[int], nested: bool) -> None:
    first_topic = DETECTIONS if nested else VIDEO_SOURCE
    bus = MemoryBus(2, {first_topic: ("other",), VIDEO_REDACTED: ("never commits",)})
    producer = bus.producer()
    for number in range(15):
        for key in KEYS:
            producer.publish(Record(first_topic, key, b"%d" % number))
    pace = random.Random(seed)
    for uses in [*kills, 500]:
        stage: Stage = Chain(renderer(pace), encoder(pace))
        if nested:
            stage = Chain(tracker(pace), stage)
        settings_ = RunnerSettings(commit_every_s=0, poll_records=4, idle_min_s=1e-6, idle_max_s=1e-6)
        with pytest.raises(Killed):
            Runner(stage, DyingBus(bus, uses), settings_).run(threading.Event())
    by_key = defaultdict(list)
    reader = bus.reader(VIDEO_REDACTED, Start("oldest"))
    while not reader.caught_up:
        for sent in reader.poll(0):
            by_key[sent.record.key].append(int(sent.record.value))
    assert by_key == {key: list(range(15)) for key in KEYS}


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_i6_an_input_is_done_only_behind_all_that_was_made_of_it(seed: int) -> None:
    pace = random.Random(seed)
    chain = Chain(renderer(pace), encoder(pace))
    waiting = deque(message(VIDEO_SOURCE, KEYS[n % 2], n, n % 2, n // 2) for n in range(30))
    sent: set[int] = set()
    done: list[Position] = []
    emissions: list[Emission] = []
    for _ in range(300):
        if waiting and pace.random() < 0.6:
            try:
                chain.submit(waiting[0])
                waiting.popleft()
            except Backpressure:
                pass
        emissions = list(chain.completed())
        if not waiting and pace.random() < 0.02:
            break
        _check(emissions, sent, done)
    _check(emissions, sent, done)
    while waiting:
        _check(chain.completed(), sent, done)
        try:
            chain.submit(waiting[0])
            waiting.popleft()
        except Backpressure:
            pass
    chain.close()
    _check(chain.join(5), sent, done)
    assert sent == set(range(30))
    assert sorted(done) == [Position(TopicPartition("video.source", p), n) for p in (0, 1) for n in range(15)]


def _check(emissions: Sequence[Emission], sent: set[int], done: list[Position]) -> None:
    for emission in emissions:
        sent.update(int(record.value) for record in emission.records)
        for position in emission.done:
            assert position.offset * 2 + position.source.partition in sent
            assert position not in done
            done.append(position)


def test_pictures_pass_by_reference_and_i7_what_waits_between_is_bounded() -> None:
    picture = np.zeros((6, 8), np.uint8)
    taken: list[Message] = []

    class Source(Passer):
        def completed(self) -> Sequence[Emission]:
            return [Emission([Record(VIDEO_RENDERED, "gate", b"1", picture)])]

    class Slow(Passer):
        def submit(self, message: Message) -> None:
            if self.room == 0:
                raise Backpressure
            taken.append(message)

    pace = random.Random(1)
    slow = Slow("encoder", [VIDEO_RENDERED], [VIDEO_REDACTED], pace, room=0)
    source = Source("renderer", [VIDEO_SOURCE], [VIDEO_RENDERED], pace)
    chain = Chain(source, slow, limit=200, clock=lambda: 7)
    for _ in range(50):
        chain.completed()
    slow.room = 1
    chain.completed()
    assert len(taken) == 5, "four of 49 bytes are under 200, with the fifth it is full"
    assert all(one.record.attachment is picture for one in taken)
    assert [one.position.source for one in taken] == [TopicPartition("video.rendered", 0)] * 5
    assert [one.position.offset for one in taken] == [0, 1, 2, 3, 4]
    assert taken[0].timestamp_us == 7


def test_what_the_second_stage_refuses_is_a_dead_letter_and_holds_up_nothing() -> None:
    class Spoiler(Passer):
        def emitted(self, most: int) -> Iterator[Emission]:
            for emission in super().emitted(most):
                records = [Record(r.topic, r.key, b"bad" if r.value == b"1" else r.value) for r in emission.records]
                yield Emission(records, emission.done)

    pace = random.Random(3)
    chain = Chain(Spoiler("renderer", [VIDEO_SOURCE], [VIDEO_RENDERED], pace), encoder(pace))
    counted = metrics.DEAD.labels("encoder", VIDEO_RENDERED.name)
    before = counted._value.get()
    for number in range(4):
        chain.submit(message(VIDEO_SOURCE, "gate", number))
    emissions = [emission for _ in range(50) for emission in chain.completed()]
    chain.close()
    emissions += chain.join(5)
    records = [record for emission in emissions for record in emission.records]
    assert [r.topic for r in records if r.topic != VIDEO_REDACTED] == [dead_letters_of(VIDEO_RENDERED)]
    assert counted._value.get() == before + 1
    assert sorted(int(r.value) for r in records if r.topic == VIDEO_REDACTED) == [0, 2, 3]
    assert sorted(position.offset for emission in emissions for position in emission.done) == [0, 1, 2, 3]


def test_partitions_that_went_are_forgotten_in_both_and_between() -> None:
    pace = random.Random(5)
    first, second = renderer(pace), encoder(pace)
    second.room = 2
    chain = Chain(first, second)
    for number in range(5):
        chain.submit(message(VIDEO_SOURCE, KEYS[0], number, partition=0))
    list(chain._hand_over(list(first.emitted(5))))
    for number in range(3):
        chain.submit(message(VIDEO_SOURCE, KEYS[1], 10 + number, partition=1, offset=number))
    assert chain.completed() is not None
    gone = [TopicPartition(topic.name, 0) for topic in chain.inputs]
    chain.forget(gone)
    assert {m.record.key for m in (*first.held, *second.held)} <= {KEYS[1]}
    chain.close()
    emissions = [*chain.join(5)]
    assert {record.key for emission in emissions for record in emission.records} == {KEYS[1]}
    assert [p.offset for e in emissions for p in e.done] == [0, 1, 2]
    assert {p.source.partition for e in emissions for p in e.done} == {1}


def test_what_was_sent_is_shown_to_the_stage_that_sent_it() -> None:
    pace = random.Random(7)
    pair = (tracker(pace), encoder(pace))
    middle = renderer(pace)
    chain = Chain(pair[0], Chain(middle, pair[1]))
    chain.remember(message(VIDEO_REDACTED, "gate", 9))
    assert (pair[0].shown, middle.shown, pair[1].shown) == (0, 0, 1)
