"""Other programs that mask faces in videos, from packages, each in an environment of its own that is made if absent."""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.eval.programs import Program, run
from tests.support.scene_sources import REPOSITORY

_CACHE = REPOSITORY / ".cache"


@dataclass(frozen=True)
class Environment:
    """One virtual environment.

    Attributes:
        folder: where it lies.
        packages: what is installed there with all that it needs.
        bare: what is installed alone.
    """

    folder: Path
    packages: tuple[str, ...]
    bare: tuple[str, ...] = ()

    def python(self) -> str:
        """Its interpreter; makes it first where it is not whole."""
        python, whole = self.folder / "bin" / "python", self.folder / ".installed"
        if not whole.is_file():
            run([sys.executable, "-m", "venv", "--clear", str(self.folder)])
            for packages, options in ((self.packages, ()), (self.bare, ("--no-deps",))):
                if packages:
                    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
                    run([*pip, *options, *packages])
            whole.touch()
        return str(python)


_DEFACE = Environment(_CACHE / "bench-venv", ("deface==1.5.0", "onnx", "onnxruntime"))
# Of what these two ask for, a window toolkit and half a gigabyte of learning libraries are never used.
_FACEBLUR = Environment(
    _CACHE / "faceblur-venv",
    (
        *("absl-py", "attrs", "av==14.0.1", "flatbuffers", "matplotlib", "numpy<2", "opencv-python-headless<4.12"),
        *("pillow", "pillow_heif", "protobuf>=4.25,<5", "pymediainfo", "tqdm"),
    ),
    bare=("faceblur==1.0.0", "mediapipe==0.10.21"),
)


def deface(threads: int = 1) -> Program:
    """The deface package with its default settings; faces only."""
    return Program("deface", lambda source, output: run(deface_command(source, output, threads)), frozenset({"face"}))


def deface_command(source: Path, output: Path, threads: int = 1) -> list[str]:
    """The command line of deface 1.5.0."""
    launcher = REPOSITORY / "tests" / "bench" / "run_deface.py"
    return [_DEFACE.python(), str(launcher), str(threads), str(source), "--output", str(output)]


def faceblur() -> Program:
    """The faceblur package with its default settings: faces only, gaps filled by interpolation.

    It loses the last frames of a video whose frames are not stored in the order they are shown in.
    """

    def mask(source: Path, output: Path) -> None:
        launcher = REPOSITORY / "tests" / "eval" / "run_faceblur.py"
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            run([_FACEBLUR.python(), str(launcher), str(source), "--output", folder, "--threads", "1"])
            shutil.move(Path(folder) / source.name, output)

    return Program("faceblur", mask, frozenset({"face"}), cuts=True)


def face_peers() -> Sequence[Program]:
    """Everyone who masks faces and could be made to run here."""
    return deface(), faceblur()
