"""Key-encryption keys: what wraps data keys, a folder in development or a key management service."""

from typing import Protocol

from services.envelope.context import framed

KEY_BYTES = 32
NONCE_BYTES = 12


class SealError(Exception):
    """A payload can't be sealed or opened; the text is one sentence without payload or key."""


class KeyEncryption(Protocol):
    """Wraps data keys under named keys that never leave it.

    Calls may be slow but keep a deadline of seconds. They come from several threads: once for each data key that is
    made, and once per cache time for each that is read. All raise SealError, also while the service is out of reach.
    """

    def current(self) -> str:
        """Name of the key that new data keys are wrapped under."""

    def wrap(self, name: str, key: bytes, aad: bytes) -> bytes:
        """The data key, readable only with the key of that name and the same `aad`; at most 1024 bytes."""

    def unwrap(self, name: str, wrapped: bytes, aad: bytes) -> bytes:
        """What `wrap` was given. Refuses a destroyed key, and anything changed since."""


def wrap_context(camera_id: str, key_id: str, wrapped_by: str) -> bytes:
    """What a wrapped data key is bound to."""
    return framed("veil.v1 data key", camera_id, key_id, wrapped_by)
