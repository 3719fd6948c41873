"""`make stack-down`: ends a stack by what it wrote down, in the order of the flow."""

import time
from pathlib import Path

from rich.console import Console

from deploy.stack import state

_console = Console(highlight=False, soft_wrap=True)


def down(folder: Path) -> int:
    """Runs the command; returns its exit status."""
    if not state.alive(state.load(folder)):
        _console.print("Nothing runs.")
        return 0
    take_down(folder)
    _console.print(f"Logs and data stay in {folder} until the next start.")
    return 0


def take_down(folder: Path) -> None:
    """Ends every process of the stack in this folder; the cameras first, the broker last."""
    for each in state.load(folder):
        if not each.runs():
            _console.print(f"{each.name} was gone already; see {each.log}")
            continue
        began = time.monotonic()
        forced = state.end(each)
        how = "had to be killed after" if forced else "ended in"
        _console.print(f"{each.name} {how} {time.monotonic() - began:.1f} s")
