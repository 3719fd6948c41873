"""What a running stack leaves for other commands: stack.json, one entry for each process."""

import json
import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.stack.secret_files import write_secret

FOLDER = Path(__file__).resolve().parents[2] / "out" / "stack"
NAME = "stack.json"

_STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One process.

    Attributes:
        role: server, camera or service.
        name: unique in the stack.
        born: clock tick of the machine at which it started; with it the pid can't be mistaken for another's.
        address: what clients connect to, or what it works on.
        health: URL of /ready, empty where there is none; `metrics` likewise.
    """

    role: str
    name: str
    pid: int
    born: int
    address: str
    log: str
    health: str = ""
    metrics: str = ""

    def runs(self) -> bool:
        """True while this very process runs."""
        return _born(self.pid) == self.born


def entry(role: str, name: str, pid: int, address: str, log: Path, health: str = "", metrics: str = "") -> Entry:
    """The entry of a process that runs now."""
    return Entry(role, name, pid, _born(pid) or 0, address, str(log), health, metrics)


def save(folder: Path, entries: Iterable[Entry]) -> None:
    """Writes stack.json, in the order in which the processes are to be ended."""
    grouped: dict[str, list[dict[str, Any]]] = {"cameras": [], "services": [], "servers": []}
    for each in entries:
        grouped[f"{each.role}s"].append(asdict(each))
    write_secret(folder / NAME, (json.dumps(grouped, indent=2) + "\n").encode())


def load(folder: Path) -> list[Entry]:
    """The entries of a folder, none where no stack was started."""
    path = folder / NAME
    if not path.exists():
        return []
    return [Entry(**each) for group in json.loads(path.read_text()).values() for each in group]


def end(each: Entry, timeout_s: float = _STOP_S) -> bool:
    """Ends a process and what it started: politely, after `timeout_s` by force. True if it had to be forced."""
    if not each.runs():
        return False
    _signal(each, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while each.runs() and time.monotonic() < deadline:
        time.sleep(0.05)
    forced = each.runs()
    # Also where it ended by itself: what it started may be left.
    _signal(each, signal.SIGKILL)
    while each.runs():
        time.sleep(0.05)
    return forced


def alive(entries: Sequence[Entry]) -> list[Entry]:
    """Those that run."""
    return [each for each in entries if each.runs()]


def _signal(each: Entry, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(each.pid, number)


def _born(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where it is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold spaces and brackets.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
