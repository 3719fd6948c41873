"""Proves what masks are worth: `python -m tests.eval.run [--short] [--only SECTION …]`.

Sections: exposure (what stays exposed, by size), networks (the same with Veil's own network), attack (re-identification
of masked faces), many_frames (a face that moves under its mask), plates_readable, seal (masked, but still useful for
machines), over_masking, cost. Each can be measured alone; the others keep their figures in eval.json. A whole run draws
the curves in docs/ anew.

Without the shared data, what is made from packages or drawn is measured, and the tables say so. The short form is what
the tests run: exposure, attack, many_frames, plates_readable and seal on little.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Table

from tests.eval import (
    attack,
    comparison,
    cost,
    curves,
    golden,
    many_frames,
    networks,
    over_masking,
    plates,
    report,
    seal,
)
from tests.eval.exposure import Exposure
from tests.support.scene_sources import REPOSITORY, shared_sources

OUT = REPOSITORY / "out" / "eval"
DOCS = REPOSITORY / "docs"
SECTIONS = ("exposure", "networks", "attack", "many_frames", "plates_readable", "seal", "over_masking", "cost")
SHORT_SECTIONS = ("exposure", "attack", "many_frames", "plates_readable", "seal")


@dataclass
class Run:
    """One run over some sections.

    Attributes:
        whole: eval.json.
        groups: what the exposure section was made of, if it was measured.
    """

    path: Path
    short: bool
    console: Console
    whole: dict[str, dict[str, object]] = field(default_factory=dict)
    groups: dict[str, dict[str, Exposure]] = field(default_factory=dict)

    def keep(self, name: str, section: dict[str, object]) -> None:
        """Puts one section into the file at once: what comes after it may take long."""
        key = f"{name}_short" if self.short else name
        # Groups of exposure can be measured one at a time; every other section is whole.
        self.whole[key] = {**self.whole.get(key, {}), **section} if name == "exposure" else section
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.whole, indent=2, ensure_ascii=False) + "\n")

    def say(self, words: str) -> None:
        self.console.print(words, style="dim", highlight=False)


def exposure(run: Run, group: str | None) -> None:
    """What every program leaves exposed; of one group of videos if it is named."""
    run.groups = comparison.measure(short=run.short, only=group, say=run.say)
    for name, results in run.groups.items():
        run.console.print(report.table(results, f"Exposed: {name}"))
    run.keep("exposure", comparison.section_of(run.groups))


def named(run: Run, section: str, measure: Callable[..., dict], table: Callable[[str, dict], Table]) -> None:
    """A section with one table for each set of faces."""
    figures = measure(short=run.short, say=run.say)
    for name, each in figures.items():
        run.console.print(table(name, each))
    run.keep(section, figures)


def by_network(run: Run) -> None:
    """What stays exposed with other networks."""
    figures = networks.measure(short=run.short, say=run.say)
    for name, results in figures.items():
        run.console.print(networks.table(name, results))
    run.keep("networks", {name: report.as_json(results) for name, results in figures.items()})


def readable(run: Run) -> None:
    """Plates read under masks."""
    figures = plates.measure(short=run.short, say=run.say)
    run.console.print(plates.table(figures))
    run.keep("plates_readable", figures)


def masked_for_nothing(run: Run) -> None:
    """Over-masking; by program it follows from the exposure section, measured now or before."""
    figures = over_masking.measure(run.whole.get("exposure", {}), run.say)
    run.console.print(over_masking.table(figures))
    run.keep("over_masking", figures)


def costs(run: Run) -> None:
    """Milliseconds of kinds and modes."""
    figures = cost.measure(say=run.say)
    run.console.print(cost.table(figures))
    run.keep("cost", figures)


def sealed(run: Run) -> None:
    """What the mode `seal` keeps for machines and hides from people; needs the shared data."""
    figures = seal.measure(run.say, **(seal.SHORT if run.short else {}))
    if figures:
        run.console.print(seal.table(figures))
        run.keep("seal", figures)


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, object]]:
    """Measures, prints, keeps; returns all of eval.json."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.eval.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="the short form")
    parser.add_argument("--golden", action="store_true", help="keep the figures of a short run as the golden ones")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, metavar="SECTION", help="these sections; the others keep their figures"
    )
    parser.add_argument("--group", choices=comparison.GROUPS, help="of exposure, this group of videos only")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of eval.json")
    options = parser.parse_args(arguments)
    if options.golden and not options.short:
        parser.error("--golden goes with --short")
    cv2.setNumThreads(1)
    path = options.out / "eval.json"
    run = Run(path, options.short, Console(width=150), json.loads(path.read_text()) if path.is_file() else {})
    if shared_sources() is None:
        run.say("The shared data is absent: only what is made from packages or drawn is measured.")
    sections: dict[str, Callable[[], None]] = {
        "exposure": lambda: exposure(run, options.group),
        "networks": lambda: by_network(run),
        "attack": lambda: named(run, "attack", attack.measure, attack.table),
        "many_frames": lambda: named(run, "many_frames", many_frames.measure, many_frames.table),
        "plates_readable": lambda: readable(run),
        "seal": lambda: sealed(run),
        "over_masking": lambda: masked_for_nothing(run),
        "cost": lambda: costs(run),
    }
    for name in options.only or (SHORT_SECTIONS if options.short else SECTIONS):
        sections[name]()
    if options.golden:
        golden.write(run.groups, run.whole)
    if not options.short:
        run.console.print(report.headlines(run.whole))
        for picture in curves.draw(run.whole, DOCS):
            run.say(f"drawn: {picture.relative_to(REPOSITORY)}")
    return run.whole


if __name__ == "__main__":
    main()
