"""Writes the report: one HTML page that holds everything it shows and asks nothing of any network."""

import base64
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from services.report import wording
from services.report.chart import ROW, WIDTH, chart
from services.report.files import write_whole
from services.report.summary import RunSummary
from services.report.thumbnails import Thumbnail, interesting_times, thumbnails

_THUMBNAILS = 8


def write_report(path: Path, summary: RunSummary, output: Path | None = None) -> None:
    """Writes the page. Raises OSError; a half-written page never has the name.

    Args:
        path: where the page goes.
        summary: what the run did.
        output: the masked video, for the thumbnails: the only video this module ever opens.
    """
    pictures = thumbnails(output, interesting_times(summary.timeline, _THUMBNAILS)) if output else []
    write_whole(path, render(summary, pictures).encode())


def render(summary: RunSummary, pictures: list[Thumbnail]) -> str:
    """The page as text."""
    kinds = sorted({*summary.masked, *summary.tracks, *summary.settings.get("kinds", ())}, key=wording.order)
    return _template().render(
        s=summary,
        kinds=kinds,
        chart=chart(summary.timeline, kinds, summary.duration_s),
        row=ROW,
        width=WIDTH,
        pictures=[(picture.t_s, base64.b64encode(picture.jpeg).decode()) for picture in pictures],
        settings=wording.settings(summary.settings),
        verdict=wording.verdict(summary),
        limits=wording.limits(kinds),
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters: Mapping[str, object] = {
        "clock": wording.clock,
        "count": wording.count,
        "bytes": wording.size,
        "kind": wording.kind,
        "kind_one": wording.kind_one,
        "day": wording.day,
        "figure": wording.figure,
    }
    environment.filters.update(filters)
    source = (resources.files("services.report") / "page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)
