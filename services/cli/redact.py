"""`veil redact`: masks one file, or every video of a folder."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.batch import Extras, Plan, failure_code, plan_batch, plan_one
from services.cli.console import EXIT_CODES, complain, debugging, fail, say, tells_errors
from services.cli.progress import ProgressShow
from services.embedded.errors import ExitCode, RunError
from services.policy.loader import is_preset, load_policy
from services.policy.model import Policy, Profile
from services.policy.yamltree import Layer
from services.report.summary import RunSummary

EPILOG = f"""[bold]Examples[/]

[green]veil redact street.mp4 masked.mp4[/]  faces and plates, with the preset for public places

[green]veil redact lobby.avi out.mp4 --policy bank --report report.html[/]  another preset, and a page to look at

[green]veil redact yard.mp4 out.mp4 --kinds face,plate,person --mode solid[/]  nothing but plain colour

[green]veil redact recordings/ masked/ --summary figures/[/]  every video of a folder; run again to go on

{EXIT_CODES}"""


@tells_errors
def redact(
    source: Annotated[str, typer.Argument(metavar="IN", help="A video file, or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Masked .mp4 or .mkv, or a folder.")],
    policy: Annotated[
        str, typer.Option("--policy", "-p", metavar="P", help="A preset (see `veil policy list`) or a policy file.")
    ] = "public",
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="solid, mosaic, blur, seal or silhouette (these two for bodies, else mosaic), not the policy's way.",
        ),
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option(metavar="K,K", help="What is masked, with commas: face, plate, person, head, motion, text, logo."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="live|evidence", help="How far to look ahead; evidence for presets unless said otherwise."
        ),
    ] = None,
    strength: Annotated[float | None, typer.Option(metavar="N", help="0.5 to 4; above 1 masks more coarsely.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="PATH", help="Write a page to look at (HTML).")] = None,
    summary: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the figures (JSON).")] = None,
    metadata: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write anonymous tracks and statistics (JSON lines).")
    ] = None,
    review: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the masks down to edit them: see `veil review`.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace files that are there already.")
    ] = False,
    keep_sound: Annotated[
        bool, typer.Option("--keep-sound", metavar="", help="Keep the sound; voices identify people.")
    ] = False,
    badge: Annotated[
        bool, typer.Option("--badge", metavar="", help="Mark the picture as redacted in a corner.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", metavar="", help="End with code 6 if any frame had to be closed.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", metavar="", help="Say nothing unless something is wrong.")
    ] = False,
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the models are; VEIL_MODELS or the usual place.")
    ] = None,
) -> None:
    """Masks a video file, or every video of a folder. The masked file gets its name only when it is whole."""
    if "://" in source:
        fail("redact takes files; for cameras write a site file and use `veil run`", ExitCode.USAGE)
    chosen = load_policy(policy, overrides(policy, mode, kinds, profile, strength, keep_sound, badge))
    if chosen.mode.shows_body and not any(kind.is_body for kind in chosen.kinds) and not quiet:
        say(f"{chosen.mode} is for persons and motion, which this policy does not mask: all else becomes a mosaic")
    extras = Extras(report, summary, metadata)
    if Path(source).is_dir():
        if review is not None:
            fail("--review is for one file; name the file", ExitCode.USAGE)
        plans = plan_batch(Path(source), target, extras, overwrite)
        closed = _mask_all(plans, chosen, models, quiet)
    else:
        closed = _mask(plan_one(Path(source), target, extras, overwrite), chosen, models, quiet, review).closed
    if strict and closed:
        raise typer.Exit(ExitCode.CLOSED)


def overrides(
    policy: str,
    mode: str | None,
    kinds: str | None,
    profile: str | None,
    strength: float | None,
    keep_sound: bool,
    badge: bool,
) -> Layer:
    """What the options say of the policy."""
    if profile is None and is_preset(policy):
        profile = Profile.EVIDENCE.value
    given = {
        "mode": mode,
        "kinds": [kind.strip() for kind in kinds.split(",") if kind.strip()] if kinds is not None else None,
        "profile": profile,
        "strength": strength,
        "sound": "keep" if keep_sound else None,
        "badge": badge or None,
    }
    return Layer.of({key: value for key, value in given.items() if value is not None}, "command line")


def _mask(plan: Plan, policy: Policy, models: Path | None, quiet: bool, review: Path | None = None) -> RunSummary:
    # Here, because the line brings FFmpeg, OpenCV and ONNX Runtime along, and --help should not wait for them.
    from services.embedded.redact import RedactJob, redact_file
    from services.review.export import ExportJob, export_review
    from services.runtime.logs import configure_logs

    configure_logs("DEBUG" if debugging() else "CRITICAL")
    extras = plan.extras
    also = extras.report, extras.summary, extras.metadata, models
    with ProgressShow(plan.input.name, quiet=quiet) as show:
        if review is None:
            summary = redact_file(RedactJob(plan.input, plan.output, policy, *also), show)
        else:
            summary = export_review(ExportJob(plan.input, review, policy, plan.output, *also), show)
    if not quiet:
        say(_sentence(plan, summary))
    return summary


def _mask_all(plans: list[Plan], policy: Policy, models: Path | None, quiet: bool) -> int:
    """Masks every file, goes on past a bad one, and returns how many frames were closed."""
    closed, codes = 0, []
    for plan in plans:
        if plan.skip:
            continue
        try:
            closed += _mask(plan, policy, models, quiet).closed
        except RunError as error:
            if error.code is ExitCode.MODEL:
                raise
            complain(str(error))
            codes.append(error.code)
    there = sum(plan.skip for plan in plans)
    if not quiet:
        done = len(plans) - there - len(codes)
        say(f"{done} masked, {len(codes)} failed, {there} already there")
    if codes:
        raise typer.Exit(failure_code(codes))
    return closed


def _sentence(plan: Plan, summary: RunSummary) -> str:
    masks = ", ".join(f"{summary.masked.get(kind, 0)} {kind} masks" for kind in summary.settings["kinds"])
    closed = f"; {summary.closed} frames closed" if summary.closed else ""
    if summary.closed_why:
        why = max(summary.closed_why, key=lambda reason: summary.closed_why[reason])
        closed += f", most often: {why.rstrip('.')}"
    return f"{plan.output}: {summary.frames} frames in {summary.wall_s:.1f} s ({summary.fps:.1f} fps), {masks}{closed}"
