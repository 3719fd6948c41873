"""Key-encryption keys as files: one <name>.key each, 32 bytes in base64, readable by its owner only."""

import base64
import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.envelope.keys import KEY_BYTES, NONCE_BYTES, SealError

_SUFFIX = ".key"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyFolder:
    """A folder of keys; the newest name, in alphabetical order, is the current one.

    Files are read at every call, so that a key that is added or destroyed counts at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """The keys there are, the current one last. Raises SealError if the folder can't be read."""
        try:
            files = [entry.name for entry in os.scandir(self.path) if entry.name.endswith(_SUFFIX)]
        except OSError as error:
            raise SealError(f"{self.path}: the key folder can't be read ({error.strerror}).") from None
        return sorted(name for file in files if _NAME.fullmatch(name := file.removesuffix(_SUFFIX)))

    def current(self) -> str:
        """Name of the newest key."""
        names = self.names()
        if not names:
            raise SealError(f"{self.path}: there is no key in this folder; veil keys create makes one.")
        return names[-1]

    def wrap(self, name: str, key: bytes, aad: bytes) -> bytes:
        """Nonce, ciphertext and tag of the data key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher(name).encrypt(nonce, key, aad)

    def unwrap(self, name: str, wrapped: bytes, aad: bytes) -> bytes:
        """The data key. Raises SealError if the key of that name is gone, or is not the one it was wrapped under."""
        cipher = self._cipher(name)
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError):
            raise SealError(f"A data key was changed on its way, or was not wrapped under the key {name}.") from None

    def file(self, name: str) -> Path:
        """Where the key of that name lies. Raises SealError if it can't be a name."""
        if not _NAME.fullmatch(name):
            raise SealError("A data key is said to be wrapped under something that is no name of a key.")
        return self.path / f"{name}{_SUFFIX}"

    def _cipher(self, name: str) -> AESGCM:
        file = self.file(name)
        try:
            with file.open("rb") as opened:
                mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
                content = opened.read(1024)
        except FileNotFoundError:
            raise SealError(f"There is no key {name}: it was destroyed, or is in another folder.") from None
        except OSError as error:
            raise SealError(f"{file}: the key can't be read ({error.strerror}).") from None
        if mode & 0o077:
            raise SealError(f"{file}: others may read this key (mode {mode:04o}); chmod 600 mends it.")
        try:
            key = base64.b64decode(content.strip(), validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise SealError(f"{file}: not a key, which is {KEY_BYTES} bytes in base64.")
        return AESGCM(key)
