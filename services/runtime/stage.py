"""The stage protocol: the few verbs by which the runner drives every stage."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import Topic


class Backpressure(Exception):
    """The stage can't take this message now. The runner keeps it, pauses its topic and offers it again."""


@dataclass(frozen=True, slots=True)
class Emission:
    """What a stage finished: records to publish, and the input positions that are no longer needed once they are.

    A stage with state names a position only when no replay would need it (a renderer keeps the keyframe of the group
    of pictures it is in). The runner commits the lowest contiguous finished offset of each partition.
    """

    records: Sequence[Record] = ()
    done: Sequence[Position] = ()


class Stage(Protocol):
    """One step of the line. All verbs are called from the runner's thread, none of them may wait."""

    @property
    def name(self) -> str:
        """Service name: decoder, inference, tracker, renderer, encoder."""

    @property
    def inputs(self) -> tuple[Topic, ...]:
        """Topics it reads; empty for a source."""

    @property
    def outputs(self) -> tuple[Topic, ...]:
        """Topics it writes."""

    @property
    def finished(self) -> bool:
        """True when it will emit nothing more by itself.

        A source whose files have all ended, a sink that has seen the end of every stream it was told of. A stage that
        can't know waits for input and is never finished.
        """

    @property
    def remembers(self) -> Topic | None:
        """The output topic whose newest records tell it what it sent out before a restart; None if it needn't know."""

    @property
    def has_threads(self) -> bool:
        """True if it works on beside the runner, which then asks it often for what is ready."""

    def remember(self, message: Message) -> None:
        """Takes one of the newest records of `remembers`, before the first input of the same partition."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """These went to another process: drops every camera that came from them, without emitting or finishing."""

    def submit(self, message: Message) -> None:
        """Takes one message. Raises Backpressure to be offered it again, InvalidMessage to refuse it for good."""

    def completed(self) -> Sequence[Emission]:
        """What is ready now, in order; may do one bounded piece of work (a frame, a batch). Empty when idle."""

    def close(self) -> None:
        """No more submits: finish what is in hand."""

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Waits for what is in hand, at most `timeout_s`, and returns it. Afterwards every thread it made has ended."""


class Leased(ABC):
    """What a stage adds that has work of its own for some keys, and must not do it where another process may.

    The partitions of its first input are what the processes share out; a key is held by whoever holds the partition
    that its records are in.
    """

    @property
    @abstractmethod
    def keys(self) -> Collection[str]:
        """All there are, whoever holds them."""

    @abstractmethod
    def hold(self, keys: Collection[str]) -> None:
        """These are this process's from now on, and no others: begins with those that are new, drops those that went.

        What it has ready of a dropped key must not be emitted any more.
        """
