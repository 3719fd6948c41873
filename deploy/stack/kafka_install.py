"""Apache Kafka's jars in .cache/kafka, copied there by Maven once, and the Java that runs them."""

import shutil
import subprocess
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent
POM = _ROOT / "deploy" / "kafka" / "pom.xml"
LOGGING = _ROOT / "deploy" / "kafka" / "log4j2.properties"
_CACHE = _ROOT / ".cache" / "kafka"
_INSTALL = "sudo apt-get install --yes openjdk-17-jre-headless maven"
_DOWNLOAD_TIMEOUT_S = 600


class MissingTool(RuntimeError):
    """A program that Kafka needs is not installed; the text says the one command that installs it."""


def java() -> str:
    """Path of the Java runtime. Raises MissingTool."""
    return _tool("java")


def jars() -> Path:
    """Folder with the broker, its tools and all they need, fetched if it isn't there. Raises MissingTool, RuntimeError.

    It is named after the version: a newer one in pom.xml is fetched beside it.
    """
    folder = _CACHE / _version()
    if not folder.exists():
        _fetch(folder)
    return folder


def class_archive() -> Path:
    """Where the JVM keeps the broker's classes as it wants them in memory: a start then costs a fifth less CPU."""
    return _CACHE / f"{_version()}.jsa"


def _version() -> str:
    _, _, rest = POM.read_text().partition("<kafka.version>")
    return rest.partition("<")[0]


def _fetch(folder: Path) -> None:
    maven = _tool("mvn")
    print(f"Kafka {folder.name}: Maven fetches 45 MB, once …", flush=True)  # noqa: T201, the one sign of a long wait
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        part = Path(scratch) / "jars"
        command = [maven, "--quiet", "--batch-mode", "--file", str(POM), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={part}"]
        try:
            done = subprocess.run(command, check=False, timeout=_DOWNLOAD_TIMEOUT_S, capture_output=True)  # noqa: S603, ours
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"Kafka could not be fetched within {_DOWNLOAD_TIMEOUT_S} s") from error
        if done.returncode:
            raise RuntimeError(f"Kafka could not be fetched:\n{done.stdout.decode(errors='replace')[-800:]}")
        # Another process may have been faster.
        if not folder.exists():
            part.rename(folder)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingTool(f"Kafka needs {name}, which is not installed: {_INSTALL}")
    return path
