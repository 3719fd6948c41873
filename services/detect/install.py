"""Installs detection models: `python -m services.detect.install [--dest DIR] [NAME …]`."""

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from services.detect.catalogue import ModelEntry, ModelMissing, Source, catalogue, default_models_dir, read_model
from services.detect.convert import CONVERTERS
from services.detect.fetch import FetchError, fetch

DEFAULT_NAMES = ("face", "plate")
AUDIT_NAMES = ("audit-face", "text")
"""What the auditor looks with."""
_TIMEOUT_S = 300.0


class InstallError(Exception):
    """A model could not be installed; the text is one sentence."""


def install(
    names: Iterable[str] = DEFAULT_NAMES,
    dest: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    timeout_s: float = _TIMEOUT_S,
) -> dict[str, Path]:
    """Makes sure that the named models are in `dest`, and returns where each lies.

    A model that is there already, with the right hash, costs no network, nor does one that comes with Veil. A file
    appears under its name only when it is complete and verified.

    Args:
        names: models of the catalogue, or detectors, which stand for their default models.
        dest: default_models_dir() if None.
        say: gets one line of progress at a time.
        timeout_s: for each download.

    Raises:
        InstallError: with one sentence; models before the failing one stay installed.
    """
    dest = dest or default_models_dir()
    installed = {}
    for name in dict.fromkeys(names):
        try:
            entry = catalogue().entry(name)
        except ModelMissing as error:
            raise InstallError(str(error)) from error
        installed[name] = entry.path(dest)
        try:
            read_model(name, dest)
        except ModelMissing as error:
            if not isinstance(entry.source, Source):
                raise InstallError(str(error)) from error
            _install_one(name, entry, entry.source, dest, say, timeout_s)
        else:
            say(f"{name}: {entry.model} {'comes with Veil' if entry.bundled else 'is there already'}")
    return installed


def _install_one(
    name: str, entry: ModelEntry, source: Source, dest: Path, say: Callable[[str], None], timeout_s: float
) -> None:
    say(f"{name}: downloading {source.spec} ({entry.licence})")
    with tempfile.TemporaryDirectory(prefix="veil-models-") as work:
        try:
            data = fetch(source, Path(work), timeout_s)
        except FetchError as error:
            raise InstallError(f"the {name} model can't be installed: {error}") from error
    say(f"{name}: converting {len(data) / 1e6:.1f} MB")
    stored = CONVERTERS[str(entry.convert)](data)
    if hashlib.sha256(stored).hexdigest() != entry.sha256:
        raise InstallError(f"the {name} model came out of its conversion with another SHA-256 than the catalogue names")
    try:
        _write(dest / entry.stored, stored)
    except OSError as error:
        raise InstallError(f"the {name} model can't be written to {dest}: {error.strerror}") from error
    say(f"{name}: installed {dest / entry.stored}")


def _write(path: Path, data: bytes) -> None:
    """Writes all of the file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.detect.install", description="Installs detection models.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(sorted(catalogue().models))}")
    parser.add_argument("--dest", type=Path, help="folder to install into")
    chosen = parser.parse_args(arguments)
    try:
        install(chosen.names or DEFAULT_NAMES, chosen.dest, _say)
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
