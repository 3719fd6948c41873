"""Runs programs as processes and reads what they cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Usage:
    """What one process and the children it waited for cost.

    Attributes:
        cpu_s: user and system time of all threads.
        wall_s: from start to end.
        peak_rss_mb: of the largest of its processes.
    """

    cpu_s: float
    wall_s: float
    peak_rss_mb: float


def measured(command: Sequence[str], deadline_s: float = 1800.0) -> Usage:
    """Runs a program to its end. Raises RuntimeError with its last words if it fails or overruns the deadline."""
    # A child's peak memory begins at its parent's, so that the parent has to be a small one.
    spawner = [sys.executable, "-S", str(Path(__file__).with_name("spawn.py")), str(deadline_s), *command]
    done = subprocess.run(spawner, capture_output=True, text=True, timeout=deadline_s + 30, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr[-800:]}")
    return Usage(**json.loads(done.stdout.splitlines()[-1]))


@dataclass(frozen=True)
class Residence:
    """Resident memory of one process over time.

    Attributes:
        seconds, megabytes: the samples, (n,).
        finished: the process came to its own end before the time was up.
    """

    seconds: np.ndarray
    megabytes: np.ndarray
    finished: bool

    @property
    def growth_mb_per_min(self) -> float:
        """Slope of a straight line through the second half: the first half is filling buffers."""
        late = self.seconds >= self.seconds[-1] / 2
        return float(np.polyfit(self.seconds[late], self.megabytes[late], 1)[0] * 60)


def residence(command: Sequence[str], limit_s: float, every_s: float = 1.0) -> Residence:
    """Samples a program's resident memory until it ends or `limit_s` is over; then it is stopped.

    Raises RuntimeError if the program fails, or ends before there are ten samples.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    started = time.monotonic()
    samples = []
    try:
        while process.poll() is None and time.monotonic() - started < limit_s:
            samples.append((time.monotonic() - started, _resident_mb(process.pid)))
            time.sleep(every_s)
        finished = process.poll() is not None
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
    if finished and process.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {process.returncode}")
    if len(samples) < 10:
        raise RuntimeError(f"only {len(samples)} samples of memory: the video is too short")
    # The last sample may fall into the process's end.
    seconds, megabytes = np.array(samples[:-1]).T
    return Residence(seconds, megabytes, finished)


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
