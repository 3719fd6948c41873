"""Makes the environment that Triton Inference Server runs in: `python -m deploy.triton.environment`.

The server comes from the wheel nvidia-pytriton, which carries the binary and its Python backend. It needs numpy
before 2, so it lives apart from Veil's own environment, with the very ONNX Runtime that Veil has: the
same boxes to the last bit.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from ctypes.util import find_library
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).parents[2]
FOLDER = _ROOT / ".cache" / "triton-venv"
COMMAND = "python -m deploy.triton.environment"

_SERVER = "nvidia-pytriton==0.7.0"
_NUMPY = "numpy==1.26.4"
_GLIBC = (2, 35)
_PYTHONS = ((3, 11), (3, 12))
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_TIMEOUT_S = 900


class EnvironmentMissing(Exception):
    """Triton can't run here, or its environment is not made; the text says what to do."""


class TritonEnvironment:
    """The installed server.

    Attributes:
        tritonserver: the program.
        backends: folder to give as --backend-directory.
        variables: what the server and its Python backend need to find their packages.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        packages = folder / "lib" / f"python{_PYTHON}" / "site-packages"
        server = packages / "pytriton" / "tritonserver"
        self.tritonserver = server / "bin" / "tritonserver"
        self.backends = server / "backends"
        self.stamp = folder / ".installed"
        self.stub = server / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub"
        self.variables = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(packages)}
        if (libraries := _libpython_folder()) is not None:
            self.variables["LD_LIBRARY_PATH"] = str(libraries)


def find() -> TritonEnvironment:
    """The installed environment. Raises EnvironmentMissing, with the command that makes it."""
    _check_machine()
    environment = TritonEnvironment()
    if not environment.stamp.is_file() or environment.stamp.read_text() != _wanted():
        raise EnvironmentMissing(f"Triton is not installed: run `{COMMAND}`")
    return environment


def install() -> TritonEnvironment:
    """Makes the environment if it is not there. Raises EnvironmentMissing with one sentence."""
    _check_machine()
    environment = TritonEnvironment()
    if environment.stamp.is_file() and environment.stamp.read_text() == _wanted():
        return environment
    shutil.rmtree(FOLDER, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(FOLDER)])
    pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Only the binary is wanted of this package: what it depends on serves its own Python interface.
    _run([*pip, "--no-deps", _SERVER])
    _run([*pip, *_wanted().split()[1:]])
    shutil.copy(environment.stub, environment.backends / "python")
    environment.stamp.write_text(_wanted())
    return environment


def _wanted() -> str:
    return f"{_SERVER} {_NUMPY} onnxruntime=={version('onnxruntime')}"


def _check_machine() -> None:
    machine, (libc, release) = platform.machine(), platform.libc_ver()
    if sys.platform != "linux" or machine != "x86_64" or libc != "glibc":
        raise EnvironmentMissing(f"Triton's wheel is for Linux on x86_64 with glibc, and this is {machine} with {libc}")
    if tuple(int(part) for part in release.split(".")[:2]) < _GLIBC:
        raise EnvironmentMissing(f"Triton's wheel needs glibc 2.35 or newer, and this machine has {release}")
    if sys.version_info[:2] not in _PYTHONS:
        raise EnvironmentMissing(f"Triton's Python backend needs Python 3.11 or 3.12, and this is {_PYTHON}")
    if _libpython_folder() is None and find_library(f"python{_PYTHON}") is None:
        library = f"libpython{_PYTHON}"
        raise EnvironmentMissing(f"Triton's Python backend needs {library}: run `apt-get install {library}`")


def _libpython_folder() -> Path | None:
    """Where this Python keeps its own library, if it has one: one from elsewhere may be of another patch level."""
    folder = Path(str(sysconfig.get_config_var("LIBDIR")))
    return folder if (folder / f"libpython{_PYTHON}.so.1.0").is_file() else None


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the commands are ours
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentMissing(f"`{' '.join(command)}` did not end within {_TIMEOUT_S} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EnvironmentMissing(f"Triton can't be installed: {last}")


def main() -> int:
    """The command line. Returns its exit status."""
    try:
        environment = install()
    except EnvironmentMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Triton is installed: {environment.tritonserver}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
