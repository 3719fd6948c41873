"""Ed25519 keys that sign packages and logs: a folder with private halves, for their owner only, and public ones."""

import hashlib
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z")
_MADE = "%Y%m%dT%H%M%S.%fZ"
_PRIVATE, _PUBLIC = ".signing.pem", ".public.pem"
_PEM_MAX = 4096
_PUBLIC_MAX = 1000


class SigningError(Exception):
    """A key can't be made or used; one sentence."""


class SigningKeys:
    """A folder of keys; the newest signs. Older public halves stay, so that what they signed can be verified.

    Args:
        folder: of the keys.
        error: raised with one sentence where a key can't be made or used: a room's own.
    """

    def __init__(self, folder: Path, error: type[Exception] = SigningError) -> None:
        self.folder, self._error = folder, error

    def create(self) -> Path:
        """Makes a key that signs from now on; returns the file of its public half. Raises the error."""
        name = datetime.now(UTC).strftime(_MADE)
        key = Ed25519PrivateKey.generate()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            public = self.folder / f"{name}{_PUBLIC}"
            _write(public, public_pem(key.public_key()), 0o644)
            secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            _write(self.folder / f"{name}{_PRIVATE}", secret, 0o600)
        except OSError as error:
            raise self._error(f"{self.folder}: no key can be made there ({error.strerror}).") from None
        return public

    def names(self) -> list[str]:
        """The keys that can sign, the one that does last."""
        try:
            files = [entry.name for entry in os.scandir(self.folder) if entry.name.endswith(_PRIVATE)]
        except OSError:
            return []
        return sorted(name for file in files if _NAME.fullmatch(name := file.removesuffix(_PRIVATE)))

    def public(self) -> list[Ed25519PublicKey]:
        """All public halves, those of older keys too: who signed what is there may be gone."""
        files = sorted(self.folder.glob(f"*{_PUBLIC}"))[:_PUBLIC_MAX]
        found = (read_public(file.read_bytes()[: _PEM_MAX + 1]) for file in files)
        return [key for key in found if key is not None]

    def current(self) -> Ed25519PrivateKey:
        """The key that signs. Raises the error."""
        names = self.names()
        if not names:
            raise self._error(f"{self.folder}: there is no key to sign with; veil disclose keys create makes one.")
        file = self.folder / f"{names[-1]}{_PRIVATE}"
        try:
            with file.open("rb") as opened:
                mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
                content = opened.read(_PEM_MAX)
        except OSError as error:
            raise self._error(f"{file}: the key can't be read ({error.strerror}).") from None
        if mode & 0o077:
            raise self._error(f"{file}: others may read this key (mode {mode:04o}); chmod 600 mends it.")
        try:
            key = load_pem_private_key(content, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise self._error(f"{file}: that is no Ed25519 key.")
        return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as it is written down."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(pem: bytes) -> Ed25519PublicKey | None:
    """A public key from its PEM; None where it is none."""
    if len(pem) > _PEM_MAX:
        return None
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key's 32 bytes, in groups of four hex digits that can be read out on the telephone."""
    digest = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()
    return " ".join(digest[start : start + 4] for start in range(0, 64, 4))


def is_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether the key's owner signed this."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _write(file: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
