"""Segments: some seconds of one camera's messages in one file, under a key of their own and bound to their place.

The key of a segment is derived from the key of its camera and hour and from a salt of its own. The salt is in the index
only: once it is erased there, the segment can't be read by anyone, whatever becomes of the file.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.envelope.context import framed
from services.envelope.keys import KEY_BYTES, NONCE_BYTES
from services.vault.errors import Tampered

Kind = Literal["video", "spans"]

HOUR_US = 3600 * 1_000_000
SALT_BYTES = 32
_MAGIC = b"VEILSEG1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment belongs: it opens nowhere else.

    Attributes:
        hour_us: the hour of its key, microseconds since 1970.
        number: within camera, kind and epoch, from 0 without a gap.
        key_id: of the hour's key.
    """

    camera_id: str
    hour_us: int
    kind: Kind
    epoch: int
    number: int
    key_id: str

    @property
    def context(self) -> bytes:
        """The additional authenticated data."""
        numbers = struct.pack(">QQQ", self.hour_us, self.epoch, self.number)
        return framed("veil vault segment", self.kind, self.camera_id, self.key_id) + numbers


def seal(secret: bytes, salt: bytes, place: Place, messages: Sequence[bytes]) -> bytes:
    """A segment's file: magic, nonce, ciphertext of the messages each behind its length, tag."""
    plain = b"".join(part for message in messages for part in (struct.pack(">I", len(message)), message))
    nonce = os.urandom(NONCE_BYTES)
    return _MAGIC + nonce + _cipher(secret, salt, place).encrypt(nonce, plain, place.context)


def unseal(secret: bytes, salt: bytes, place: Place, content: bytes) -> list[bytes]:
    """The messages. Raises Tampered where anything was changed, or belongs elsewhere."""
    if content[: len(_MAGIC)] != _MAGIC:
        raise Tampered("A segment's file is not one.")
    nonce, sealed = content[len(_MAGIC) :][:NONCE_BYTES], content[len(_MAGIC) + NONCE_BYTES :]
    try:
        plain = _cipher(secret, salt, place).decrypt(nonce, sealed, place.context)
    except (InvalidTag, ValueError):
        raise Tampered("A segment was changed, or belongs to another camera, hour or place.") from None
    view, messages, at = memoryview(plain), [], 0
    while at < len(view):
        (length,) = struct.unpack_from(">I", view, at)
        messages.append(bytes(view[at + 4 : at + 4 + length]))
        at += 4 + length
    return messages


def pack_marks(marks: Sequence[int]) -> bytes:
    """Numbers below 2⁶⁴ as a few bytes: neighbours cost next to nothing."""
    values = np.unique(np.asarray(marks, np.uint64))
    return zlib.compress(np.diff(values, prepend=np.uint64(0)).astype("<u8").tobytes(), 9)


def unpack_marks(packed: bytes) -> set[int]:
    """What `pack_marks` was given."""
    steps = np.frombuffer(zlib.decompress(packed), "<u8")
    return set(np.cumsum(steps, dtype=np.uint64).tolist())


def _cipher(secret: bytes, salt: bytes, place: Place) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, place.context).derive(secret))
