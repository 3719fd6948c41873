"""The programs of a cluster, at pinned versions in .cache: etcd out of Debian's package, the rest built with Go."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.debian import unpacked

_HERE = Path(__file__).resolve().parent
# Kubernetes and kwok with every module they are made of, and Go's own checksums of them.
_LOCK = (_HERE / "go.mod", _HERE / "go.sum")
_CACHE = _HERE.parents[2] / ".cache" / "k8s"
_KUBERNETES = "k8s.io/kubernetes"
_COMMANDS = (
    f"{_KUBERNETES}/cmd/kube-apiserver",
    f"{_KUBERNETES}/cmd/kube-controller-manager",
    f"{_KUBERNETES}/cmd/kube-scheduler",
    "sigs.k8s.io/kwok/cmd/kwok",
)
# What kwok's nodes do, as its authors wrote it: a node is ready, a pod runs and is ready at once, and is gone at once.
_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-delete.yaml",
)
_LEAST_GO = (1, 26)
_LOOK_S = 300
# With nothing in Go's cache, on a machine that is busy otherwise.
_BUILD_S = 4 * 3600


class CannotBuild(Exception):
    """The programs can't be built on this machine; the text says why, and what helps."""


@dataclass(frozen=True)
class Programs:
    """Where each program lies."""

    etcd: Path
    api_server: Path
    controller_manager: Path
    scheduler: Path
    kwok: Path
    stages: Path
    """What kwok's nodes do, for its --config."""


def programs(say: Callable[[str], None]) -> Programs:
    """All of them, fetched and built where they aren't yet. Raises CannotBuild, and Unavailable without etcd."""
    if not _folder().exists():
        _build(say)
    return _programs()


def present() -> Programs | None:
    """All of them, if they are built already."""
    return _programs() if _folder().exists() else None


def version() -> str:
    """Of Kubernetes, such as v1.36.3."""
    found = re.search(rf"^\s*{re.escape(_KUBERNETES)} (v\S+)", _LOCK[0].read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise CannotBuild(f"{_LOCK[0].name} does not say which version of {_KUBERNETES} is meant")
    return found[1]


def _folder() -> Path:
    """Named after what the lock says: another version is built beside it."""
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in _LOCK)).hexdigest()
    return _CACHE / f"cluster-{stamp[:12]}"


def _programs() -> Programs:
    folder = _folder()
    return Programs(
        etcd=unpacked("etcd-server") / "usr" / "bin" / "etcd",
        api_server=folder / "kube-apiserver",
        controller_manager=folder / "kube-controller-manager",
        scheduler=folder / "kube-scheduler",
        kwok=folder / "kwok",
        stages=folder / "stages.yaml",
    )


def _build(say: Callable[[str], None]) -> None:
    _need_go()
    say(f"building Kubernetes {version()} and kwok: 2,600 packages, which takes long the first time")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        part = Path(scratch) / "cluster"
        part.mkdir()
        # Clients ask a server which version it is.
        flags = f"-s -w -X k8s.io/component-base/version.gitVersion={version()}"
        _go("build", "-buildvcs=false", f"-ldflags={flags}", "-o", str(part), *_COMMANDS, timeout_s=_BUILD_S)
        kwok = Path(_go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok", timeout_s=_LOOK_S).strip())
        texts = [(kwok / "kustomize" / "stage" / name).read_text(encoding="utf-8") for name in _STAGES]
        (part / "stages.yaml").write_text("---\n".join(texts), encoding="utf-8")
        # Another process may have been faster.
        if not _folder().exists():
            part.rename(_folder())


def _need_go() -> None:
    needed = ".".join(map(str, _LEAST_GO))
    if shutil.which("go") is None:
        raise CannotBuild(f"Kubernetes is built with Go {needed} or newer, which is not installed")
    # Go 1.21 and newer fetch the version that go.mod asks for by themselves.
    said = _go("version", timeout_s=_LOOK_S)
    found = re.search(r"\bgo(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < _LEAST_GO:
        raise CannotBuild(f"Kubernetes is built with Go {needed} or newer; here is {said.strip()}")


def _go(*arguments: str, timeout_s: float) -> str:
    env = os.environ | {"GOFLAGS": "", "CGO_ENABLED": "0"}
    try:
        done = subprocess.run(  # noqa: S603, the command is ours
            ["go", *arguments],  # noqa: S607, wherever Go is installed
            cwd=_HERE,
            env=env,
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotBuild(f"go {arguments[0]} took longer than {timeout_s:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise CannotBuild(f"go {arguments[0]} failed:\n{(error.stderr or error.stdout)[-2000:]}") from error
    return done.stdout
