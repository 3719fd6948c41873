"""Programs out of Debian's packages, unpacked into .cache and installed nowhere."""

import os
import subprocess
import tempfile
from pathlib import Path

_CACHE = Path(__file__).resolve().parents[1] / ".cache"
_TIMEOUT_S = 300


class Unavailable(Exception):
    """A package can't be had on this machine; the text says why, and what helps."""


def unpacked(package: str) -> Path:
    """Folder with the files of a package, fetched once. Raises Unavailable.

    Without installing: a package that has a server would start it for the whole machine.
    """
    folder = _CACHE / package
    if not folder.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            _unpack(package, folder, Path(scratch))
    return folder


def _unpack(package: str, folder: Path, scratch: Path) -> None:
    _download(package, scratch)
    files = [str(path) for path in scratch.glob("*.deb")]
    if not files:
        raise Unavailable(f"apt-get downloaded no package {package}: run `apt-get update` first")
    part = scratch / package
    _run(package, ("dpkg-deb", "--extract", files[0], str(part)), scratch)
    # Another process may have been faster.
    if not folder.exists():
        part.rename(folder)


def _download(package: str, scratch: Path) -> None:
    command = ("apt-get", "download", package)
    try:
        _run(package, command, scratch)
    except Unavailable:
        if os.geteuid() != 0:
            raise
        # A fresh machine does not know yet which packages there are.
        _run(package, ("apt-get", "update", "-qq"), scratch)
        _run(package, command, scratch)


def _run(package: str, command: tuple[str, ...], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_TIMEOUT_S)  # noqa: S603, ours
    except FileNotFoundError:
        raise Unavailable(f"{package} comes from Debian's package of that name, and {command[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took longer than {_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[-300:]
        raise Unavailable(f"{command[0]} could not get the package {package}: {said}") from error
