"""Two neighbouring stages in one process, which the runner sees as one: what goes between them stays in memory."""

import itertools
import time
from collections import deque
from collections.abc import Collection, Sequence

from services.bus.clock import Clock, now_us
from services.bus.dead_letters import DeadLetterLimit, dead_letter
from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import Topic
from services.runtime import metrics
from services.runtime.stage import Backpressure, Emission, Stage

# Five pictures of 1080p in 4:2:0: enough to keep the second stage busy, little enough to add no delay of its own.
DEFAULT_LIMIT = 16 << 20


class _Lane:
    """What goes between the stages for the cameras of one partition, in order.

    Attributes:
        waiting: messages that the second stage has not taken yet.
        order: offsets of the messages handed over, and between them input positions of the first stage, each of which
            is done once every message before it is finished.
        unfinished: offsets that the second stage still needs.
    """

    __slots__ = ("order", "unfinished", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Message] = deque()
        self.order: deque[int | Position] = deque()
        self.unfinished: set[int] = set()

    def take_done(self) -> list[Position]:
        """Input positions of the first stage that are done by now."""
        done = []
        while self.order and self.order[0] not in self.unfinished:
            head = self.order.popleft()
            if isinstance(head, Position):
                done.append(head)
        return done


class Chain:
    """`first` and `second` as one stage.

    Records that `first` emits for a topic that `second` reads are handed over by reference, in order, without a bus
    between them; they also go out where the topic has other readers. An input of `first` is done only once everything
    that `first` emitted before naming it is finished by `second`, and what `second` made of it goes out ahead of it:
    so no commit runs ahead of the end of the chain. Both count per partition, as cameras do. Chains may be stages of
    chains.

    Args:
        first, second: neighbours; no topic may be read from the bus by both.
        limit: bytes that may wait between them before `first` is asked for nothing more.
        clock: wall clock of what is handed over, in microseconds.

    Raises:
        ValueError: if `second` reads nothing of what `first` writes, or both read the same topic.
    """

    def __init__(self, first: Stage, second: Stage, limit: int = DEFAULT_LIMIT, clock: Clock = now_us) -> None:
        inner = {topic.name: topic for topic in second.inputs if topic in first.outputs}
        own = tuple(topic for topic in second.inputs if topic.name not in inner)
        if not inner:
            raise ValueError(f"{second.name} reads nothing of what {first.name} writes")
        if set(first.inputs) & set(own):
            raise ValueError(f"{first.name} and {second.name} read the same topic")
        self._first, self._second = first, second
        self._limit, self._clock = limit, clock
        self._inner = inner
        self._firsts = frozenset(topic.name for topic in first.inputs)
        outgoing = [topic for topic in first.outputs if topic.name not in inner or _has_others(topic, second)]
        self._outgoing = frozenset(topic.name for topic in outgoing)
        self.name = f"{first.name}-{second.name}"
        self.inputs: tuple[Topic, ...] = (*first.inputs, *own)
        self.outputs: tuple[Topic, ...] = (*outgoing, *second.outputs)
        # What stays between them is on no bus, so that only the other one's memory can count.
        self.has_threads = first.has_threads or second.has_threads
        self.remembers = next((topic for topic in (second.remembers, first.remembers) if topic in self.outputs), None)
        self._lanes: dict[int, _Lane] = {}
        self._partitions: dict[str, int] = {}
        self._offsets = itertools.count()
        self._between = 0  # bytes that wait
        self._refused = DeadLetterLimit()
        for name in inner:
            metrics.DEAD.labels(second.name, name)

    @property
    def finished(self) -> bool:
        """True when the second stage has finished, and nothing is on its way to it."""
        return self._second.finished and not self._waiting

    def remember(self, message: Message) -> None:
        """Goes to the stage that wrote it."""
        for stage in (self._first, self._second):
            if stage.remembers == message.record.topic:
                stage.remember(message)

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions in both stages, and what is between them."""
        numbers = {source.partition for source in partitions}
        for number in numbers & self._lanes.keys():
            self._between -= sum(message.record.size for message in self._lanes.pop(number).waiting)
        self._partitions = {key: number for key, number in self._partitions.items() if number not in numbers}
        self._first.forget([source for source in partitions if source.topic in self._firsts])
        inner = [TopicPartition(name, number) for name in self._inner for number in numbers]
        self._second.forget([*inner, *(source for source in partitions if source.topic not in self._firsts)])

    def submit(self, message: Message) -> None:
        """Goes to the stage that reads its topic. Raises Backpressure, InvalidMessage."""
        source = message.position.source
        if source.topic in self._firsts:
            self._first.submit(message)
            self._partitions[message.record.key] = source.partition
        else:
            self._second.submit(message)

    def completed(self) -> Sequence[Emission]:
        """A piece of work of each stage."""
        emissions = self._hand_over(self._first.completed()) if self._between < self._limit else []
        return emissions + self._step()

    def close(self) -> None:
        """The first stage gets no more; the second is still given what the first has in hand."""
        self._first.close()

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Waits for the first stage, then for what the second makes of it."""
        deadline = time.monotonic() + timeout_s
        emissions = self._hand_over(self._first.join(timeout_s))
        while self._waiting and time.monotonic() < deadline:
            emissions += self._step()
        self._second.close()
        return emissions + self._pass_on(self._second.join(max(0.0, deadline - time.monotonic())))

    @property
    def _waiting(self) -> bool:
        return any(lane.waiting for lane in self._lanes.values())

    def _hand_over(self, emissions: Sequence[Emission]) -> list[Emission]:
        """Takes what the first stage emitted; returns what goes out of it at once."""
        out = []
        for emission in emissions:
            for record in emission.records:
                if record.topic.name in self._inner:
                    self._enqueue(record)
            records = [record for record in emission.records if record.topic.name in self._outgoing]
            done = [position for position in emission.done if not self._defer(position)]
            if records or done:
                out.append(Emission(records, done))
        return out

    def _enqueue(self, record: Record) -> None:
        number = self._partitions.get(record.key, 0)
        lane = self._lanes.setdefault(number, _Lane())
        position = Position(TopicPartition(record.topic.name, number), next(self._offsets))
        lane.waiting.append(Message(record, position, self._clock()))
        lane.order.append(position.offset)
        lane.unfinished.add(position.offset)
        self._between += record.size

    def _defer(self, position: Position) -> bool:
        """Whether this input has to wait for messages that were handed over before it."""
        lane = self._lanes.get(position.source.partition)
        if lane is None or not lane.order:
            return False
        lane.order.append(position)
        return True

    def _step(self) -> list[Emission]:
        emissions = []
        for lane in self._lanes.values():
            while lane.waiting:
                refusal = self._offer(lane.waiting[0])
                if refusal is None:
                    break
                self._between -= lane.waiting.popleft().record.size
                emissions += refusal
        return emissions + self._pass_on(self._second.completed())

    def _offer(self, message: Message) -> list[Emission] | None:
        """None if the second stage can't take it now; otherwise what has to be said of it, if it was refused."""
        try:
            self._second.submit(message)
        except Backpressure:
            return None
        except InvalidMessage as refusal:
            self._refused.refused()
            metrics.DEAD.labels(self._second.name, message.record.topic.name).inc()
            letter = dead_letter(message, self._second.name, str(refusal))
            return self._pass_on([Emission((letter,), (message.position,))])
        self._refused.accepted()
        return []

    def _pass_on(self, emissions: Sequence[Emission]) -> list[Emission]:
        """What the second stage emitted, with the first stage's inputs in place of what went between them."""
        out = []
        for emission in emissions:
            done: list[Position] = []
            for position in emission.done:
                if position.source.topic not in self._inner:
                    done.append(position)
                elif lane := self._lanes.get(position.source.partition):
                    lane.unfinished.discard(position.offset)
                    done += lane.take_done()
            if emission.records or done:
                out.append(Emission(emission.records, done))
        return out


def _has_others(topic: Topic, reader: Stage) -> bool:
    """Whether anybody beside this stage reads the topic."""
    return bool(set(topic.readers) - set(reader.name.split("-"))) or bool(topic.audience)
