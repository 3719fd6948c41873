"""Feeds what is read into what writes it."""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Protocol

from services.bus.interface import Message
from services.bus.topics import Topic
from services.consume.rows import RowReader
from services.consume.tables import Table
from services.media.sink import SinkError


class Tail(Protocol):
    """Writes messages somewhere."""

    @property
    def over(self) -> bool:
        """True once it wants no more."""

    def take(self, message: Message) -> None:
        """Takes the next message. Raises SinkError, ConsumeError."""

    def close(self) -> None:
        """Finishes what is open. Raises SinkError."""


class RowTail:
    """Writes the rows of messages into a table."""

    over = False

    def __init__(self, topic: Topic, table: Table) -> None:
        self._reader = RowReader(topic)
        self._table = table
        self.rows = 0

    def take(self, message: Message) -> None:
        """Takes the next message; one that can't be read is counted. Raises SinkError."""
        row = self._reader.row(message)
        if row is not None:
            self._table.write(row, message.record.size)
            self.rows += 1

    def close(self) -> None:
        """Completes the table. Raises SinkError."""
        self._table.close()

    @property
    def left_out(self) -> str:
        """What was not written and why, in words; empty if all was."""
        return f"{self._reader.invalid} unreadable" if self._reader.invalid else ""


def follow(batches: Iterable[Collection[Message]], tail: Tail, look_around: Callable[[bool], object]) -> None:
    """Feeds `tail` until it or the messages end, and finishes it whatever happens.

    Args:
        batches: messages in order; empty ones let time pass.
        tail: takes them.
        look_around: called after each batch with whether it held anything.
    """
    try:
        _feed(batches, tail, look_around)
    except BaseException:
        # The first error is the one to tell.
        with suppress(SinkError):
            tail.close()
        raise
    tail.close()


def _feed(batches: Iterable[Collection[Message]], tail: Tail, look_around: Callable[[bool], object]) -> None:
    for batch in batches:
        for message in batch:
            tail.take(message)
            if tail.over:
                return
        look_around(bool(batch))
