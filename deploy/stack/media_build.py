"""Builds MediaMTX, the RTSP server, from the Go module proxy into .cache/bin."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.stack.process import StartError

MODULE = "github.com/bluenviron/mediamtx"
VERSION = "v1.12.3"
SUM = "h1:NfHiMm6UQKQZEVhJhypl8Ccp+i8ZGt/IASqB2bSA7Gw="
"""Go's own checksum of the module's files."""

BINARY = Path(__file__).resolve().parents[2] / ".cache" / "bin" / f"mediamtx-{VERSION}"

# One minute on two cores with nothing in Go's cache.
_TIMEOUT_S = 900

# `go generate` would download the second from a web site; HLS is off here, so it may be empty.
_GENERATED = {"internal/core/VERSION": VERSION, "internal/servers/hls/hls.min.js": ""}


def mediamtx(say: Callable[[str], None]) -> Path:
    """Path of the server, built if it isn't there yet. Raises StartError."""
    if not BINARY.exists():
        if shutil.which("go") is None:
            raise StartError("the RTSP server is built with Go, which is missing: apt-get install golang-go")
        say(f"building MediaMTX {VERSION}, a minute or two")
        _build()
    return BINARY


def _build() -> None:
    source = _download()
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BINARY.parent) as scratch:
        # A module's files in Go's cache are read-only, and generated ones are not among them.
        tree = Path(scratch) / "source"
        shutil.copytree(source, tree, copy_function=shutil.copyfile)
        for folder in (tree, *(path for path in tree.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        for name, text in _GENERATED.items():
            (tree / name).write_text(text)
        built = Path(scratch) / "mediamtx"
        _go("build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(built), ".", cwd=tree)
        built.rename(BINARY)


def _download() -> Path:
    """Folder of the module's source."""
    said = json.loads(_go("mod", "download", "-json", f"{MODULE}@{VERSION}", cwd=BINARY.parents[1]))
    if said["Sum"] != SUM:
        raise StartError(f"{MODULE} {VERSION} is not the expected source: its checksum is {said['Sum']}")
    return Path(said["Dir"])


def _go(*arguments: str, cwd: Path) -> str:
    command = ["go", *arguments]
    env = os.environ | {"GOFLAGS": "", "CGO_ENABLED": "0"}
    try:
        done = subprocess.run(  # noqa: S603, the command is ours
            command, cwd=cwd, env=env, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise StartError(f"go {arguments[0]} took longer than {_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        raise StartError(f"go {arguments[0]} failed:\n{(error.stderr or error.stdout)[-2000:]}") from error
    return done.stdout
