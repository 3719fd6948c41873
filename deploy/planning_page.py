"""Fills the plans in docs/planning.md from the planner and its figures: `python -m deploy.planning_page`."""

import shlex
from pathlib import Path

from typer.testing import CliRunner

from services.cli import app
from services.planning.calibration import Calibration, calibration, gpus
from services.policy.reference import with_tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "planning.md"

_CITY = "plan --cameras 22000"
_REST = "--cadence 5 --retention 30 --replication 3 --prices docs/examples/prices.yaml"
PLANS = {
    "city": f"{_CITY} --cell 256 --resolution 1920x1080 --fps 25 --bitrate 4 {_REST}",
    "city-gpu": f"{_CITY} --cell 256 --resolution 1920x1080 --fps 25 --bitrate 4 {_REST} --encoder-threads 4 --gpu t4",
    "city-slow": f"{_CITY} --cell 224 --resolution 1920x1080 --fps 10 --bitrate 2 {_REST} --encoder-threads 4 --gpu t4 "
    "--crowding 7",
}
"""Name on the page → the command that makes it."""


def filled(page: str) -> str:
    """The page with its tables made anew."""
    tables = {name: _said(command) for name, command in PLANS.items()}
    return with_tables(page, {**tables, "measured": _measured(calibration()), "published": _published()})


def _said(command: str) -> str:
    """A plan under the command that makes it."""
    words = [str(ROOT / word) if word.startswith("docs/") else word for word in shlex.split(command)]
    done = CliRunner().invoke(app, [*words, "--markdown"], catch_exceptions=False)
    if done.exit_code:
        raise ValueError(f"veil {command}: {done.stderr}")
    return f"`veil {command}`\n\n{done.stdout.strip()}\n"


def _measured(figures: Calibration) -> str:
    stages = figures.stages
    rows = [(name, "frame", getattr(stages, name)) for name in ("decoder", "fused_renderer", "fused_encoder")]
    rows += [(name, "frame", getattr(stages, name)) for name in ("renderer", "encoder")]
    rows += [(name, "look", getattr(stages, name)) for name in ("look", "inference", "tracker")]
    rows += [(f"{name}, network", "look", cost) for name, cost in figures.detectors.items()]
    lines = ["| what | for each | ms | ms for each megapixel | spread |", "|---|---|---|---|---|"]
    lines += [
        f"| {name.replace('_', ' ')} | {of} | {cost.each:.2f} | {cost.per_megapixel:.2f} | {cost.spread:.0%} |"
        for name, of, cost in rows
    ]
    return "\n".join(lines) + "\n"


def _published() -> str:
    lines = ["| GPU | detection | decoding, one engine | encoding | sources |", "|---|---|---|---|---|"]
    for gpu in gpus().values():
        detect = f"{gpu.detect.megapixels_per_s:.0f} megapixels/s: {gpu.detect.network}" if gpu.detect else "no figure"
        decode = f"{gpu.decode.frames_per_s:g} frames/s" if gpu.decode else "no figure"
        encode = f"{gpu.encode.frames_per_s:g} frames/s" if gpu.encode else "no figure"
        figures = (figure for figure in (gpu.detect, gpu.decode, gpu.encode) if figure is not None)
        sources = dict.fromkeys(source for figure in figures for source in figure.sources)
        links = ", ".join(f"[{number}]({source})" for number, source in enumerate(sources, start=1))
        lines.append(f"| {gpu.name} | {detect} | {decode} | {encode} | {links} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
