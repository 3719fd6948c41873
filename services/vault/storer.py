"""Stores one batch as a segment: known first, then written, then there. A crash in between leaves nothing to read."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from services.bus.clock import Clock
from services.bus.topics import VIDEO_SOURCE
from services.envelope import Opener, SealError, context
from services.schema import pb
from services.vault import metrics
from services.vault.batch import Batch, Item
from services.vault.errors import Conflict, Full, Unavailable, VaultError
from services.vault.hours import HourKeys
from services.vault.index import Draft, SegmentIndex
from services.vault.segment import HOUR_US, SALT_BYTES, Place, pack_marks, seal
from services.vault.settings import VaultSettings
from services.vault.store import Store, new_name

_log = logging.getLogger(__name__)

_USAGE_EVERY_S = 5.0


class Storer:
    """Stores batches. Safe to share between threads.

    Args:
        settings: bounds.
        store: where files lie.
        index: what is known of them.
        hours: keys of cameras and hours.
        opener: opens payloads as they travel; without one, sealed ones are left out.
        clock: microseconds since 1970.
        monotonic: seconds.
    """

    def __init__(
        self,
        settings: VaultSettings,
        store: Store,
        index: SegmentIndex,
        hours: HourKeys,
        opener: Opener | None,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._store, self._index, self._hours = settings, store, index, hours
        self._opener, self._clock, self._monotonic = opener, clock, monotonic
        self._used = 0
        self._used_at = -_USAGE_EVERY_S

    def __call__(self, batch: Batch) -> None:
        """Stores what of a batch is not stored yet. Raises Unavailable and Conflict: then nothing of it is there."""
        began = time.monotonic()
        items = self._new(batch)
        if items:
            self._write(batch, items)
            metrics.WRITE_S.observe(time.monotonic() - began)
        if batch.end is not None:
            self._index.end_epoch(batch.end)

    def _new(self, batch: Batch) -> list[Item]:
        """The items that were never stored, each once, and not too late to be."""
        items = list({item.mark: item for item in reversed(batch.items)}.values())[::-1]
        if not items:
            return []
        first, last = min(item.first_seq for item in items), max(item.last_seq for item in items)
        stored = self._index.stored(batch.camera_id, batch.kind, batch.epoch, first, last)
        fresh = [item for item in items if item.mark not in stored]
        metrics.DUPLICATES.inc(len(batch.items) - len(fresh))
        if fresh and min(item.at_us for item in fresh) + batch.retention_us <= self._clock():
            metrics.DROPPED.labels("late").inc(len(fresh))
            return []
        return fresh

    def _write(self, batch: Batch, items: Sequence[Item]) -> None:
        messages = [self._message(batch, item) for item in items]
        start_us = min(item.at_us for item in items)
        hour_us = start_us // HOUR_US * HOUR_US
        key = self._hours.current(batch.camera_id, hour_us)
        number = self._index.next_number(batch.camera_id, batch.kind, batch.epoch)
        place = Place(batch.camera_id, hour_us, batch.kind, batch.epoch, number, key.key_id)
        # In memory only until the file is durable: until then nobody can read it, whatever happens.
        salt = os.urandom(SALT_BYTES)
        content = seal(key.secret, salt, place, messages)
        self._require_room(len(content))
        draft = Draft(
            name=new_name(batch.camera_id, f"{datetime.fromtimestamp(hour_us / 1e6, UTC):%Y%m%dT%H}", batch.kind),
            camera_id=batch.camera_id,
            kind=batch.kind,
            epoch=batch.epoch,
            key=key.row,
            start_us=start_us,
            end_us=max(item.at_us for item in items),
            first_seq=min(item.first_seq for item in items),
            last_seq=max(item.last_seq for item in items),
            marks=pack_marks([item.mark for item in items]),
            messages=len(items),
            keyframe=items[0].keyframe,
            size=len(content),
            sha256=hashlib.sha256(content).digest(),
            due_us=start_us + batch.retention_us,
        )
        self._index.begin(draft)
        try:
            self._store.put(draft.name, content)
            self._index.finish(draft, number, salt)
        except (Unavailable, Conflict):
            self._clear(draft.name)
            raise
        self._used += len(content)
        metrics.SEGMENTS.labels(batch.kind).inc()
        metrics.WRITTEN.inc(len(content))

    def _clear(self, name: str) -> None:
        """Takes back what was begun; what can't be now is an orphan, and goes with the next ones."""
        try:
            self._store.delete(name)
            self._index.forget(name)
        except VaultError as error:
            _log.warning("what was half written stays for now: %s", error)

    def _require_room(self, size: int) -> None:
        """Raises Full where the file would not fit."""
        now = self._monotonic()
        if now - self._used_at >= _USAGE_EVERY_S:
            self._used, self._used_at = self._index.used_bytes(), now
            metrics.STORED.set(self._used)
        if self._used + size > self._settings.max_gb * 1e9:
            raise Full(f"The vault holds {self._settings.max_gb:g} GB, which is all it may.")

    def _message(self, batch: Batch, item: Item) -> bytes:
        if isinstance(item.message, pb.RedactionSpan):
            span = pb.RedactionSpan()
            span.CopyFrom(item.message)
            span.ClearField("trace")
            return span.SerializeToString()
        unit = pb.AccessUnit()
        unit.CopyFrom(item.message)
        payload = self._payload(batch, unit)
        for field in ("inline", "sealed", "reference", "trace"):
            unit.ClearField(field)
        unit.captured_us = item.at_us
        if payload is None:
            unit.corrupt = True
        else:
            unit.inline = payload
        return unit.SerializeToString()

    def _payload(self, batch: Batch, unit: pb.AccessUnit) -> bytes | None:
        """What is in a unit; None where it can't be opened, and trying again has not helped. Raises Unavailable."""
        if unit.HasField("inline"):
            return unit.inline
        if unit.HasField("sealed") and self._opener is not None:
            try:
                place = context(VIDEO_SOURCE, batch.camera_id, batch.epoch, unit.seq)
                return self._opener.open(batch.camera_id, place, unit.sealed)
            except SealError as error:
                now = self._monotonic()
                batch.sealed_since = batch.sealed_since or now
                if now - batch.sealed_since < self._settings.open_wait_s:
                    raise Unavailable(f"A payload can't be opened: {error}") from None
        metrics.DROPPED.labels("sealed").inc()
        return None
