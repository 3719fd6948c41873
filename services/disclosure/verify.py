"""Tells whether a package is as it was signed, and names every file that is not; without network or secret."""

import hashlib
import json
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from services.signing import canonical, fingerprint, is_signed, read_public

FORMAT = "veil disclosure 1"
MANIFEST, SIGNATURE, PUBLIC_KEY = "manifest.json", "manifest.sig", "public-key.pem"

_UNREADABLE = (
    *(OSError, EOFError, NotImplementedError, RuntimeError, ValueError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What reading a file of a zip that somebody damaged on purpose may raise."""
_SMALL_MAX = 16 << 20
_FILES_MAX = 10_000
_BLOCK = 1 << 20


class PackageError(Exception):
    """It is no package; one sentence."""


@dataclass(slots=True)
class Verdict:
    """What a look at a package found.

    Attributes:
        faults: one sentence for each thing that is wrong; none where all is as it was signed.
        fingerprint: of the key that signed; empty where the signature does not hold.
        manifest: what it says, once the signature holds.
    """

    faults: list[str] = field(default_factory=list)
    fingerprint: str = ""
    manifest: Mapping[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


class _Package(Protocol):
    """Files by name, from a folder or a zip."""

    def names(self) -> list[str]:
        """All files, those that stand there twice twice."""

    def open(self, name: str) -> BinaryIO:
        """Raises OSError, zipfile.BadZipFile and the like."""

    def size(self, name: str) -> int:
        """In bytes."""


def verify(path: Path, key: bytes | None = None, expected: str = "") -> Verdict:
    """Looks at a package, a zip or the folder that one was unpacked to. Raises PackageError where it is none.

    Args:
        path: of the package.
        key: PEM of the public key it must be signed with, from its owner; the package's own is enough to find damage,
            but who changed all of it can have put in a key of theirs.
        expected: fingerprint that the signing key must have, in any spacing.
    """
    verdict = Verdict()
    with _opened(path) as package:
        names = package.names()
        if MANIFEST not in names:
            raise PackageError(f"{path}: there is no {MANIFEST} in it: that is no package, or it was taken out.")
        for name in sorted({name for name in names if names.count(name) > 1}):
            verdict.faults.append(f"{name}: stands in the package twice.")
        raw = _small(package, MANIFEST)
        if not _check_signature(package, names, raw, key, expected, verdict):
            return verdict
        manifest = _manifest(raw)
        if manifest is None:
            verdict.faults.append(f"{MANIFEST}: is signed, but can't be read by this Veil.")
            return verdict
        verdict.manifest = manifest
        _check_files(package, names, manifest, verdict)
    return verdict


def _check_signature(
    package: _Package, names: list[str], raw: bytes, key: bytes | None, expected: str, verdict: Verdict
) -> bool:
    for name in (SIGNATURE, PUBLIC_KEY):
        if name not in names:
            verdict.faults.append(f"{name}: is missing.")
    if SIGNATURE not in names or (key is None and PUBLIC_KEY not in names):
        return False
    own = read_public(_small(package, PUBLIC_KEY)) if PUBLIC_KEY in names else None
    if PUBLIC_KEY in names and own is None:
        verdict.faults.append(f"{PUBLIC_KEY}: was changed: it is no key.")
    given = read_public(key) if key is not None else None
    if key is not None and given is None:
        verdict.faults.append("The key that was given is no Ed25519 public key.")
        return False
    signer = given or own
    if signer is None:
        return False
    if given is not None and own is not None and fingerprint(given) != fingerprint(own):
        verdict.faults.append(f"{PUBLIC_KEY}: is not the key that was given.")
    wanted = "".join(expected.split()).lower().replace(":", "")
    if wanted and wanted != fingerprint(signer).replace(" ", ""):
        verdict.faults.append(f"It is signed with the key {fingerprint(signer)}, not with the one that was expected.")
    if not is_signed(signer, _small(package, SIGNATURE), raw):
        verdict.faults.append(f"{MANIFEST}: was changed, or signed with another key: its signature does not hold.")
        return False
    verdict.fingerprint = fingerprint(signer)
    return True


def _manifest(raw: bytes) -> Mapping[str, object] | None:
    try:
        read = json.loads(raw)
        # Only one way to write it: whoever reads it otherwise can't read something else.
        if not isinstance(read, dict) or read.get("format") != FORMAT or canonical(read) != raw:
            return None
    except (ValueError, RecursionError):
        return None
    files = read.get("files")
    if not isinstance(files, dict) or not all(_is_file(each) for each in files.values()):
        return None
    return read


def _is_file(each: object) -> bool:
    return isinstance(each, dict) and isinstance(each.get("sha256"), str) and isinstance(each.get("size"), int)


def _check_files(package: _Package, names: list[str], manifest: Mapping[str, object], verdict: Verdict) -> None:
    files = manifest["files"]
    assert isinstance(files, dict)  # noqa: S101 (checked by _manifest)
    known = {*files, MANIFEST, SIGNATURE}
    for name in sorted({*names} - known):
        verdict.faults.append(f"{name}: was added; nobody signed it.")
    for name, each in sorted(files.items()):
        if name not in names:
            verdict.faults.append(f"{name}: is missing.")
        elif package.size(name) != each["size"] or _digest(package, name, each["size"]) != each["sha256"]:
            verdict.faults.append(f"{name}: was changed.")


def _digest(package: _Package, name: str, most: int) -> str:
    """SHA-256 of a file; of no more than it should have, whatever a zip unpacks to."""
    digest, left = hashlib.sha256(), most + 1
    try:
        with package.open(name) as file:
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                digest.update(block)
                left -= len(block)
    except _UNREADABLE:
        return ""
    return digest.hexdigest()


def _small(package: _Package, name: str) -> bytes:
    try:
        with package.open(name) as file:
            content = file.read(_SMALL_MAX + 1)
    except _UNREADABLE:
        return b""
    return content if len(content) <= _SMALL_MAX else b""


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        found = []
        for each in self._path.rglob("*"):
            # A link may show one thing here and another elsewhere: it counts as a file that nobody signed.
            if each.is_symlink() or not each.is_dir():
                found.append(each.relative_to(self._path).as_posix())
            if len(found) > _FILES_MAX:
                raise PackageError(f"{self._path}: there are too many files in it.")
        return found

    def open(self, name: str) -> BinaryIO:
        file = self._path / name
        if not stat.S_ISREG(file.lstat().st_mode):
            raise OSError("no regular file")
        return file.open("rb")

    def size(self, name: str) -> int:
        return (self._path / name).lstat().st_size


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> list[str]:
        return [info.filename for info in self._archive.infolist()]

    def open(self, name: str) -> BinaryIO:
        return self._archive.open(name)  # type: ignore[return-value]

    def size(self, name: str) -> int:
        return self._archive.getinfo(name).file_size


@contextmanager
def _opened(path: Path) -> Iterator[_Package]:
    if path.is_dir():
        yield _Folder(path)
        return
    if not path.exists():
        raise PackageError(f"{path}: there is no such file.")
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        raise PackageError(f"{path}: can't be read as a package, which is a zip or the folder of one.") from None
    with archive:
        if len(archive.infolist()) > _FILES_MAX:
            raise PackageError(f"{path}: there are too many files in it.")
        yield _Zip(archive)
