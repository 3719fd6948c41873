"""The hash chain of the audit topic: each event of a camera and actor holds the hash of the one before it."""

import hashlib
from collections.abc import Iterable

from services.schema import pb


def hash_of(event: pb.AuditEvent) -> bytes:
    """SHA-256 of the event with its field `hash` empty, in protobuf's deterministic encoding."""
    bare = pb.AuditEvent()
    bare.CopyFrom(event)
    bare.ClearField("hash")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()


def chained(event: pb.AuditEvent, previous: bytes) -> pb.AuditEvent:
    """`event` as the next of a chain whose last event has the hash `previous`; empty begins a chain."""
    linked = pb.AuditEvent()
    linked.CopyFrom(event)
    linked.previous_hash = previous
    linked.hash = hash_of(linked)
    return linked


def first_break(events: Iterable[pb.AuditEvent], previous: bytes = b"") -> int | None:
    """Index of the first event that was changed, or does not follow the one before it; None if all hold.

    Args:
        events: of one camera and actor, in the order of the topic.
        previous: hash of the event before the first.
    """
    for index, event in enumerate(events):
        if event.previous_hash != previous or event.hash != hash_of(event):
            return index
        previous = event.hash
    return None
