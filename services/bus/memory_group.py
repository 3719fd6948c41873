"""The members of one consumer group in memory: who reads which partition, how far it got, what it committed."""

import threading

from services.bus.interface import Committable, TopicPartition


class Member:
    """One consumer's share of its group.

    Attributes:
        topics: names of the topics it reads.
        positions: next offset to read of every partition it owns; the partition served longest ago comes first.
        paused: owned partitions that it leaves out.
        wake: condition on the bus's lock that it waits on.
    """

    def __init__(self, topics: frozenset[str], lock: threading.RLock) -> None:
        self.topics = topics
        self.positions: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.wake = threading.Condition(lock)


class Group:
    """A consumer group. Everything here is called under the bus's lock.

    A partition changes hands in two steps, so that a member's assignment changes only while it polls: `rebalance` says
    who is to have it, the old owner gives it up in its next `settle`, then the new one takes it in its own.
    """

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.committed: dict[TopicPartition, Committable] = {}
        self.given: dict[TopicPartition, int] = {}  # one past the newest offset that a member ever got
        self.owners: dict[TopicPartition, Member] = {}
        self._targets: dict[TopicPartition, Member] = {}
        self._declared: set[str] = set()
        self._known: set[str] = set()

    def declare(self, topic: str) -> None:
        """Makes the group hold the topic's records even while it has no member."""
        self._declared.add(topic)
        self._known.add(topic)

    def knows(self, topic: str) -> bool:
        """True where the group reads the topic, or once did."""
        return topic in self._known

    def holds(self, topic: str) -> bool:
        """True where records of the topic wait for this group."""
        return topic in self._declared or any(topic in member.topics for member in self.members)

    def next_offset(self, source: TopicPartition) -> int:
        """Where the group goes on after a restart."""
        committed = self.committed.get(source)
        return 0 if committed is None else committed.next_offset

    def note_given(self, source: TopicPartition, next_offset: int) -> None:
        """Remembers how far any member has got."""
        self.given[source] = max(next_offset, self.given.get(source, 0))

    def join(self, member: Member, partitions: int) -> None:
        """Adds a member; it gets its partitions as their owners give them up."""
        self.members.append(member)
        self._known |= member.topics
        self._rebalance(partitions)
        self.settle(member)

    def leave(self, member: Member, partitions: int) -> None:
        """Takes a member out; its partitions are free at once."""
        self.members.remove(member)
        for source in member.positions:
            del self.owners[source]
        member.positions.clear()
        self._rebalance(partitions)

    def leaving(self, member: Member) -> frozenset[TopicPartition]:
        """What the next `settle` takes from this member."""
        return frozenset(source for source in member.positions if self._targets[source] is not member)

    def settle(self, member: Member) -> None:
        """Gives up the partitions that are to be another's, and takes those that are to be this member's and free."""
        if self.owners == self._targets:
            return
        for source in self.leaving(member):
            del member.positions[source], self.owners[source]
            member.paused.discard(source)
            self._targets[source].wake.notify()
        for source, target in self._targets.items():
            if target is member and source not in self.owners:
                self.owners[source] = member
                member.positions[source] = self.next_offset(source)

    def _rebalance(self, partitions: int) -> None:
        """Range assignment: a member gets the same partition numbers of every topic, so that topics can be joined."""
        self._targets = {}
        for topic in sorted({topic for member in self.members for topic in member.topics}):
            readers = [member for member in self.members if topic in member.topics]
            for number in range(partitions):
                reader = readers[number * len(readers) // partitions]
                self._targets[TopicPartition(topic, number)] = reader
        for member in self.members:
            member.wake.notify()
