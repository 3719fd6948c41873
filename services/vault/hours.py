"""The key of each camera and hour: made when the hour's first segment is written, wrapped, kept in the index only."""

import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import insert, select

from services.bus.clock import Clock
from services.envelope.keys import KEY_BYTES, KeyEncryption, SealError, wrap_context
from services.vault.database import Database
from services.vault.errors import Conflict, Expired, Unavailable
from services.vault.tables import KEYS

_CACHE_SIZE = 4096


class HourKey(NamedTuple):
    """A camera's key for an hour, unwrapped."""

    row: int
    key_id: str
    secret: bytes


class WrappedKey(NamedTuple):
    """As it stands in the index; `wrapped` is None once it is destroyed."""

    row: int
    camera_id: str
    key_id: str
    wrapped: bytes | None
    wrapped_by: str


class HourKeys:
    """Makes and unwraps them. Safe to share between threads.

    An unwrapped key is kept for a while. It opens nothing by itself: every segment's salt comes from the index.

    Args:
        database: the index.
        keys: wraps and unwraps.
        cache_s: how long an unwrapped key is kept.
        clock: microseconds since 1970.
        monotonic: seconds.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyEncryption,
        cache_s: float,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._keys, self._cache_s = database, keys, cache_s
        self._clock, self._monotonic = clock, monotonic
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[bytes, float]] = OrderedDict()

    def current(self, camera_id: str, hour_us: int) -> HourKey:
        """The key that segments of this hour are written under; a new one if there is none. Raises Unavailable."""
        found = self._find(camera_id, hour_us)
        if found is None:
            try:
                return self._make(camera_id, hour_us)
            except Conflict:
                # Another writer made it at the same time: theirs it is.
                found = self._find(camera_id, hour_us)
        if found is None:
            raise Unavailable("The key of an hour came and went.")
        return HourKey(found.row, found.key_id, self.open(found))

    def open(self, key: WrappedKey) -> bytes:
        """The key itself. Raises Expired where it is destroyed, Unavailable where nobody unwraps it."""
        if key.wrapped is None:
            raise Expired("The key of that hour is destroyed.")
        with self._lock:
            kept = self._kept.get(key.row)
            if kept is not None and self._monotonic() < kept[1]:
                return kept[0]
        try:
            secret = self._keys.unwrap(
                key.wrapped_by, key.wrapped, wrap_context(key.camera_id, key.key_id, key.wrapped_by)
            )
        except SealError as error:
            raise Unavailable(f"An hour's key can't be unwrapped: {error}") from None
        self._keep(key.row, secret)
        return secret

    def _find(self, camera_id: str, hour_us: int) -> WrappedKey | None:
        alive = select(KEYS).where(KEYS.c.camera_id == camera_id, KEYS.c.hour_us == hour_us, KEYS.c.gone_us.is_(None))
        with self._database.read() as connection:
            row = connection.execute(alive).one_or_none()
        return None if row is None else WrappedKey(row.id, row.camera_id, row.key_id, row.wrapped, row.wrapped_by)

    def _make(self, camera_id: str, hour_us: int) -> HourKey:
        secret, key_id = os.urandom(KEY_BYTES), f"vault/{camera_id}/{hour_us}/{uuid.uuid4().hex}"
        try:
            wrapped_by = self._keys.current()
            wrapped = self._keys.wrap(wrapped_by, secret, wrap_context(camera_id, key_id, wrapped_by))
        except SealError as error:
            raise Unavailable(f"An hour's key can't be wrapped: {error}") from None
        row = {
            "camera_id": camera_id,
            "hour_us": hour_us,
            "key_id": key_id,
            "wrapped": wrapped,
            "wrapped_by": wrapped_by,
            "made_us": self._clock(),
        }
        with self._database.write() as connection:
            number = connection.execute(insert(KEYS).values(row).returning(KEYS.c.id)).scalar_one()
        self._keep(number, secret)
        return HourKey(number, key_id, secret)

    def _keep(self, row: int, secret: bytes) -> None:
        with self._lock:
            self._kept[row] = (secret, self._monotonic() + self._cache_s)
            while len(self._kept) > _CACHE_SIZE:
                self._kept.popitem(last=False)
