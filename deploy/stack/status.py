"""`make stack-status`: what of a stack runs, and where."""

from pathlib import Path

from rich.console import Console

from deploy.stack import state
from deploy.stack.up import show

_console = Console(highlight=False, soft_wrap=True)


def status(folder: Path) -> int:
    """Runs the command; the exit status is 1 unless everything runs."""
    recorded = state.load(folder)
    if not recorded:
        _console.print(f"No stack was started in {folder}; `make stack` starts one.")
        return 1
    show(folder, recorded)
    return 0 if len(state.alive(recorded)) == len(recorded) else 1
