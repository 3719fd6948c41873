"""A server as a child process: started with its output in a file, waited for, stopped with everything it started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_LOG_TAIL = 2000


class StartError(Exception):
    """A server did not come up; the text ends with the last lines of its log."""


class ServerProcess:
    """One server in a process group of its own.

    Args:
        name: for messages.
        command: program and arguments.
        log: file that takes its output; added to on every start.
        env: variables beside the inherited ones.
        cwd: folder it runs in.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.env = dict(env or {})
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process. Raises RuntimeError before `start`."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it; returns at once."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, the command is ours
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Waits until `ready` says so. Raises StartError if the process ends before, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise StartError(f"{self.name} ended at its start:\n{self._last_lines()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} is not ready after {timeout_s:.0f} s:\n{self._last_lines()}")
            time.sleep(0.1)

    def stop(self, timeout_s: float = 20.0) -> None:
        """Asks it to end; ends it by force after `timeout_s`."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()

    def leave(self, grace_s: float) -> None:
        """Asks it to end. Raises StartError if it doesn't within `grace_s`, or not in peace."""
        self.stop(grace_s)
        if self._process is not None and self._process.returncode != 0:
            raise StartError(f"{self.name} left with {self._process.returncode}:\n{self._last_lines()}")

    def kill(self) -> None:
        """Ends it, and what it started, at once."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _last_lines(self) -> str:
        return self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
