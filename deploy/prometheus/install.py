"""Prometheus and promtool out of Debian's package, unpacked into .cache/prometheus and installed nowhere."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_FOLDER = _ROOT / ".cache" / "prometheus"
_TIMEOUT_S = 300


class Unavailable(Exception):
    """Prometheus can't be had on this machine; the text says why, and what helps."""


def promtool() -> Path:
    """What checks and tests rules. Raises Unavailable."""
    return _binary("promtool")


def prometheus() -> Path:
    """The server. Raises Unavailable."""
    return _binary("prometheus")


def _binary(name: str) -> Path:
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    if not _FOLDER.exists():
        _unpack()
    return _FOLDER / "usr" / "bin" / name


def _unpack() -> None:
    """Without installing: the package would start a server for the whole machine."""
    _FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_FOLDER.parent) as scratch:
        _download(Path(scratch))
        packages = [str(path) for path in Path(scratch).glob("*.deb")]
        if not packages:
            raise Unavailable("apt-get downloaded no package prometheus: run `apt-get update` first")
        part = Path(scratch) / "prometheus"
        _run(("dpkg-deb", "--extract", packages[0], str(part)), Path(scratch))
        # Another process may have been faster.
        if not _FOLDER.exists():
            part.rename(_FOLDER)


def _download(folder: Path) -> None:
    command = ("apt-get", "download", "prometheus")
    try:
        _run(command, folder)
    except Unavailable:
        if os.geteuid() != 0:
            raise
        # A fresh machine does not know yet which packages there are.
        _run(("apt-get", "update", "-qq"), folder)
        _run(command, folder)


def _run(command: tuple[str, ...], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_TIMEOUT_S)  # noqa: S603, ours
    except FileNotFoundError:
        raise Unavailable(f"promtool comes from Debian's package prometheus, and {command[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took longer than {_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[-300:]
        raise Unavailable(f"{command[0]} could not get the package prometheus: {said}") from error
