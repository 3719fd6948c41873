"""Brings a group's rebalances from the library's thread into the thread that polls."""

from enum import Enum

from kafka import ConsumerRebalanceListener, TopicPartition


class Step(Enum):
    """Where a rebalance stands."""

    REVOKED = "the group takes stock: partitions may go, commits still count"
    LOST = "the group gave this member up: its partitions are gone"
    ASSIGNED = "the group has shared the partitions out anew"


class RebalanceStep(BaseException):
    """Leaves the library's `poll` in the middle of a rebalance; the next `poll` goes on with it.

    The library calls its listeners in its own network thread, where neither a commit nor the stage's verbs may be
    used, while `poll` waits. Leaving `poll` instead lets the polling thread do the work, heartbeats going on. It is
    no Exception because the library logs and wraps those that listeners raise, and passes others on.
    """

    def __init__(self, step: Step) -> None:
        super().__init__(step.value)
        self.step = step


class Interrupter(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Interrupts `poll` at each step of a rebalance, until `go_on` lets that step pass."""

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
