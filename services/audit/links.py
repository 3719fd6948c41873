"""Events as links of chains: what a check needs of them, wherever they were read: SQL, on the topic, in exports."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from services.audit.rows import CHAIN, NUMBER, OF, Row
from services.audit_chain import hash_of
from services.bus.interface import Message
from services.schema import pb


@dataclass(frozen=True, slots=True)
class Link:
    """One event, as far as a check needs it.

    Attributes:
        chain, key: the chain it was found in; key is `*` or a camera's, or the chain's own name.
        number: its place in the chain, as it says itself; None where it doesn't.
        place: where it was found, in words.
        fault: what is wrong with it alone; empty where nothing is.
        known: whether its content was there, and not its hashes alone.
    """

    chain: str
    key: str
    number: int | None
    event_id: str
    at_us: int
    hash: bytes
    previous: bytes
    place: str
    fault: str = ""
    published: bool = True
    known: bool = True

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return self.place if self.number is None else f"event {self.number} ({self.place})"


def of_rows(chain: str, rows: Iterable[Row]) -> Iterator[Link]:
    """From a table."""
    for row in rows:
        place = f"row {row.number}"
        try:
            event = pb.AuditEvent.FromString(row.event)
        except DecodeError:
            yield Link(chain, row.key, None, "", 0, row.hash, b"", place, "can't be read any more: it was changed")
            continue
        fault = "" if event.hash == row.hash else "was changed: the hash beside it is another one"
        yield _link(event, chain, row.key, place, fault, published=row.published)


def of_messages(messages: Iterable[Message]) -> Iterator[Link]:
    """From the topic. What is no event at all is a link of no chain with a fault."""
    for message in messages:
        place = f"partition {message.position.source.partition}, offset {message.position.offset}"
        key = message.record.key
        try:
            event = pb.AuditEvent.FromString(message.record.value)
        except DecodeError:
            yield Link("", key, None, "", message.timestamp_us, b"", b"", place, "is no event")
            continue
        # The auditor's chains have the name of the actor.
        yield _link(event, event.details.get(CHAIN, event.actor), key, place)


def of_event(event: pb.AuditEvent, place: str) -> Link:
    """From a copy of the event alone, as an export holds it."""
    chain = event.details.get(CHAIN, event.actor)
    return _link(event, chain, event.details.get(OF, chain), place)


def _link(event: pb.AuditEvent, chain: str, key: str, place: str, fault: str = "", *, published: bool = True) -> Link:
    if hash_of(event) != event.hash:
        fault = "was changed: its hash is not that of its content"
    elif not fault:
        fault = _misplaced(event, chain, key)
    number = event.details.get(NUMBER, "")
    return Link(
        chain=chain,
        key=key,
        number=int(number) if number.isdecimal() else None,
        event_id=event.event_id,
        at_us=event.at_us,
        hash=event.hash,
        previous=event.previous_hash,
        place=place,
        fault=fault,
        published=published,
    )


def _misplaced(event: pb.AuditEvent, chain: str, key: str) -> str:
    says = event.details.get(CHAIN, chain), event.details.get(OF, key)
    return "" if says == (chain, key) else f"belongs to the chain {says[0]} of {says[1]}: it was moved here"
