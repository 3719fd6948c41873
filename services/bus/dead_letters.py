"""Dead letters: why a message was refused, never what it held, and how many of them are too many."""

from collections import deque

from services.bus.clock import Clock, now_us
from services.bus.interface import Message, Record
from services.bus.topics import dead_letters_of
from services.schema import pb

# A sentence of reason; an error text that grew over its input must not fill the topic.
MAX_REASON_CHARACTERS = 300


class TooManyDeadLetters(Exception):
    """So many messages were refused that something larger is wrong: stop, rather than bury everything."""


def dead_letter(message: Message, stage: str, reason: str, clock: Clock = now_us) -> Record:
    """The record for `<topic>.dlq` that says why `stage` refused `message`: where it stands and its size, no payload.

    The reason becomes one line of at most MAX_REASON_CHARACTERS.
    """
    letter = pb.DeadLetter(
        topic=message.position.source.topic,
        partition=message.position.source.partition,
        offset=message.position.offset,
        stage=stage,
        reason=_clip(reason),
        at_us=clock(),
        size=message.record.size,
    )
    return Record(dead_letters_of(message.record.topic), message.record.key, letter.SerializeToString())


class DeadLetterLimit:
    """Refuses to go on once more than `max_ratio` of the newest `window` messages were dead letters.

    Before `window` messages have come the missing ones count as good, so the first bad message stops nothing.
    """

    def __init__(self, max_ratio: float = 0.1, window: int = 1000) -> None:
        if not 0.0 <= max_ratio < 1.0:
            raise ValueError(f"max_ratio must be at least 0 and under 1, not {max_ratio}")
        if window < 1:
            raise ValueError(f"window must be at least 1, not {window}")
        self._allowed = int(max_ratio * window)
        self._newest: deque[bool] = deque(maxlen=window)
        self._refused = 0

    def accepted(self) -> None:
        """Counts a good message."""
        self._count(refused=False)

    def refused(self) -> None:
        """Counts a dead letter. Raises TooManyDeadLetters."""
        self._count(refused=True)
        if self._refused > self._allowed:
            raise TooManyDeadLetters(
                f"{self._refused} of the last {self._newest.maxlen} messages were refused, {self._allowed} are allowed"
            )

    def _count(self, *, refused: bool) -> None:
        if len(self._newest) == self._newest.maxlen:
            self._refused -= self._newest[0]
        self._newest.append(refused)
        self._refused += refused


def _clip(reason: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    return line if len(line) <= MAX_REASON_CHARACTERS else line[: MAX_REASON_CHARACTERS - 1] + "…"
