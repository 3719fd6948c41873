"""Key-encryption keys as files: one <name>.key each, 32 bytes in base64, readable by its owner only."""

import base64
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.envelope.keys import KEY_BYTES, NONCE_BYTES, SealError

_SUFFIX = ".key"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MADE = "%Y%m%dT%H%M%S.%fZ"


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

    def current_since(self) -> float:
        """When the newest key was made, in seconds since 1970: by its name, or by its file where it is named otherwise.

        Raises SealError.
        """
        name = self.current()
        try:
            return datetime.strptime(name, _MADE).replace(tzinfo=UTC).timestamp()
        except ValueError:
            pass
        try:
            return self.file(name).stat().st_mtime
        except OSError as error:
            raise SealError(f"{self.file(name)}: the key can't be read ({error.strerror}).") from None

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

    def create(self) -> str:
        """Adds a key named after the time, which is the current one from now on.

        Raises SealError where such a name would not be the newest, OSError.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = datetime.now(UTC).strftime(_MADE)
        names = self.names()
        if names and names[-1] >= name:
            raise SealError(f"A new key would be called {name}, which sorts before {names[-1]} and would not be used.")
        # Under another name until it is whole: it may be read as soon as it is there.
        unfinished = self.path / f".{name}"
        _write(unfinished, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n", os.O_CREAT | os.O_EXCL)
        unfinished.rename(self.file(name))
        self._settle()
        return name

    def destroy(self, name: str) -> None:
        """Overwrites and removes a key: what data keys under it sealed is unreadable from then on.

        Raises SealError as `may_destroy`, OSError.
        """
        self.may_destroy(name)
        file = self.file(name)
        _write(file, os.urandom(file.stat().st_size))
        file.unlink()
        self._settle()

    def may_destroy(self, name: str) -> None:
        """Raises SealError if there is no such key or it is the current one."""
        names = self.names()
        if name not in names:
            raise SealError(f"{self.path}: there is no key {name} in this folder.")
        if name == names[-1]:
            raise SealError(f"The key {name} is in use: veil keys rotate makes another one first.")

    def file(self, name: str) -> Path:
        """Where the key of that name lies. Raises SealError if it can't be a name."""
        if not _NAME.fullmatch(name):
            raise SealError("A data key is said to be wrapped under something that is no name of a key.")
        return self.path / f"{name}{_SUFFIX}"

    def _settle(self) -> None:
        """Makes what happened in the folder outlast a power cut."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _cipher(self, name: str) -> AESGCM:
        file = self.file(name)
        try:
            with file.open("rb") as opened:
                status = os.fstat(opened.fileno())
                content = opened.read(1024)
        except FileNotFoundError:
            raise SealError(f"There is no key {name}: it was destroyed, or is in another folder.") from None
        except OSError as error:
            raise SealError(f"{file}: the key can't be read ({error.strerror}).") from None
        mode = stat.S_IMODE(status.st_mode)
        if mode & (0o037 if _is_mounted(status) else 0o077):
            raise SealError(f"{file}: others may read this key (mode {mode:04o}); chmod 600 mends it.")
        try:
            key = base64.b64decode(content.strip(), validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise SealError(f"{file}: not a key, which is {KEY_BYTES} bytes in base64.")
        return AESGCM(key)


def _is_mounted(status: os.stat_result) -> bool:
    """True of a file that root lets this process read by its group, as Kubernetes mounts secrets."""
    return status.st_uid == 0 != os.geteuid()


def _write(file: Path, content: bytes, flags: int = 0) -> None:
    """Writes a file that only its owner may read, down to the disk."""
    with os.fdopen(os.open(file, os.O_WRONLY | flags, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
