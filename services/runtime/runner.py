"""The one main loop: poll, submit, publish in order, commit what is finished, beat, stop cleanly."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack

from services.bus.clock import now_us
from services.bus.dead_letters import DeadLetterLimit, dead_letter
from services.bus.interface import (
    Bus,
    BusFull,
    BusLost,
    Consumer,
    InvalidMessage,
    Message,
    Position,
    Record,
    Start,
    TopicPartition,
)
from services.bus.topics import Topic
from services.runtime import metrics
from services.runtime.health import Heartbeat
from services.runtime.lag import Lag
from services.runtime.ledger import Ledger
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Backpressure, Emission, Leased, Stage

_log = logging.getLogger(__name__)


class Runner:
    """Drives one stage on one bus from one thread.

    Each turn: (1) publish what is pending, in order; (2) take what the stage completed, if all is published;
    (3) offer carried messages again, then poll and submit new ones; (4) commit the lowest contiguous finished offset
    of each partition, where all that was published before it has arrived; (5) beat. A full bus or a stage under
    backpressure never stops the turns, so that the group membership lives on.

    When partitions go to another member, everything finished is published and committed first, then the stage drops
    their cameras. When partitions come, a stage that remembers is first shown all of its own output that is not older
    than the first input there: whatever it sent of that input and of later ones is among it.

    A stage that is leased is told at every change which keys are its own. Where the lease runs out it has none, and
    what is in hand is dropped unpublished.

    Args:
        stage: what to drive.
        bus: where its topics are.
        settings: pace.
        heartbeat: beaten once every turn; ready while there are partitions to read, or the stage is a source.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        stage: Stage,
        bus: Bus,
        settings: RunnerSettings | None = None,
        heartbeat: Heartbeat | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stage = stage
        self._settings = settings or RunnerSettings()
        self._heartbeat = heartbeat or Heartbeat()
        self._clock = clock
        self._bus = bus
        self._producer = bus.producer()
        self._consumer: Consumer | None = bus.consumer(stage.name, stage.inputs, self) if stage.inputs else None
        self._leased = stage if isinstance(stage, Leased) else None
        self._held: frozenset[TopicPartition] = frozenset()  # as the leased stage was told
        self._ledger = Ledger()
        self._lag = Lag()
        self._pending: deque[Record | Position] = deque()
        self._taken = 0  # records the producer took
        self._unconfirmed: deque[tuple[int, Position]] = deque()  # finished once that many records have arrived
        self._read: set[TopicPartition] = set()  # a message came since they were assigned
        self._recalled: dict[int, int] = {}  # partition → time from which its output was shown to the stage
        self._carried: dict[TopicPartition, deque[Message]] = {}
        for topic in stage.inputs:
            # From the start: a series that begins with its first count has no increase that an alert could see.
            metrics.DEAD.labels(stage.name, topic.name)
        self._refused = DeadLetterLimit(self._settings.dead_letters_max_ratio)
        self._committed_at = clock()

    def run(self, stop: threading.Event) -> None:
        """Runs until the stage is finished or `stop` is set, then drains what is in hand and leaves.

        Raises BusLost, and whatever else the stage or the bus raises beyond backpressure and invalid messages: the
        next run, in this process or another, replays from the committed offsets.
        """
        idle_s = self._settings.idle_min_s
        with ExitStack() as leaving:
            leaving.callback(self._producer.close)
            if self._consumer is not None:
                leaving.callback(self._consumer.close)
            leaving.callback(self._stage.join, 0.0)
            leaving.callback(self._stage.close)
            while not stop.is_set():
                progressed = self._turn(idle_s)
                if not progressed and self._stage.finished and not self._pending:
                    break
                idle_s = self._settings.idle_min_s if progressed else self._longer(idle_s)
            if not self._rebalancing:
                self._drain()

    def settle(self, partitions: Collection[TopicPartition]) -> None:  # noqa: ARG002, all is settled alike
        """Publishes and commits what is finished, before partitions go to another member. Raises BusLost."""
        deadline = self._clock() + self._settings.settle_s
        self._lease()
        while self._pending:
            if self._clock() > deadline:
                raise BusLost("what was finished could not be published before the partitions went")
            self._publish(self._settings.idle_max_s)
            self._heartbeat.beat()
        self._flush(deadline)
        self._commit(now=True)

    def release(self, partitions: Collection[TopicPartition]) -> None:
        """Drops what is in hand of partitions that went. Raises BusLost where they went without warning."""
        self._lend(self._held.difference(partitions))
        if self._pending or self._unconfirmed:
            raise BusLost("partitions went to another member while their messages were under way")
        self._ledger.forget(partitions)
        for source in partitions:
            self._carried.pop(source, None)
            self._recalled.pop(source.partition, None)
        self._read.difference_update(partitions)
        self._stage.forget(partitions)
        _log.info("%s gave up %d partitions", self._stage.name, len(partitions))

    def _turn(self, idle_s: float) -> bool:
        """One round of the loop. True if anything moved; otherwise it has waited about `idle_s`."""
        progressed = False
        if not self._rebalancing:
            self._lease()
            progressed = self._publish(idle_s)
            if not self._pending:
                progressed |= self._take(self._stage.completed())
        progressed |= self._offer_carried()
        progressed |= self._receive(0.0 if progressed else idle_s)
        self._commit()
        self._heartbeat.beat(ready=self._consumer is None or bool(self._consumer.assignment()))
        return progressed

    def _lease(self) -> None:
        """Tells a leased stage what it holds now."""
        if self._leased is None or self._consumer is None:
            return
        if self._consumer.holds:
            self._lend(self._consumer.assignment())
        elif self._held:
            _log.warning("%s gives up all that it held: nobody answered for its lease", self._stage.name)
            self._lend(frozenset())

    def _lend(self, partitions: frozenset[TopicPartition]) -> None:
        if self._leased is None or self._consumer is None or partitions == self._held:
            return
        topic = self._stage.inputs[0]
        numbers = {source.partition for source in partitions}
        if not partitions:
            # Lost without warning, or settled before; a part of them goes only after it was settled.
            self._pending = deque(item for item in self._pending if isinstance(item, Position))
        self._held = partitions
        self._leased.hold([key for key in self._leased.keys if self._consumer.partition_of(topic, key) in numbers])

    def _longer(self, idle_s: float) -> float:
        """The pause after one that brought nothing. Where only a message can change anything it is long at once."""
        if self._stage.has_threads or self._consumer is None or self._pending or self._carried:
            return min(idle_s * 2, self._settings.idle_max_s)
        return self._settings.rest_max_s

    @property
    def _rebalancing(self) -> bool:
        return self._consumer is not None and self._consumer.rebalancing

    @property
    def _may_publish(self) -> bool:
        return self._leased is None or self._consumer is None or self._consumer.holds

    def _publish(self, wait_s: float) -> bool:
        progressed = False
        while self._pending and self._may_publish:
            item = self._pending[0]
            if isinstance(item, Position):
                self._unconfirmed.append((self._taken, item))
            else:
                try:
                    self._producer.publish(item)
                except BusFull:
                    began = self._clock()
                    self._producer.wait(wait_s)
                    metrics.BLOCKED.labels(self._stage.name).inc(self._clock() - began)
                    return progressed
                self._taken += 1
                metrics.PUBLISHED.labels(self._stage.name, item.topic.name).inc()
            self._pending.popleft()
            progressed = True
        return progressed

    def _take(self, emissions: Sequence[Emission]) -> bool:
        for emission in emissions:
            self._pending.extend(emission.records)
            self._pending.extend(emission.done)
        return bool(emissions)

    def _offer_carried(self) -> bool:
        progressed = False
        for source in list(self._carried):
            queue = self._carried[source]
            while queue and self._submit(queue[0]):
                queue.popleft()
                progressed = True
            if not queue:
                del self._carried[source]
                if self._consumer is not None:
                    self._consumer.resume((source,))
        return progressed

    def _receive(self, wait_s: float) -> bool:
        if self._consumer is None:
            if wait_s:
                time.sleep(wait_s)
            return False
        messages = self._consumer.poll(wait_s, self._settings.poll_records)
        self._recall(messages)
        for message in messages:
            source = message.position.source
            self._ledger.deliver(message.position)
            self._lag.took(message)
            metrics.MESSAGES.labels(self._stage.name, source.topic).inc()
            # Once a message of a partition is carried, those behind it queue up: order within a key is a promise.
            if source in self._carried:
                self._carried[source].append(message)
            elif not self._submit(message):
                self._carried[source] = deque((message,))
                self._consumer.pause((source,))
                metrics.CARRIED.labels(self._stage.name, source.topic).inc()
        return bool(messages)

    def _recall(self, messages: Sequence[Message]) -> None:
        """Before the first message of a partition goes to a stage that remembers: shows it what it sent since then."""
        topic = self._stage.remembers
        if topic is None or self._consumer is None:
            return
        margin_us = round(self._settings.recall_margin_s * 1e6)
        since: dict[int, int] = {}
        for message in messages:
            source = message.position.source
            if source in self._read:
                continue
            self._read.add(source)
            # An input that its topic has kept for longer than it should has lost its meaning to the output.
            oldest_us = now_us() - round(message.record.topic.retention.total_seconds() * 1e6)
            needed_us = max(message.timestamp_us, oldest_us) - margin_us
            if needed_us < self._recalled.get(source.partition, needed_us + 1):
                since[source.partition] = min(needed_us, since.get(source.partition, needed_us))
        if since:
            # Partitions whose messages are still to come most likely begin about here: one reading serves them all.
            unread = {source.partition for source in self._consumer.assignment()} - self._recalled.keys()
            self._show(topic, max(0, min(since.values()) - margin_us), since.keys() | unread)

    def _show(self, topic: Topic, since_us: int, partitions: Collection[int]) -> None:
        """Shows the stage what `topic` holds from a time on. Raises BusLost where it falls silent."""
        reader = self._bus.reader(topic, Start("time", since_us), partitions)
        deadline = self._clock() + self._settings.recall_s
        try:
            while not reader.caught_up:
                messages = reader.poll(self._settings.idle_max_s, self._settings.poll_records)
                for message in messages:
                    self._stage.remember(message)
                if messages:
                    deadline = self._clock() + self._settings.recall_s
                elif self._clock() > deadline:
                    raise BusLost(f"what was sent to {topic.name} before could not be read")
                self._heartbeat.beat(ready=False)
        finally:
            reader.close()
        self._recalled |= dict.fromkeys(partitions, since_us)

    def _submit(self, message: Message) -> bool:
        """False if the stage can't take it now."""
        try:
            self._stage.submit(message)
        except Backpressure:
            return False
        except InvalidMessage as refusal:
            self._refuse(message, str(refusal))
        else:
            self._refused.accepted()
        return True

    def _refuse(self, message: Message, reason: str) -> None:
        topic = message.record.topic.name
        _log.error("%s refused a message of %s: %s", self._stage.name, topic, reason)
        metrics.DEAD.labels(self._stage.name, topic).inc()
        self._pending.append(dead_letter(message, self._stage.name, reason))
        self._pending.append(message.position)
        self._refused.refused()

    def _commit(self, *, now: bool = False) -> None:
        if not (now or self._clock() - self._committed_at >= self._settings.commit_every_s):
            return
        arrived = self._producer.acknowledged  # of a source too: it must not go on over what was lost
        self._committed_at = self._clock()
        if self._consumer is None:
            return
        while self._unconfirmed and self._unconfirmed[0][0] <= arrived:
            self._ledger.finish((self._unconfirmed.popleft()[1],))
        commits = self._ledger.take_commits()
        if commits:
            self._consumer.commit(commits)
        metrics.UNFINISHED.labels(self._stage.name).set(self._ledger.unfinished)
        self._note_lag(self._consumer.lag())

    def _note_lag(self, waiting: Mapping[TopicPartition, int]) -> None:
        messages: Counter[str] = Counter()
        for source, count in waiting.items():
            messages[source.topic] += count
        carried = {source: queue[0] for source, queue in self._carried.items()}
        seconds = self._lag.look(waiting, carried, now_us())
        # Of every input: whose partitions went to another member has nothing that waits.
        for topic in self._stage.inputs:
            metrics.LAG.labels(self._stage.name, topic.name).set(messages[topic.name])
            metrics.LAG_S.labels(self._stage.name, topic.name).set(seconds.get(topic.name, 0.0))

    def _flush(self, deadline: float) -> None:
        try:
            self._producer.flush(max(0.1, deadline - self._clock()))
        except TimeoutError as error:
            raise BusLost("what was published did not arrive in time") from error

    def _drain(self) -> None:
        """Finishes what the stage has in hand within `drain_s`; what is left over is replayed by the next process."""
        deadline = self._clock() + self._settings.drain_s
        self._stage.close()
        while self._clock() < deadline:
            self._lease()
            self._publish(self._settings.idle_max_s)
            if not self._pending and not self._take(self._stage.completed()):
                break
            self._heartbeat.beat()
        self._take(self._stage.join(max(0.0, deadline - self._clock())))
        while self._pending and self._may_publish and self._clock() < deadline:
            self._publish(self._settings.idle_max_s)
        self._flush(deadline)
        self._commit(now=True)
