"""Reads single segments: the file is the one that was written, opens under its key, and holds what the index says."""

import hashlib

from google.protobuf.message import DecodeError

from services.schema import pb
from services.vault.errors import Expired, Missing, Tampered
from services.vault.hours import HourKeys
from services.vault.index import LIVE, Segment, SegmentIndex
from services.vault.segment import unseal
from services.vault.store import Store


class SegmentReader:
    """Opens segments one by one. Its methods raise Tampered and Unavailable.

    Args:
        index: of segments.
        store: of files.
        hours: keys.
    """

    def __init__(self, index: SegmentIndex, store: Store, hours: HourKeys) -> None:
        self._index, self._store, self._hours = index, store, hours

    def units(self, segment: Segment) -> list[pb.AccessUnit] | None:
        """What a segment of pictures holds; None where it has expired or was purged meanwhile."""
        messages = self._messages(segment)
        if messages is None:
            return None
        try:
            units = [pb.AccessUnit.FromString(raw) for raw in messages]
        except DecodeError:
            raise Tampered("A segment holds what is no access unit.") from None
        if len(units) != segment.messages or any(
            unit.camera_id != segment.camera_id or unit.epoch != segment.epoch for unit in units
        ):
            raise Tampered("A segment does not hold what the index says.")
        return units

    def spans(self, segment: Segment) -> tuple[pb.RedactionSpan, ...] | None:
        """What a segment of spans holds; None where it has expired or was purged meanwhile."""
        messages = self._messages(segment)
        if messages is None:
            return None
        try:
            return tuple(pb.RedactionSpan.FromString(raw) for raw in messages)
        except DecodeError:
            raise Tampered("A segment holds what is no span.") from None

    def _messages(self, segment: Segment) -> list[bytes] | None:
        try:
            return self._read(segment)
        except (Missing, Expired):
            # It may have gone while this was reading.
            now = self._index.again(segment)
            if now is not None and now.state == LIVE:
                raise Tampered("A segment's file is not in the store, and nobody has purged it.") from None
            return None

    def _read(self, segment: Segment) -> list[bytes]:
        """Its messages. Raises Expired, Missing, Tampered, Unavailable."""
        if segment.salt is None:
            raise Expired("The key of a segment is gone.")
        secret = self._hours.open(segment.key)
        content = self._store.get(segment.name)
        if hashlib.sha256(content).digest() != segment.sha256:
            raise Tampered("A segment's file is not the one that was written.")
        return unseal(secret, segment.salt, segment.place, content)


def readable(index: SegmentIndex, segment: Segment, now_us: int) -> bool:
    """Whether it may be read: it is there, and not past its time unless a legal hold keeps it."""
    return segment.state == LIVE and (segment.due_us > now_us or index.is_held(segment))
