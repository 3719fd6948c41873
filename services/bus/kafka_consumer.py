"""Reads partitions of a group from Kafka, every promise about rebalances kept in the thread that polls."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

import kafka
from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import IllegalStateError, KafkaError
from kafka.partitioner import murmur2
from kafka.structs import MemberState

from services.bus.interface import (
    BusClosed,
    BusLost,
    Committable,
    Message,
    Position,
    RebalanceListener,
    Record,
    TopicPartition,
)
from services.bus.kafka_arrivals import Arrivals
from services.bus.kafka_buffer import Buffer
from services.bus.kafka_client import (
    DENIED,
    BusUnreachable,
    check_topics,
    client_options,
    data_options,
    milliseconds,
    sentence,
)
from services.bus.kafka_commits import Commits
from services.bus.kafka_lease import Lease
from services.bus.kafka_rebalance import Interrupter, Join, RebalanceStep, Step
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import CAMERAS, Topic

_log = logging.getLogger(__name__)

# How soon a waiting poll notices that it was closed by another thread.
_SLICE_S = 0.25
# How long a fetch that finds nothing stays at the broker. Partitions it was sent without have to wait for its end.
_FETCH_WAIT_MS = 250
# Records taken from the library at once, so that Buffer can share them out, and bytes that it may hold for that, as
# much again of paused partitions.
_AHEAD_RECORDS = 500
_AHEAD_BYTES = 8 << 20
# A rebalance is noticed with a heartbeat; a member that does not poll this long is taken for dead.
_HEARTBEAT_MS = 500
_MAX_POLL_MS = 60_000
_CLOSE_S = 2.0
# Joining may take as long as a lease, which begins anew with the first heartbeat, sent as soon as the join is over.
_FIRST_ANSWER_S = 2.0
_RETRY_S = 0.1


class KafkaBusConsumer:
    """A member of a group.

    The library's network thread fetches and beats the group's heart; everything here runs in the caller's thread.
    Joined topics need the same partition numbers, so partitions are shared out by range, with the eager protocol: the
    library's cooperative assignors do not keep topics together, and it does not speak the group protocol of Kafka 4
    (KIP-848). Only those of `cameras`, which is read alone, stay with whom they can: one that moves means cameras that
    are opened anew. In an eager rebalance every member gives up everything for a moment; this class keeps a partition
    that comes straight back, with its position, its messages in hand and its pause.

    Attributes:
        rebalancing: True from `settle` until it is known what goes.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Collection[Topic],
        listener: RebalanceListener | None,
        forget: Callable[["KafkaBusConsumer"], None],
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = {topic.name: topic for topic in topics}
        self._listener = listener
        self._forget = forget
        self.rebalancing = False
        self._steps = Interrupter()
        try:
            self._client = kafka.KafkaConsumer(
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                partition_assignment_strategy=(_assignor(self._topics),),
                session_timeout_ms=milliseconds(settings.session_timeout_s),
                heartbeat_interval_ms=_HEARTBEAT_MS,
                max_poll_interval_ms=_MAX_POLL_MS,
                **fetch_options(settings),
            )
        except KafkaError as error:
            raise BusUnreachable(sentence(f"no consumer on Kafka at {settings.bootstrap}", error)) from error
        self._lease = self._client._coordinator.heartbeat = Lease(self._client._coordinator)
        self._client.subscribe(list(self._topics), listener=self._steps)
        self._commits = Commits(self._client, group, 2 * settings.request_timeout_s)
        self._buffer = Buffer()
        self._arrivals = Arrivals(self._client)
        self._join = Join(self._client)
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._next: dict[TopicPartition, int] = {}  # offset after the last message given, where one was given
        self._fetched: dict[TopicPartition, int] = {}  # offset after the last message taken from the library
        self._starting: set[TopicPartition] = set()
        self._membership: tuple[str, int] = ("", -1)
        self._troubled_since: float | None = None
        self._lock = threading.RLock()
        self._closed = False
        try:
            check_topics(self._client, self._topics)
        except BusLost:
            self.close()
            raise

    def poll(self, timeout_s: float, max_records: int = 64) -> Sequence[Message]:
        """Up to `max_records` messages, each partition in order; empty after `timeout_s`. Skips paused partitions.

        Raises BusLost where the broker refuses to serve this member; an outage just gives nothing.
        """
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while True:
                self._check_open()
                in_hand = self._buffer and not self._join.under_way
                self._fetch(0.0 if in_hand else max(0.0, min(deadline - time.monotonic(), _SLICE_S)))
                messages = [] if self._join.under_way else self._buffer.take(max_records)
                if messages or time.monotonic() >= deadline:
                    self._check_open()
                    for message in messages:
                        self._next[message.position.source] = message.position.offset + 1
                    return messages

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this consumer reads now."""
        self._check_open()
        return self._assigned

    @property
    def holds(self) -> bool:
        """True while nobody else can have been given these partitions; False in the midst of a rebalance too."""
        return self._lease.holds

    def partition_of(self, topic: Topic, key: str) -> int:
        """The partition of one of its topics that records of this key are in, as producers choose it."""
        self._check_open()
        partitions = self._client._cluster.partitions_for_topic(topic.name)
        return int((murmur2(key.encode()) & 0x7FFFFFFF) % len(partitions))

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Leaves these out of `poll` until `resume`; those of other members are passed over.

        They are fetched on for a while: a pause is mostly short, and a fetch that left them out would have to end
        before they could be read again.
        """
        self._check_open()
        self._buffer.paused |= self._assigned.intersection(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Takes these into `poll` again."""
        self._check_open()
        self._buffer.paused.difference_update(partitions)

    def commit(self, offsets: Mapping[TopicPartition, Committable]) -> None:
        """Takes what is finished, all or nothing, and sends it without waiting.

        What the broker does not confirm goes with the next call or poll; `close` and a rebalance wait for it. Raises
        ValueError on a partition that is not assigned or an offset that lies below the committed one, BusLost where
        committing is not allowed.
        """
        self._check_open()
        for source in offsets:
            if source not in self._assigned:
                raise ValueError(f"{source} is not assigned to this consumer")
        self._commits.add(offsets)

    def committed(self, partition: TopicPartition) -> Committable | None:
        """What the group last committed there; this consumer's own commits count from the call on. Raises BusLost."""
        self._check_open()
        if self._commits.known(partition):
            return self._commits.committed(partition)
        try:
            return self._ask_committed(partition)
        except KafkaError as error:
            raise BusLost(sentence(f"the offsets of group {self._group} can't be read", error)) from error

    def lag(self) -> Mapping[TopicPartition, int]:
        """Messages between this consumer's position and the end, as the last fetch saw it, per assigned partition."""
        self._check_open()
        return {source: self._lag(source) for source in self._assigned}

    def close(self) -> None:
        """Commits what is left, leaves the group; its partitions go to the others. Takes a few seconds at most."""
        if self._closed:
            return
        self._closed = True
        # A poll in another thread notices within a slice; one that is settling a rebalance may take longer.
        held = self._lock.acquire(timeout=_CLOSE_S)
        try:
            self._commits.finish(_CLOSE_S)
            self._steps.go_on()
            self._stop_joining()
            self._client.close(autocommit=False, timeout_ms=milliseconds(_CLOSE_S))
        finally:
            self._forget(self)
            if held:
                self._lock.release()

    def _stop_joining(self) -> None:
        """Leaves a group in the middle of a rebalance, from beside: it would wait for this member's session to end.

        The library's own farewell stands in line behind its request to join, which the broker answers only once all
        others have joined.
        """
        self._join.give_up()
        member = self._client.group_metadata()
        if member.state is not MemberState.REBALANCING or not member.member_id:
            return
        patience_ms = milliseconds(_CLOSE_S)
        options = client_options(self._settings)
        options |= {"bootstrap_timeout_ms": patience_ms, "request_timeout_ms": patience_ms}
        with suppress(KafkaError), closing(KafkaAdminClient(**options)) as admin:
            admin.remove_group_members(self._group, [MemberToRemove(member_id=member.member_id)])

    def _fetch(self, wait_s: float) -> None:
        """One round with the library, if it is time: takes part in the group, and takes records."""
        if not self._join.under_way and not self._arrivals.wait(wait_s):
            return
        taken = 0
        try:
            self._commits.send()
            if not self._join.ended_within(wait_s):
                return
            self._start()
            self._hold_back()
            room = _AHEAD_RECORDS if self._buffer.ready < _AHEAD_BYTES else 1
            patience_s = 0.0 if self._arrivals.under_way else wait_s
            for batch in self._client.poll(timeout_ms=milliseconds(patience_s), max_records=room).values():
                taken += self._keep(batch)
        except RebalanceStep as interruption:
            self._rebalance(interruption.step)
            self._arrivals.asked(more=True)
        except KafkaError as error:
            self._note_trouble(error)
            self._arrivals.asked(more=True)
        else:
            self._troubled_since = None
            self._arrivals.asked(more=taken >= room)

    def _hold_back(self) -> None:
        """Has paused partitions fetched no further once they take too much room."""
        if self._buffer.held_back > _AHEAD_BYTES:
            self._client.pause(*(_of_library(source) for source in self._buffer.paused))
        for place in self._client.paused():
            if TopicPartition(place.topic, place.partition) not in self._buffer.paused:
                self._client.resume(place)

    def _keep(self, batch: Sequence[Any]) -> int:
        source = TopicPartition(batch[0].topic, batch[0].partition)
        self._buffer.put(source, messages_of(self._topics[source.topic], source, batch))
        self._fetched[source] = batch[-1].offset + 1
        return len(batch)

    def _rebalance(self, step: Step) -> None:
        match step:
            case Step.REVOKED:
                self.rebalancing = True
                if self._listener is not None:
                    self._listener.settle(self._assigned)
                self._commits.finish(self._settings.request_timeout_s)
                self._steps.go_on()
                # Whatever made the library rejoin may have passed; it has stopped fetching and must go through with it.
                self._client._coordinator.request_rejoin()
            case Step.LOST:
                self._steps.go_on()
                self._change(frozenset(), self._assigned)
            case Step.ASSIGNED:
                self._lease.wait_for_answer(_FIRST_ANSWER_S)
                self.rebalancing = False
                assigned = frozenset(
                    TopicPartition(source.topic, source.partition) for source in self._client.assignment()
                )
                self._change(assigned, self._assigned - assigned if self._stayed() else self._assigned)

    def _stayed(self) -> bool:
        """True where no other member can have read this one's partitions since its last share was given out."""
        group = self._client.group_metadata()
        member, generation = self._membership
        self._membership = (group.member_id, group.generation_id)
        return bool(group.member_id == member and group.generation_id == generation + 1)

    def _change(self, assigned: frozenset[TopicPartition], gone: frozenset[TopicPartition]) -> None:
        self._starting = set(assigned - (self._assigned - gone))
        self._assigned = assigned
        self._buffer.drop(gone)
        self._buffer.paused -= gone
        self._commits.drop(gone)
        for source in gone:
            self._next.pop(source, None)
            self._fetched.pop(source, None)
        if gone and self._listener is not None:
            self._listener.release(gone)

    def _start(self) -> None:
        """Sets new partitions to the group's committed offsets."""
        for source in sorted(self._starting):
            if not self._commits.known(source):
                self._commits.learn(source, self._ask_committed(source))
            committed = self._commits.committed(source)
            self._seek(source, None if committed is None else committed.next_offset)
            self._starting.remove(source)

    def _ask_committed(self, source: TopicPartition) -> Committable | None:
        timeout_ms = milliseconds(self._settings.request_timeout_s)
        found = self._client.committed(_of_library(source), metadata=True, timeout_ms=timeout_ms)
        return None if found is None else Committable(found.offset, found.metadata or "")

    def _note_trouble(self, error: KafkaError) -> None:
        """Goes on after an error that may pass. Raises BusLost otherwise.

        The library may have lost records it had moved past, so it is set back to what was really taken from it.
        """
        now = time.monotonic()
        self._troubled_since = self._troubled_since or now
        if isinstance(error, DENIED) or now - self._troubled_since > self._settings.delivery_timeout_s:
            raise BusLost(sentence(f"group {self._group} can't read", error)) from error
        _log.warning("group %s reads on after %s", self._group, type(error).__name__)
        for source in self._assigned - self._starting:
            self._seek(source, self._fetched.get(source))
        time.sleep(_RETRY_S)

    def _seek(self, source: TopicPartition, offset: int | None) -> None:
        if offset is None:
            self._client.seek_to_beginning(_of_library(source))
        else:
            self._client.seek(_of_library(source), offset)
            self._fetched[source] = offset

    def _lag(self, source: TopicPartition) -> int:
        place = _of_library(source)
        position = self._buffer.first(source)
        if position is None:
            position = self._next.get(source)
        try:
            end = self._client.highwater(place)
            if position is None and source not in self._starting:
                position = self._client.position(place, timeout_ms=0)
        except IllegalStateError:
            return 0  # about to go to another member
        return 0 if end is None or position is None else max(0, end - position)

    def _check_open(self) -> None:
        if self._closed:
            raise BusClosed("the consumer is closed")


def _assignor(topics: Collection[str]) -> type[AbstractPartitionAssignor]:
    sticky: type[AbstractPartitionAssignor] = StickyPartitionAssignor
    return sticky if list(topics) == [CAMERAS.name] else RangePartitionAssignor


def fetch_options(settings: KafkaSettings) -> dict[str, Any]:
    """How records are fetched: at once when there are some, at most `fetch_mb` in one answer, from the nearest copy."""
    return data_options(settings) | {
        "client_rack": settings.rack,
        "fetch_max_wait_ms": _FETCH_WAIT_MS,
        "fetch_max_bytes": settings.fetch_mb << 20,
        "max_partition_fetch_bytes": settings.fetch_mb << 20,
    }


def messages_of(topic: Topic, source: TopicPartition, batch: Sequence[Any]) -> list[Message]:
    """The library's records as messages. A missing key or value becomes an empty one, for the stage to refuse."""
    return [
        Message(
            Record(topic, (found.key or b"").decode(errors="replace"), found.value or b""),
            Position(source, found.offset),
            found.timestamp * 1000,
        )
        for found in batch
    ]


def _of_library(source: TopicPartition) -> kafka.TopicPartition:
    return kafka.TopicPartition(source.topic, source.partition)
