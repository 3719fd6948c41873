"""Decrypts payloads; unwrapped data keys are kept for a while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.envelope.keys import KEY_BYTES, NONCE_BYTES, KeyEncryption, SealError, wrap_context
from services.schema import pb

_LONGEST_WRAPPED = 1024

_Name = tuple[str, str, str, bytes]


class Opener:
    """Opens what a Sealer sealed. Safe to share between threads.

    Args:
        keys: unwraps data keys.
        cache_s: how long an unwrapped data key is kept, so that a destroyed key-encryption key is of use no longer.
        cache_size: most data keys kept; those not used for longest go.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        keys: KeyEncryption,
        cache_s: float = 300.0,
        cache_size: int = 4096,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._cache_s = cache_s
        self._cache_size = cache_size
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Name, tuple[AESGCM, float]] = OrderedDict()

    def open(self, camera_id: str, context: bytes, sealed: pb.Sealed) -> bytes:
        """The payload. Raises SealError if anything was changed, belongs elsewhere, or its key is gone."""
        if len(sealed.nonce) != NONCE_BYTES:
            raise SealError("A sealed payload has no valid nonce.")
        cipher = self._cipher(camera_id, sealed)
        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, context)
        except InvalidTag:
            raise SealError("A sealed payload was changed, or belongs to another frame.") from None

    def _cipher(self, camera_id: str, sealed: pb.Sealed) -> AESGCM:
        name = (camera_id, sealed.key_id, sealed.wrapped_by, sealed.wrapped_key)
        with self._lock:
            kept = self._kept.get(name)
            if kept is not None and self._clock() < kept[1]:
                self._kept.move_to_end(name)
                return kept[0]
        # Not under the lock: a slow key service must not keep those waiting whose keys are here.
        cipher = self._unwrapped(camera_id, sealed)
        with self._lock:
            self._kept[name] = (cipher, self._clock() + self._cache_s)
            self._kept.move_to_end(name)
            while len(self._kept) > self._cache_size:
                self._kept.popitem(last=False)
        return cipher

    def _unwrapped(self, camera_id: str, sealed: pb.Sealed) -> AESGCM:
        if len(sealed.wrapped_key) > _LONGEST_WRAPPED:
            raise SealError("A sealed payload has no valid wrapped key.")
        aad = wrap_context(camera_id, sealed.key_id, sealed.wrapped_by)
        key = self._keys.unwrap(sealed.wrapped_by, sealed.wrapped_key, aad)
        if len(key) != KEY_BYTES:
            raise SealError("A wrapped data key does not have the right length.")
        return AESGCM(key)
