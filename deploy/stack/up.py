"""`make stack`: brings the whole system up in the background, and says what runs where."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.samples import sample
from deploy.stack import state
from deploy.stack.down import take_down
from deploy.stack.originals import NAME
from deploy.stack.process import StartError
from deploy.stack.services import AUDITOR, VAULT
from deploy.stack.site import CameraPlan
from deploy.stack.stack import Stack, StackOptions
from deploy.triton.environment import EnvironmentMissing
from services.bus.interface import BusLost
from services.detect.catalogue import ModelMissing
from services.media.sources import SourceError
from services.policy.problems import ConfigError

_SAMPLES = ("bikes.mp4", "carphone_pristine.mp4")
_FAILURES = (StartError, BusLost, EnvironmentMissing, ModelMissing, SourceError, ConfigError, RuntimeError, OSError)

_console = Console(highlight=False, soft_wrap=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `up`."""
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="what the cameras play; samples if none")
    parser.add_argument("--cameras", type=int, default=2, metavar="N", help="how many; videos are shared out (2)")
    parser.add_argument("--brokers", type=int, default=1, choices=(1, 3), help="Kafka brokers (1)")
    parser.add_argument("--plain", action="store_true", help="Kafka without TLS, passwords and access rules")
    parser.add_argument("--no-triton", action="store_true", help="detectors in the inference process")
    parser.add_argument("--fused", action="store_true", help="renderer and encoder in one process")
    parser.add_argument("--vault", action="store_true", help="originals are kept, encrypted, in the stack's folder")
    parser.add_argument("--no-auditor", action="store_true", help="nothing looks whether a face or plate still shows")


def up(given: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    folder: Path = given.folder
    recorded = state.load(folder)
    running = state.alive(recorded)
    if running and len(running) == len(recorded):
        show(folder, recorded)
        _console.print("It runs already; `make stack-down` ends it.")
        return 0
    if running:
        _console.print(f"{len(recorded) - len(running)} of {len(recorded)} processes are gone; ending the others first")
        take_down(folder)
    try:
        stack = Stack(folder, plans(given.videos, given.cameras), options_of(given), _console.print)
        stack.start()
    except _FAILURES as failure:
        _console.print(f"[bold red]error:[/] {str(failure).replace('[', chr(92) + '[')}")
        _console.print("Everything that was started has been ended.")
        return 1
    except KeyboardInterrupt:
        _console.print("Interrupted; everything that was started has been ended.")
        return 130
    show(folder, stack.entries())
    _suggest(stack)
    return 0


def plans(videos: Sequence[Path], cameras: int) -> list[CameraPlan]:
    """Cameras named camera-1, camera-2, … that play these videos in turn."""
    chosen = list(videos) or [sample(name) for name in _SAMPLES]
    return [CameraPlan(f"camera-{number + 1}", chosen[number % len(chosen)]) for number in range(cameras)]


def options_of(given: argparse.Namespace) -> StackOptions:
    """What the command line asks for."""
    return StackOptions(
        brokers=given.brokers,
        secure=not given.plain,
        triton=not given.no_triton,
        fused=given.fused,
        auditor=not given.no_auditor,
        vault=given.vault,
    )


def show(folder: Path, entries: Sequence[state.Entry]) -> None:
    """A table of what runs where."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what", no_wrap=True)
    table.add_column("pid", justify="right", no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column(f"log, in {_shown(folder)}", overflow="fold")
    for each in entries:
        pid = str(each.pid) if each.runs() else "[red]gone[/]"
        table.add_row(each.name, pid, each.address, str(Path(each.log).relative_to(folder.absolute())))
    # In a log, unlike a terminal, a long line does no harm.
    _console.print(table, width=None if _console.is_terminal else 120)


def _shown(path: Path) -> Path:
    """A path as seen from here, where that is shorter."""
    return path.absolute().relative_to(Path.cwd()) if path.absolute().is_relative_to(Path.cwd()) else path


def _suggest(stack: Stack) -> None:
    folder, first = _shown(stack.folder), stack.plans[0].camera_id
    tail = f"veil tail video.redacted --camera {first} --env {folder}/control-centre.env"
    _console.print(f"""
Each service has /ready, /live and /metrics. Try next:

  veil watch --stack {folder}/{state.NAME}
  {tail} | ffplay -
  ffplay -rtsp_transport tcp {stack.media.url(f"masked/{first}")}
  make stack-status
  make stack-down""")
    if VAULT in stack.services:
        _console.print(f"  (set -a; . {folder}/{NAME}.env; veil vault list --purpose 'to see what is kept')")
    if AUDITOR in stack.services:
        _console.print(f"  veil tail audit --env {folder}/{AUDITOR}.env")
