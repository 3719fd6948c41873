"""What a consumer makes of the library's rebalances and errors, without a broker."""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import kafka
import pytest
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError, UnknownBrokerIdError
from kafka.future import Future
from kafka.structs import MemberState

from services.bus import kafka_consumer
from services.bus.interface import BusClosed, BusLost, Committable, Consumer, TopicPartition
from services.bus.kafka_consumer import KafkaBusConsumer, fetch_options
from services.bus.kafka_rebalance import Interrupter, Join, RebalanceStep, Step
from services.bus.kafka_settings import KafkaSettings
from tests.support.buses import topic_named

TOPIC = topic_named("t")
ZERO, ONE, TWO = (TopicPartition("t", number) for number in range(3))


class Found(NamedTuple):
    """A record as the library gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None = b"camera-1"
    value: bytes | None = b"x"
    timestamp: int = 7


class Group(NamedTuple):
    """The library's view of its membership."""

    member_id: str
    generation_id: int
    state: MemberState = MemberState.STABLE


Round = Callable[["Library"], dict[Any, list[Found]]]


class Library:
    """The library's consumer: each poll plays the next round of the script."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.script: deque[Round] = deque()
        self.assigned: set[kafka.TopicPartition] = set()
        self.paused_: set[kafka.TopicPartition] = set()
        self.seeks: list[tuple[int, int | None]] = []
        self.offsets: dict[kafka.TopicPartition, kafka.OffsetAndMetadata] = {}
        self.committed_now: list[dict[int, int]] = []
        self.group = Group("", -1)
        self.rejoins = 0
        self.asked: list[int] = []
        self.joining: Future | None = None
        self._coordinator = self._net = self._fetcher = self
        self.config = {"group_id": "g", "session_timeout_ms": 10_000, "heartbeat_interval_ms": 500}
        self._fetch_futures: list[Any] = []

    def subscribe(self, topics: Sequence[str], listener: Interrupter) -> None:
        self.listener = listener

    def poll(self, timeout_ms: int, max_records: int) -> dict[Any, list[Found]]:
        self.asked.append(max_records)
        return self.script.popleft()(self) if self.script else {}

    def need_rejoin(self) -> bool:
        return self.joining is not None and not self.joining.is_done

    def ensure_active_group_async(self) -> None:
        raise AssertionError("only the loop calls it")

    def call_soon_with_future(self, _: object) -> Future | None:
        return self.joining

    def request_rejoin(self) -> None:
        self.rejoins += 1

    def group_metadata(self) -> Group:
        return self.group

    def assignment(self) -> set[kafka.TopicPartition]:
        return set(self.assigned)

    def committed(self, place: kafka.TopicPartition, metadata: bool, timeout_ms: int) -> Any:
        return self.offsets.get(place)

    def seek(self, place: kafka.TopicPartition, offset: int) -> None:
        self.seeks.append((place.partition, offset))

    def seek_to_beginning(self, place: kafka.TopicPartition) -> None:
        self.seeks.append((place.partition, None))

    def paused(self) -> set[kafka.TopicPartition]:
        return set(self.paused_)

    def pause(self, *places: kafka.TopicPartition) -> None:
        self.paused_ |= set(places)

    def resume(self, *places: kafka.TopicPartition) -> None:
        self.paused_ -= set(places)

    def commit_async(self, offsets: Any, callback: Any) -> None:
        pass

    def commit(self, offsets: dict[Any, Any], timeout_ms: int) -> None:
        self.committed_now.append({place.partition: offset.offset for place, offset in offsets.items()})

    def highwater(self, place: kafka.TopicPartition) -> int | None:
        return 10

    def position(self, place: kafka.TopicPartition, timeout_ms: int) -> int | None:
        return 4

    def close(self, autocommit: bool, timeout_ms: int) -> None:
        self.listener.on_partitions_revoked(self.assigned)


class Journal:
    """Notes what the consumer tells."""

    def __init__(self) -> None:
        self.events: list[tuple[str, frozenset[TopicPartition]]] = []
        self.consumer: Consumer | None = None

    def settle(self, partitions: Collection[TopicPartition]) -> None:
        assert self.consumer is not None
        self.events.append(("settle", frozenset(partitions)))
        self.consumer.commit({source: Committable(5) for source in partitions})

    def release(self, partitions: Collection[TopicPartition]) -> None:
        self.events.append(("release", frozenset(partitions)))


def gives(number: int, *offsets: int) -> Round:
    return lambda _: {kafka.TopicPartition("t", number): [Found("t", number, offset) for offset in offsets]}


def fails(error: Exception) -> Round:
    def play(_: Library) -> dict[Any, list[Found]]:
        raise error

    return play


def revokes(library: Library) -> dict[Any, list[Found]]:
    library.listener.on_partitions_revoked(library.assigned)
    return {}


def loses(library: Library) -> dict[Any, list[Found]]:
    library.listener.on_partitions_lost(library.assigned)
    library.assigned = set()
    return {}


def assigns(*numbers: int, member: str = "me", generation: int) -> Round:
    def play(library: Library) -> dict[Any, list[Found]]:
        library.assigned = {kafka.TopicPartition("t", number) for number in numbers}
        library.group = Group(member, generation)
        library.listener.on_partitions_assigned(library.assigned)
        return {}

    return play


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(kafka_consumer.kafka, "KafkaConsumer", lambda **options: made.options.update(options) or made)
    monkeypatch.setattr(kafka_consumer, "check_topics", lambda *_: None)
    monkeypatch.setattr(kafka_consumer, "_RETRY_S", 0.001)
    monkeypatch.setattr(kafka_consumer, "_FIRST_ANSWER_S", 0)
    return made


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def consumer(library: Library, journal: Journal) -> KafkaBusConsumer:
    journal.consumer = KafkaBusConsumer(KafkaSettings(fetch_mb=16), "g", [TOPIC], journal, lambda _: None)
    return journal.consumer


def play(library: Library, consumer: KafkaBusConsumer, *rounds: Round) -> list[tuple[int, int]]:
    """Polls until the script is played; returns partition and offset of what came."""
    library.script.extend(rounds)
    got: list[tuple[int, int]] = []
    while library.script:
        got += [(m.position.source.partition, m.position.offset) for m in consumer.poll(0)]
    return got + [(m.position.source.partition, m.position.offset) for m in consumer.poll(0)]


def test_new_partitions_start_where_the_group_stands(library: Library, consumer: KafkaBusConsumer) -> None:
    library.offsets = {kafka.TopicPartition("t", 0): kafka.OffsetAndMetadata(6, "mark", -1)}
    play(library, consumer, assigns(0, 1, generation=1))
    assert sorted(library.seeks) == [(0, 6), (1, None)]
    assert consumer.committed(ZERO) == Committable(6, "mark")
    assert consumer.committed(ONE) is None


def test_a_partition_that_comes_straight_back_goes_on(
    library: Library, consumer: KafkaBusConsumer, journal: Journal
) -> None:
    play(library, consumer, assigns(0, 1, generation=1))
    library.seeks.clear()
    got = play(library, consumer, gives(0, 1, 2), gives(1, 5), revokes, revokes, assigns(0, 2, generation=2))
    assert got == [(0, 1), (0, 2), (1, 5)]
    assert library.seeks == [(2, None)], "partition 0 is where it was"
    assert journal.events == [("settle", frozenset({ZERO, ONE})), ("release", frozenset({ONE}))]
    assert library.committed_now == [{0: 5, 1: 5}], "what was settled is committed before the group goes on"
    assert consumer.assignment() == {ZERO, TWO}
    assert library.rejoins == 1


@pytest.mark.parametrize(
    ("member", "generation"), [("me", 3), ("another", 2)], ids=["a share went by", "another membership"]
)
def test_partitions_that_someone_else_may_have_read_start_anew(
    library: Library, consumer: KafkaBusConsumer, journal: Journal, member: str, generation: int
) -> None:
    play(library, consumer, assigns(0, 1, generation=1))
    library.seeks.clear()
    play(library, consumer, revokes, revokes, assigns(0, 1, member=member, generation=generation))
    assert sorted(library.seeks) == [(0, None), (1, None)]
    assert journal.events[-1] == ("release", frozenset({ZERO, ONE}))


def test_a_member_that_was_given_up_has_nothing_to_settle(
    library: Library, consumer: KafkaBusConsumer, journal: Journal
) -> None:
    play(library, consumer, assigns(0, generation=1), gives(0, *range(100)))
    got = play(library, consumer, loses, loses)
    assert journal.events == [("release", frozenset({ZERO}))]
    assert consumer.assignment() == frozenset()
    assert len(got) < 100, "what was still in hand is another's now"
    play(library, consumer, assigns(0, member="new", generation=7))
    assert library.seeks[-1] == (0, None)
    assert len(journal.events) == 1


def test_paused_is_paused_through_a_rebalance_but_not_when_it_starts_anew(
    library: Library, consumer: KafkaBusConsumer
) -> None:
    play(library, consumer, assigns(0, 1, generation=1), gives(0, 1))
    consumer.pause([ZERO, TWO])
    assert play(library, consumer, gives(0, 2), revokes, revokes, assigns(0, generation=2)) == []
    assert play(library, consumer, revokes, revokes, assigns(0, generation=9), gives(0, 1)) == [(0, 1)]


def test_a_paused_partition_is_fetched_on_only_while_it_takes_little_room(
    library: Library, consumer: KafkaBusConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "_AHEAD_BYTES", 3)
    play(library, consumer, assigns(0, 1, generation=1))
    consumer.pause([ZERO])
    play(library, consumer, gives(0, 1, 2, 3))
    assert not library.paused_
    play(library, consumer, gives(0, 4), gives(1, 1))
    assert library.paused_ == {kafka.TopicPartition("t", 0)}
    consumer.resume([ZERO])
    assert play(library, consumer) == [(0, 1), (0, 2), (0, 3), (0, 4)]
    assert not library.paused_


def test_after_an_error_nothing_is_skipped(library: Library, consumer: KafkaBusConsumer) -> None:
    play(library, consumer, assigns(0, 1, generation=1), gives(0, 4, 5))
    library.seeks.clear()
    assert play(library, consumer, fails(UnknownBrokerIdError()), gives(0, 6)) == [(0, 6)]
    assert sorted(library.seeks) == [(0, 6), (1, None)]


def test_what_will_not_pass_is_the_end(library: Library, consumer: KafkaBusConsumer) -> None:
    library.script.append(fails(TopicAuthorizationFailedError({"t"})))
    with pytest.raises(BusLost, match="group g can't read: TopicAuthorizationFailedError"):
        consumer.poll(0)


def test_an_error_that_does_not_pass_is_the_end_after_a_while(library: Library, journal: Journal) -> None:
    settings = KafkaSettings().model_copy(update={"delivery_timeout_s": 0.05})
    consumer = KafkaBusConsumer(settings, "g", [TOPIC], None, lambda _: None)
    library.script.extend([fails(KafkaTimeoutError())] * 10_000)
    with pytest.raises(BusLost, match="KafkaTimeoutError"):
        consumer.poll(5)


def test_it_takes_little_ahead_once_it_holds_much(
    library: Library, consumer: KafkaBusConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "_AHEAD_BYTES", 50)
    play(library, consumer, assigns(0, generation=1))
    library.script.append(gives(0, *range(100)))
    consumer.poll(0, max_records=1)
    library.asked.clear()
    consumer.poll(0, max_records=1)
    assert library.asked == [1]
    assert library.options["fetch_max_bytes"] == 16 << 20
    assert library.options["client_rack"] == "", "the leader, unless a zone is set"
    assert fetch_options(KafkaSettings(rack="zone-b"))["client_rack"] == "zone-b"


def test_lag_counts_from_the_next_message_to_be_given(library: Library, consumer: KafkaBusConsumer) -> None:
    play(library, consumer, assigns(0, 1, generation=1))
    assert consumer.lag() == {ZERO: 6, ONE: 6}
    library.script.append(gives(0, 0, 1, 2))
    consumer.poll(0, max_records=1)
    assert consumer.lag() == {ZERO: 9, ONE: 6}
    consumer.poll(0)
    assert consumer.lag() == {ZERO: 7, ONE: 6}


def test_a_commit_needs_the_partition(library: Library, consumer: KafkaBusConsumer) -> None:
    play(library, consumer, assigns(0, generation=1))
    with pytest.raises(ValueError, match="not assigned"):
        consumer.commit({ZERO: Committable(1), ONE: Committable(1)})
    assert consumer.committed(ZERO) is None


def test_a_closed_consumer_refuses_work(library: Library, consumer: KafkaBusConsumer) -> None:
    play(library, consumer, assigns(0, generation=1))
    consumer.commit({ZERO: Committable(3)})
    consumer.close()
    assert library.committed_now == [{0: 3}]
    for use in (lambda: consumer.poll(0), consumer.assignment, consumer.lag, lambda: consumer.committed(ZERO)):
        with pytest.raises(BusClosed):
            use()


def test_each_step_interrupts_until_it_is_dealt_with() -> None:
    steps = Interrupter()
    steps.on_partitions_revoked(set())
    for step, verb in ((Step.REVOKED, steps.on_partitions_revoked), (Step.LOST, steps.on_partitions_lost)):
        with pytest.raises(RebalanceStep) as caught:
            verb({kafka.TopicPartition("t", 0)})
        assert caught.value.step is step
        steps.go_on()
        verb({kafka.TopicPartition("t", 0)})
        with pytest.raises(RebalanceStep):
            steps.on_partitions_assigned(set())


class Loop:
    """The library's network loop, which ends a join when the test says so."""

    def __init__(self) -> None:
        self._coordinator = self._net = self._subscription = self
        self.needs = True
        self.joins: list[Future] = []
        self.unsubscribed = False

    def need_rejoin(self) -> bool:
        return self.needs

    def ensure_active_group_async(self) -> None:
        raise AssertionError("only the loop calls it")

    def call_soon_with_future(self, _: object) -> Future:
        self.joins.append(Future())
        return self.joins[-1]

    def unsubscribe(self) -> None:
        self.unsubscribed = True


def test_a_join_outlives_the_polls_that_wait_for_it() -> None:
    loop = Loop()
    join = Join(loop)
    assert not join.ended_within(0.01)
    assert not join.ended_within(0.01)
    assert join.under_way
    assert len(loop.joins) == 1
    loop.joins[0].success(True)
    assert join.ended_within(0)
    assert not join.under_way
    loop.needs = False
    assert join.ended_within(0)
    assert len(loop.joins) == 1


def test_a_join_brings_what_the_library_raised() -> None:
    loop = Loop()
    join = Join(loop)
    join.ended_within(0)
    loop.joins[0].failure(RebalanceStep(Step.REVOKED))
    with pytest.raises(RebalanceStep):
        join.ended_within(0)
    assert not join.ended_within(0), "the next one goes on from there"
    assert len(loop.joins) == 2
    join.give_up()
    assert loop.unsubscribed


def test_nothing_is_given_while_the_group_takes_stock(library: Library, consumer: KafkaBusConsumer) -> None:
    play(library, consumer, assigns(0, generation=1))
    library.script.append(gives(0, *range(100)))
    assert len(consumer.poll(0)) == 64
    library.joining = Future()
    began = time.monotonic()
    assert list(consumer.poll(0.2)) == []
    assert 0.15 < time.monotonic() - began < 1.0
    library.joining.success(True)
    assert len(consumer.poll(0.2)) == 36
