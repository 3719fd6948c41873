"""Makes the training environment: PyTorch on the CPU, without the gigabytes of CUDA that its package asks for.

PyPI has PyTorch for x86-64 with CUDA only, and its libraries refer to CUDA's when they are loaded. Empty libraries of
those names satisfy the loader, for nothing of them is ever called without a GPU: 1.7 GB instead of 5.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".cache" / "train-venv"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

_EMPTY = (
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcudnn.so.9",
    "libcufft.so.12",
    "libcufile.so.0",
    "libcupti.so.13",
    "libcusolver.so.12",
    "libcusparse.so.12",
    "libcusparseLt.so.0",
    "libnccl.so.2",
    "libnvrtc.so.13",
)
_NVSHMEM = "libnvshmem_host.so.3"
"""It has the one variable that is looked for at once; functions are looked for when they are called."""
_NVSHMEM_SOURCE = "int nvshmem_selected_device_transport;\n"
_NVSHMEM_VERSIONS = "NVSHMEM { global: *; };\n"
_LAZY = "import os, sys; sys.setdlopenflags(os.RTLD_LAZY)\n"
_CHECK = "import torch; torch.ones(2, 2) @ torch.ones(2, 2); print(f'PyTorch {torch.__version__} works')"


def make(folder: Path) -> None:
    """Makes the environment in `folder`, or brings it up to date. Raises CalledProcessError if a step fails."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--requirement", str(REQUIREMENTS)], check=True)  # noqa: S603
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    _add_empty_libraries(packages / "torch" / "lib")
    # Python asks for every function at once when it loads a module; this lets the loader wait until one is called.
    (packages / "torch_without_cuda.pth").write_text(_LAZY)
    subprocess.run([str(python), "-c", _CHECK], check=True)  # noqa: S603


def _add_empty_libraries(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source, versions = Path(scratch) / "empty.c", Path(scratch) / "versions"
        source.write_text("")
        for name in _EMPTY:
            _compile(source, folder / name)
        source.write_text(_NVSHMEM_SOURCE)
        versions.write_text(_NVSHMEM_VERSIONS)
        _compile(source, folder / _NVSHMEM, f"-Wl,--version-script={versions}")


def _compile(source: Path, library: Path, *options: str) -> None:
    command = ["gcc", "-shared", f"-Wl,-soname,{library.name}", *options, "-o", str(library), str(source)]
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    make(FOLDER)
