"""Brings a group's rebalances from the library's thread into the thread that polls."""

import threading
from enum import Enum
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition


class Step(Enum):
    """Where a rebalance stands."""

    REVOKED = "the group takes stock: partitions may go, commits still count"
    LOST = "the group gave this member up: its partitions are gone"
    ASSIGNED = "the group has shared the partitions out anew"


class RebalanceStep(BaseException):
    """Breaks off a join in the middle; the next one goes on from there.

    The library calls its listeners in its own network thread, where neither a commit nor the stage's verbs may be
    used. Breaking off instead lets the polling thread do the work, heartbeats going on. It is no Exception because
    the library logs and wraps those that listeners raise, and passes others on.
    """

    def __init__(self, step: Step) -> None:
        super().__init__(step.value)
        self.step = step


class Interrupter(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Breaks off the join at each step of a rebalance, until `go_on` lets that step pass."""

    def __init__(self) -> None:
        self._pass = False

    def go_on(self) -> None:
        """The revoked or lost partitions are dealt with."""
        self._pass = True

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called by the library before it joins the group again, and before it leaves."""
        if revoked and not self._pass:
            raise RebalanceStep(Step.REVOKED)

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        """Called by the library before it joins a group that it had fallen out of."""
        if lost and not self._pass:
            raise RebalanceStep(Step.LOST)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002, asked for later
        """Called by the library once it has its new share."""
        self._pass = False
        raise RebalanceStep(Step.ASSIGNED)


class Join:
    """The way into the group, gone by the library's thread while this one polls on.

    The library joins within its `poll` as well, but there it forgets a join that ends between two polls, and starts
    another: with short polls, and a leader among those who do so, a group never comes to rest.
    """

    def __init__(self, client: KafkaConsumer) -> None:
        self._client = client
        self._way: Any = None
        self._ended = threading.Event()

    @property
    def under_way(self) -> bool:
        """True from the start of a join until `ended_within` has said how it ended."""
        return self._way is not None

    def ended_within(self, timeout_s: float) -> bool:
        """True where there is nothing to join, or no longer. Raises RebalanceStep, and what the library raises."""
        if self._way is None:
            if not self._client._coordinator.need_rejoin():
                return True
            self._ended.clear()
            self._way = self._client._net.call_soon_with_future(self._client._coordinator.ensure_active_group_async)
            self._way.add_both(lambda _: self._ended.set())
        if not self._ended.wait(timeout_s):
            return False
        way, self._way = self._way, None
        if way.exception is not None:
            raise way.exception
        return True

    def give_up(self) -> None:
        """Lets a join that is under way end without trying again."""
        if self.under_way:
            self._client._subscription.unsubscribe()
