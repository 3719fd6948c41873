"""What it costs to read the site file of so many cameras: `python -m tests.bench.site_file 2000 22000`."""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from services.policy.site import load_site


def write(folder: Path, cameras: int) -> Path:
    """A site with as many cameras, two policies, and overrides at every tenth."""
    lines = ["name: city", "cameras:"]
    for number in range(cameras):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        lines += [f"  - id: camera-{number:05d}", f"    source: rtsp://viewer:${{PASSWORD}}@{address}/stream1"]
        lines += [f"    policy: {'public' if number % 3 else 'transit'}"]
        if not number % 10:
            lines += ["    overrides: {detection: {every_max: 10}}"]
    path = folder / "site.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def measure(cameras: int) -> str:
    """CPU seconds and growth of memory of this process, as one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), cameras)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        load_site(path, {"PASSWORD": "secret"})
        seconds = time.process_time() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        return f"{cameras} cameras, {path.stat().st_size / 1e6:.1f} MB: {seconds:.1f} s of CPU, {grown:.0f} MB at most"


def main() -> None:
    """Measures each number in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.site_file", description=__doc__)
    parser.add_argument("cameras", type=int, nargs="+", help="how many cameras")
    numbers = parser.parse_args().cameras
    if len(numbers) == 1:
        sys.stdout.write(measure(numbers[0]) + "\n")
        return
    for number in numbers:
        subprocess.run([sys.executable, "-m", "tests.bench.site_file", str(number)], check=True)


if __name__ == "__main__":
    main()
