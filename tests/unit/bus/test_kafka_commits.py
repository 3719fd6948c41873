"""Offsets are kept until the broker confirms them, whatever it answers meanwhile."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import kafka
import pytest
from kafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    KafkaTimeoutError,
    NodeNotReadyError,
)

from services.bus.interface import BusLost, Committable, TopicPartition
from services.bus.kafka_commits import Commits

ONE, OTHER = TopicPartition("t", 1), TopicPartition("t", 2)

Sent = dict[TopicPartition, Committable]


class Library:
    """The library's consumer, as far as commits go."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.callbacks: list[Callable[[Any, Any], None]] = []
        self.waited: list[Sent] = []
        self.refuses: Exception | None = None

    def commit_async(self, offsets: Mapping[Any, Any], callback: Callable[[Any, Any], None]) -> None:
        self.sent.append(_ours(offsets))
        self.callbacks.append(callback)

    def commit(self, offsets: Mapping[Any, Any], timeout_ms: int) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.waited.append(_ours(offsets))

    def answer(self, answer: Exception | None = None) -> None:
        self.callbacks.pop(0)(None, answer)


def _ours(offsets: Mapping[kafka.TopicPartition, kafka.OffsetAndMetadata]) -> Sent:
    return {
        TopicPartition(place.topic, place.partition): Committable(offset.offset, offset.metadata)
        for place, offset in offsets.items()
    }


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def commits(library: Library) -> Commits:
    return Commits(library, "g", timeout_s=10)


def test_one_commit_is_on_the_way_at_a_time(library: Library, commits: Commits) -> None:
    commits.add({ONE: Committable(1, "a")})
    commits.add({ONE: Committable(2, "b")})
    commits.add({ONE: Committable(3, "c"), OTHER: Committable(7)})
    assert library.sent == [{ONE: Committable(1, "a")}]
    library.answer()
    commits.send()
    assert library.sent[1:] == [{ONE: Committable(3, "c"), OTHER: Committable(7)}]
    library.answer()
    commits.send()
    assert len(library.sent) == 2


@pytest.mark.parametrize("error", [NodeNotReadyError(), KafkaTimeoutError(), CommitFailedError()])
def test_what_was_not_confirmed_goes_with_the_next(library: Library, commits: Commits, error: Exception) -> None:
    commits.add({ONE: Committable(1), OTHER: Committable(5)})
    commits.add({ONE: Committable(2)})
    library.answer(error)
    commits.send()
    assert library.sent[1] == {ONE: Committable(2), OTHER: Committable(5)}


def test_an_answer_that_never_comes_is_not_waited_for_for_ever(library: Library) -> None:
    commits = Commits(library, "g", timeout_s=0.01)
    commits.add({ONE: Committable(1)})
    time.sleep(0.02)
    commits.add({OTHER: Committable(2)})
    assert library.sent[1] == {ONE: Committable(1), OTHER: Committable(2)}
    late, _ = library.callbacks
    late(None, None)
    library.callbacks[1](None, NodeNotReadyError())
    commits.send()
    assert library.sent[2] == {ONE: Committable(1), OTHER: Committable(2)}, "the late answer was for another commit"


def test_finish_waits_for_all_of_it(library: Library, commits: Commits) -> None:
    commits.add({ONE: Committable(1)})
    commits.add({OTHER: Committable(2)})
    commits.finish(1.0)
    assert library.waited == [{ONE: Committable(1), OTHER: Committable(2)}]
    commits.finish(1.0)
    assert len(library.waited) == 1


def test_finish_keeps_what_did_not_arrive(library: Library, commits: Commits) -> None:
    library.refuses = KafkaTimeoutError()
    commits.add({ONE: Committable(1)})
    commits.finish(1.0)
    library.refuses = None
    commits.finish(1.0)
    assert library.waited == [{ONE: Committable(1)}]


def test_partitions_that_went_are_not_committed_any_more(library: Library, commits: Commits) -> None:
    commits.add({ONE: Committable(1), OTHER: Committable(2)})
    library.answer(CommitFailedError())
    commits.drop([ONE])
    commits.send()
    assert library.sent[1] == {OTHER: Committable(2)}
    assert not commits.known(ONE)


def test_no_commit_goes_back(library: Library, commits: Commits) -> None:
    commits.learn(ONE, Committable(5))
    with pytest.raises(ValueError, match="commit"):
        commits.add({OTHER: Committable(1), ONE: Committable(4)})
    assert not library.sent
    assert not commits.known(OTHER)


def test_a_group_that_may_not_commit_is_lost(library: Library, commits: Commits) -> None:
    commits.add({ONE: Committable(1)})
    library.answer(GroupAuthorizationFailedError("g"))
    with pytest.raises(BusLost, match="group g can't commit: GroupAuthorizationFailedError"):
        commits.send()
