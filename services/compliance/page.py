"""The report as one page that prints well: no script, no picture, light on ink."""

from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from services import __version__
from services.compliance.checklist import FRAMEWORKS, Framework, Judgement, Point, Status
from services.compliance.facts import Facts

_WORDS = {Status.MET: "met", Status.NOT_MET: "not met", Status.DECIDE: "to decide"}


def page(facts: Facts, frameworks: Sequence[Framework] = tuple(FRAMEWORKS.values())) -> str:
    """The report as HTML.

    Args:
        facts: as gathered.
        frameworks: whose points are judged.
    """
    templates = Environment(
        loader=PackageLoader("services.compliance", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.filters |= {"clock": _clock, "day": _day, "size": _size, "joined": ", ".join}
    judged = [(each, [(point, point.judge(facts)) for point in each.points]) for each in frameworks]
    requests = {each.id: each for camera in facts.cameras for each in camera.requests or ()}
    return templates.get_template("page.html.j2").render(
        facts=facts,
        judged=judged,
        tally=[(framework, _tally(points)) for framework, points in judged],
        words=_WORDS,
        requests=sorted(requests.values(), key=lambda each: each.due),
        cameras_of={
            name: [camera.id for camera in facts.cameras if any(name == each.id for each in camera.requests or ())]
            for name in requests
        },
        version=__version__,
    )


def _tally(points: Sequence[tuple[Point, Judgement]]) -> dict[str, int]:
    return {status.value: sum(judgement.status is status for _, judgement in points) for status in Status}


def _clock(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M}"


def _day(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
