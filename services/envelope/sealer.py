"""Encrypts payloads, each camera's under data keys of its own that live for an hour."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.envelope.keys import KEY_BYTES, NONCE_BYTES, KeyEncryption, SealError, wrap_context
from services.schema import pb

_log = logging.getLogger(__name__)

# Nonces are random: after 2²⁴ of them, four days of pictures at 50 a second, two are alike with a chance of 2⁻⁴⁹.
# NIST SP 800-38D allows 2³².
_MESSAGES_PER_KEY = 1 << 24

# Where the key service is out of reach, a key is used beyond its time, and the service asked again this often.
_RETRY_S = 30.0

# A camera that has sent nothing for this long is left out of the age of keys in use.
_IN_USE_S = 60.0


@dataclass(slots=True)
class _DataKey:
    cipher: AESGCM = field(repr=False)
    key_id: str
    wrapped: bytes = field(repr=False)
    wrapped_by: str
    made_s: float
    until_s: float
    messages: int = 0
    used_s: float = 0.0


@dataclass(slots=True)
class _Camera:
    lock: threading.Lock = field(default_factory=threading.Lock)
    key: _DataKey | None = None


class Sealer:
    """Seals payloads with AES-256-GCM. Safe to share between threads.

    Data keys are made here and kept in memory only, so no two processes ever use the same one; only their wrapped form
    leaves, with every message.

    Args:
        keys: wraps data keys.
        rotate_every_s: age at which a camera gets a new data key.
        messages_per_key: number of messages after which it does so too.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        keys: KeyEncryption,
        rotate_every_s: float = 3600.0,
        *,
        messages_per_key: int = _MESSAGES_PER_KEY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._rotate_every_s = rotate_every_s
        self._messages_per_key = messages_per_key
        self._clock = clock
        self._cameras: dict[str, _Camera] = {}

    def seal(self, camera_id: str, context: bytes, payload: bytes) -> pb.Sealed:
        """The payload encrypted, bound to `context`. Raises SealError if there is no key to do it with."""
        key = self._take_key(camera_id)
        nonce = os.urandom(NONCE_BYTES)
        return pb.Sealed(
            key_id=key.key_id,
            nonce=nonce,
            ciphertext=key.cipher.encrypt(nonce, payload, context),
            wrapped_key=key.wrapped,
            wrapped_by=key.wrapped_by,
        )

    def oldest_s(self) -> float:
        """Age of the oldest data key that sealed something in the last minute, in seconds; 0 without any."""
        now = self._clock()
        keys = [camera.key for camera in list(self._cameras.values()) if camera.key is not None]
        return max((now - key.made_s for key in keys if now - key.used_s < _IN_USE_S), default=0.0)

    def _take_key(self, camera_id: str) -> _DataKey:
        """The camera's data key, counted as used once more. One camera's new key keeps no other waiting."""
        camera = self._cameras.get(camera_id) or self._cameras.setdefault(camera_id, _Camera())
        with camera.lock:
            key, now = camera.key, self._clock()
            if key is None or key.messages >= self._messages_per_key:
                key = camera.key = self._new_key(camera_id)
            elif now >= key.until_s:
                key = camera.key = self._renewed(camera_id, key)
            key.messages += 1
            key.used_s = now
            return key

    def _renewed(self, camera_id: str, old: _DataKey) -> _DataKey:
        try:
            return self._new_key(camera_id)
        except SealError as error:
            _log.warning("camera %s keeps its data key beyond its time: %s", camera_id, error)
            old.until_s = self._clock() + _RETRY_S
            return old

    def _new_key(self, camera_id: str) -> _DataKey:
        wrapped_by = self._keys.current()
        key_id = f"{camera_id}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}/{os.urandom(4).hex()}"
        secret = os.urandom(KEY_BYTES)
        wrapped = self._keys.wrap(wrapped_by, secret, wrap_context(camera_id, key_id, wrapped_by))
        now = self._clock()
        return _DataKey(AESGCM(secret), key_id, wrapped, wrapped_by, now, now + self._rotate_every_s)
