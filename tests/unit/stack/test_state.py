"""What a stack writes down, and how it is ended by that: these very processes and no others."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.stack import state
from deploy.stack.down import take_down
from deploy.stack.process import ServerProcess, StartError
from deploy.stack.stack import _clear

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)",
]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess("sleeper", SLEEP, tmp_path / "log")
    process.start()
    yield process
    process.kill()


def test_entries_come_back_as_they_were_written_and_in_the_order_of_ending(
    tmp_path: Path, sleeper: ServerProcess
) -> None:
    made = [
        state.entry(role, name, sleeper.pid, "here", sleeper.log, health="h", metrics="m")
        for role, name in (("camera", "gate"), ("service", "decoder"), ("service", "encoder"), ("server", "kafka-1"))
    ]
    state.save(tmp_path, made)
    assert state.load(tmp_path) == made
    assert state.alive(made) == made
    assert (tmp_path / state.NAME).stat().st_mode & 0o077 == 0
    assert state.load(tmp_path / "elsewhere") == []


def test_a_process_is_ended_and_its_children_too(tmp_path: Path) -> None:
    child = f"import subprocess; subprocess.run({STUBBORN!r})"
    process = ServerProcess("parent", [sys.executable, "-c", child], tmp_path / "log")
    process.start()
    process.wait_until(lambda: b"on" in process.log.read_bytes(), 5)
    (child_pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    left = state.entry("server", "child", int(child_pid), "", process.log)
    assert left.runs()
    each = state.entry("server", "parent", process.pid, "", process.log)
    assert not state.end(each, timeout_s=5)
    assert not each.runs()
    process.stop()
    deadline = time.monotonic() + 5
    while left.runs() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left.runs()


def test_one_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    process = ServerProcess("stubborn", STUBBORN, tmp_path / "log")
    process.start()
    process.wait_until(lambda: b"on" in process.log.read_bytes(), 5)
    each = state.entry("server", "stubborn", process.pid, "", process.log)
    assert state.end(each, timeout_s=0.3)
    assert not each.runs()
    process.stop()


def test_another_process_that_got_the_pid_is_left_alone(tmp_path: Path, sleeper: ServerProcess) -> None:
    recorded = state.entry("server", "kafka-1", sleeper.pid, "", sleeper.log)
    reused = replace(recorded, born=recorded.born - 1)
    assert not reused.runs()
    state.save(tmp_path, [reused])
    take_down(tmp_path)
    assert sleeper.running
    state.save(tmp_path, [recorded])
    take_down(tmp_path)
    assert not sleeper.running


def test_a_folder_that_is_not_a_stacks_is_not_cleared(tmp_path: Path, sleeper: ServerProcess) -> None:
    folder = tmp_path / "stack"
    _clear(folder)
    (folder / "photos").write_text("mine")
    with pytest.raises(StartError, match="name another folder"):
        _clear(folder)
    state.save(folder, [state.entry("server", "kafka-1", sleeper.pid, "", sleeper.log)])
    with pytest.raises(StartError, match="runs from"):
        _clear(folder)
    sleeper.kill()
    _clear(folder)
    assert list(folder.iterdir()) == []
