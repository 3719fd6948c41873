"""What a member of a group is told when partitions come and go, and what it keeps."""

import time
from collections.abc import Callable, Collection, Sequence

import pytest

from services.bus.interface import Bus, Committable, Consumer, Message, Position, TopicPartition
from services.bus.topics import Topic
from tests.support.buses import (
    CAMERAS,
    PARTITIONS,
    PATIENCE_S,
    commit_all,
    numbers_of,
    publish,
    read,
    wait_for_share,
)


class Journal:
    """A listener that notes what it is told, and commits what its owner says is finished."""

    def __init__(self) -> None:
        self.events: list[tuple[str, frozenset[TopicPartition]]] = []
        self.seen: list[frozenset[TopicPartition]] = []
        self.finished: dict[TopicPartition, Committable] = {}
        self.consumer: Consumer | None = None

    def settle(self, partitions: Collection[TopicPartition]) -> None:
        self._note("settle", partitions)
        assert self.consumer is not None
        self.consumer.commit({source: self.finished[source] for source in partitions if source in self.finished})

    def release(self, partitions: Collection[TopicPartition]) -> None:
        self._note("release", partitions)

    def _note(self, verb: str, partitions: Collection[TopicPartition]) -> None:
        assert self.consumer is not None
        self.events.append((verb, frozenset(partitions)))
        self.seen.append(self.consumer.assignment())


def journalled(bus: Bus, topic: Topic) -> tuple[Consumer, Journal]:
    journal = Journal()
    journal.consumer = bus.consumer("g", [topic], journal)
    return journal.consumer, journal


def poll_until(members: Sequence[Consumer], done: Callable[[], bool]) -> list[list[Message]]:
    """Polls the members in turn until `done`; returns what each got."""
    got: list[list[Message]] = [[] for _ in members]
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, "the group never came to rest"
        for member, received in zip(members, got, strict=True):
            received += member.poll(0.02)
    return got


def shared(members: Sequence[Consumer]) -> bool:
    shares = [member.assignment() for member in members]
    return all(shares) and sum(map(len, shares)) == len(frozenset().union(*shares)) == PARTITIONS


def finished(messages: Sequence[Message]) -> dict[TopicPartition, Committable]:
    last: dict[TopicPartition, Position] = {}
    for message in messages:
        last[message.position.source] = message.position
    return {source: Committable.after(position) for source, position in last.items()}


def test_a_member_is_asked_to_settle_before_it_is_told_to_release(bus: Bus, topic: Topic) -> None:
    first, journal = journalled(bus, topic)
    wait_for_share([first], PARTITIONS)
    assert journal.events == [], "nothing was taken from it yet"
    second = bus.consumer("g", [topic])
    deadline = time.monotonic() + PATIENCE_S
    while not shared([first, second]) and time.monotonic() < deadline:
        first.poll(0.02)
        assert first.rebalancing == ([verb for verb, _ in journal.events] == ["settle"])
        second.poll(0.02)
    assert not second.rebalancing
    assert [verb for verb, _ in journal.events] == ["settle", "release"]
    (_, settled), (_, released) = journal.events
    assert released == second.assignment()
    assert released <= settled
    before, after = journal.seen
    assert len(before) == PARTITIONS, "while it settles the partitions are still its own"
    assert after == first.assignment() == before - released


def test_what_is_committed_while_settling_is_not_delivered_again(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(60))
    first, journal = journalled(bus, topic)
    messages = read(first, 60)
    journal.finished = finished(messages)
    second = bus.consumer("g", [topic])
    again = poll_until([first, second], lambda: shared([first, second]))
    assert not any([*again, read(first, 1, patience_s=0.3), read(second, 1, patience_s=0.3)])
    moved = next(iter(second.assignment()))
    assert second.committed(moved) == journal.finished[moved]


def test_only_unfinished_work_of_a_partition_that_moves_is_delivered_again(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(60))
    first = bus.consumer("g", [topic])
    messages = read(first, 60)
    halves = {source: [m for m in messages if m.position.source == source] for source in first.assignment()}
    commit_all(first, [message for half in halves.values() for message in half[: len(half) // 2]])
    second = bus.consumer("g", [topic])
    received = [message for got in poll_until([first, second], lambda: shared([first, second])) for message in got]
    publish(bus, topic, range(60, 120))
    again = numbers_of(
        [message for source in second.assignment() for message in halves[source][len(halves[source]) // 2 :]]
    )
    assert again, "the test needs unfinished work in a partition that moves"
    deadline = time.monotonic() + PATIENCE_S
    while len(received) < 60 + len(again) and time.monotonic() < deadline:
        received += [*first.poll(0.05), *second.poll(0.05)]
    received += [*first.poll(0.1), *second.poll(0.1)]
    assert sorted(numbers_of(received)) == sorted([*again, *range(60, 120)])


def test_a_partition_that_stays_stays_paused(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(60))
    first = bus.consumer("g", [topic])
    commit_all(first, read(first, 60))
    first.pause(first.assignment())
    second = bus.consumer("g", [topic])
    wait_for_share([first, second], PARTITIONS)
    publish(bus, topic, range(60, 120))
    assert not read(first, 1, patience_s=0.5)
    first.resume(first.assignment())
    assert read(first, 1)


def test_a_partition_that_comes_back_starts_at_the_committed_offset(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(60))
    first, journal = journalled(bus, topic)
    uncommitted = read(first, 60)
    first.pause(first.assignment())
    second = bus.consumer("g", [topic])
    poll_until([first, second], lambda: shared([first, second]))
    gone = second.assignment()
    second.close()
    back = poll_until([first], lambda: len(first.assignment()) == PARTITIONS)[0]
    expected = [message.position for message in uncommitted if message.position.source in gone]
    back += read(first, len(expected) - len(back))
    assert sorted(message.position for message in back) == sorted(expected)
    assert [verb for verb, _ in journal.events].count("release") == 1


def test_pausing_holds_back_what_is_in_hand_already(bus: Bus, topic: Topic) -> None:
    publish(bus, topic, range(40), keys=["camera-1"])
    consumer = bus.consumer("g", [topic])
    first = consumer.poll(PATIENCE_S, max_records=3)
    (place,) = {message.position.source for message in first}
    consumer.pause([place])
    assert not read(consumer, 1, patience_s=0.3)
    consumer.resume([place])
    assert numbers_of([*first, *read(consumer, 40 - len(first))]) == list(range(40))


@pytest.mark.parametrize("members", [3])
def test_scaling_up_and_down_loses_and_repeats_nothing_that_was_committed(bus: Bus, topic: Topic, members: int) -> None:
    group = [bus.consumer("g", [topic])]
    received: list[Message] = []
    for step in range(2 * members - 1):
        publish(bus, topic, range(step * 40, step * 40 + 40))
        deadline = time.monotonic() + PATIENCE_S
        while not (shared(group) and len(received) >= (step + 1) * 40) and time.monotonic() < deadline:
            for member in group:
                messages = member.poll(0.02)
                commit_all(member, messages)
                received += messages
        if step < members - 1:
            group.append(bus.consumer("g", [topic]))
        elif len(group) > 1:
            group.pop(0).close()
    assert sorted(numbers_of(received)) == list(range(40 * (2 * members - 1)))


def test_a_member_knows_which_keys_are_its_own(bus: Bus, topic: Topic) -> None:
    members = [bus.consumer("g", [topic]) for _ in range(2)]
    wait_for_share(members, PARTITIONS)
    assert all(member.holds for member in members)
    publish(bus, topic, range(len(CAMERAS)))
    for member in members:
        mine = {camera for camera in CAMERAS if member.partition_of(topic, camera) in numbers(member)}
        messages = read(member, len(mine))
        assert {message.record.key for message in messages} == mine
    assert {frozenset(numbers(member)) for member in members} == {frozenset(range(2)), frozenset(range(2, 4))}


def numbers(member: Consumer) -> set[int]:
    return {source.partition for source in member.assignment()}
