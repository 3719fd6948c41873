"""Breaks a running system in every way and counts what came of it: `python -m tests.chaos.run [--short]`.

Two RTSP cameras with a known face, plate and frame number in every picture run through broker, Triton and the five
services; each fault strikes while a file of the same kind is read too. Every row of the table is made from the frames
that were captured between shortly before the fault and after the repair. It ends with 1 where a frame is lost, comes
twice or out of order to a viewer, can't be decoded, or shows what it must not.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.bus.clock import now_us
from services.schema import pb
from tests.chaos.faults import FAULTS, Fault, is_marked
from tests.chaos.judge import Account, Judge, total
from tests.chaos.observe import Observer
from tests.chaos.rig import FILE, LIVE, Rig

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "chaos"
_REPORT = "chaos.json"
_BEFORE_S, _AFTER_S = 3.0, 3.0
_FRESH_S = 2.0
_PATIENCE_S = 90.0
_WARM_S = 30.0
_STEP_S = 0.25


@dataclass(frozen=True)
class Row:
    """One line of chaos.json: the fault, the account of all cameras, and the seconds until live pictures were fresh.

    `closed_s` is how long the fault allows a camera to be closed.
    """

    fault: str
    account: Account
    recovery_s: float | None
    letters: int
    bad_letters: int
    closed_s: float

    @property
    def fine(self) -> bool:
        """True where nothing was lost, swapped, unreadable, exposed or closed too long, and the cameras came back."""
        one = self.account
        faults = one.lost + one.out_of_order + one.undecodable + one.exposed + self.bad_letters
        return faults == 0 and one.sent > 0 and self.recovery_s is not None and one.closed_s <= self.closed_s

    def as_json(self) -> dict[str, object]:
        rest = {"recovery_s": self.recovery_s, "dead_letters": self.letters, "bad_dead_letters": self.bad_letters}
        return {"fault": self.fault, **asdict(self.account), **rest}


class Trial:
    """One run of faults after another on one rig."""

    def __init__(self, rig: Rig, observer: Observer, evidence: Path) -> None:
        self._rig = rig
        self._observer = observer
        self._judges = {name: Judge(observer.cameras[name], rig.truths, evidence) for name in (*LIVE, FILE)}

    def warm_up(self, seconds: float) -> None:
        """Waits until live pictures are fresh, and lets what came before them in the first moments drain."""
        if self._wait_fresh(now_us()) is None:
            raise TimeoutError(f"no fresh picture of every camera came within {_PATIENCE_S:g} s")
        time.sleep(seconds)

    def strike(self, fault: Fault) -> Row:
        """Lets one fault happen; returns when all that was captured meanwhile has come out, or patience is over."""
        began, letters = now_us(), len(self._observer.letters)
        epochs = set(self._observer.cameras[FILE].ends)
        self._rig.read_file()
        time.sleep(_BEFORE_S)
        fault.strike(self._rig)
        repaired = now_us()
        recovered = self._wait_fresh(repaired)
        self._wait_file(epochs)
        time.sleep(_AFTER_S)
        until = now_us()
        self._wait_out(began, until)
        account = total(judge.account(began, until) for judge in self._judges.values())
        new = self._observer.letters[letters:]
        bad = sum(is_marked(value) or not _is_letter(value) for value in new)
        recovery_s = recovered and round((recovered - repaired) / 1e6, 1)
        return Row(fault.name, account, recovery_s, len(new), bad, fault.closed_s)

    def _wait_fresh(self, after_us: int) -> int | None:
        """When every live camera had shown a fresh open picture again."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            self._observer.check()
            firsts = [self._judges[name].first_fresh(after_us, int(_FRESH_S * 1e6)) for name in LIVE]
            if all(first is not None for first in firsts):
                return max(first for first in firsts if first is not None)
            time.sleep(_STEP_S)
        return None

    def _wait_file(self, before: set[int]) -> None:
        """Until the file that was begun for this fault has been read to its end."""
        deadline = time.monotonic() + _PATIENCE_S
        ends = self._observer.cameras[FILE].ends
        while time.monotonic() < deadline:
            finished = [end for epoch, end in ends.items() if epoch not in before]
            if any(end.reason == pb.EndOfStream.FINISHED and end.frames == self._rig.file_frames for end in finished):
                return
            time.sleep(_STEP_S)
        raise TimeoutError(f"the file was not read to its end: {[(end.frames, end.reason) for end in ends.values()]}")

    def _wait_out(self, from_us: int, until_us: int) -> None:
        """Until everything that was captured in this time has come out, or nothing more does."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            self._observer.check()
            if not any(self._missing(name, from_us, until_us) for name in self._judges):
                return
            time.sleep(_STEP_S)

    def _missing(self, name: str, from_us: int, until_us: int) -> bool:
        camera = self._observer.cameras[name]
        there = {arrival.identity for arrival in list(camera.arrivals)}
        return any(from_us <= at < until_us and identity not in there for identity, at in camera.sent.copy().items())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the faults that take least time")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="faults whose name holds one of these words")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of chaos.json")
    options = parser.parse_args(arguments)
    # Whoever ends this ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [fault for fault in FAULTS if fault.short or not options.short]
    if options.only:
        chosen = [fault for fault in chosen if any(word in fault.name for word in options.only)]
    console = Console(width=150)
    rows = run(chosen, options.out, console, warm_s=0.0 if options.short else _WARM_S)
    console.print(table(rows))
    console.print(f"written to {options.out / _REPORT}")
    return 0 if all(row.fine for row in rows) else 1


def run(faults: Sequence[Fault], folder: Path, console: Console, *, warm_s: float = 0.0) -> list[Row]:
    """Brings the system up, lets the faults happen one after the other, and ends it."""
    folder.mkdir(parents=True, exist_ok=True)
    console.print("bringing the system up …")
    rows = []
    with Rig(folder / "stack") as rig, Observer(rig.stack.settings("admin")) as observer:
        trial = Trial(rig, observer, folder / "exposed")
        trial.warm_up(warm_s)
        for fault in faults:
            row = trial.strike(fault)
            mark = "[green]fine[/]" if row.fine else "[red]NOT FINE[/]"
            console.print(f"{fault.name}: {mark} {row.account}, fresh again after {row.recovery_s} s")
            rows.append(row)
            report = json.dumps([row.as_json() for row in rows], indent=2, ensure_ascii=False)
            (folder / _REPORT).write_text(report + "\n")
    return rows


def table(rows: Sequence[Row]) -> Table:
    """The rows as people read them."""
    made = Table("fault", *Account.__dataclass_fields__, "recovery_s", "dead letters")
    for row in rows:
        style = "" if row.fine else "red"
        made.add_row(
            row.fault,
            *(str(value) for value in asdict(row.account).values()),
            str(row.recovery_s),
            str(row.letters),
            style=style,
        )
    return made


def _is_letter(value: bytes) -> bool:
    letter = pb.DeadLetter.FromString(value)
    return bool(letter.topic and letter.reason and letter.stage)


if __name__ == "__main__":
    sys.exit(main())
