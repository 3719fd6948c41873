"""`veil review`: masks as text that a person may edit, and the same video rendered again from it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import EXIT_CODES, complain, debugging, err, say, tells_errors
from services.cli.progress import ProgressShow
from services.cli.redact import overrides
from services.embedded.errors import ExitCode, RunError
from services.policy.loader import load_policy
from services.policy.problems import ConfigError

if TYPE_CHECKING:
    from services.review.changes import Change

app = typer.Typer(
    help="Masks as text (MOT, as CVAT reads it): edit them, and render the original again.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="[bold]Examples[/]\n\n[green]veil review export street.mp4 --out review/[/]  masks it, writes the masks down"
    "\n\n[green]veil review check review/ --page check.html[/]  what is wrong, and what would become visible"
    "\n\n[green]veil review render review/ street.mp4 out.mp4 --by 'A. Kim' --reason 'a poster, not a face'[/]"
    f"\n\nWhat may be edited is in docs/review.md.\n\n{EXIT_CODES}",
)

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A review folder.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Say nothing unless something is wrong.")]


@app.command()
@tells_errors
def export(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video file.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The review folder to make.")],
    policy: Annotated[
        str, typer.Option("--policy", "-p", metavar="P", help="A preset (see `veil policy list`) or a policy file.")
    ] = "public",
    mode: Annotated[
        str | None, typer.Option(metavar="M", help="How it is masked, instead of the policy's way.")
    ] = None,
    kinds: Annotated[str | None, typer.Option(metavar="K,K", help="What is masked, with commas.")] = None,
    profile: Annotated[str | None, typer.Option(metavar="live|evidence", help="How far to look ahead.")] = None,
    strength: Annotated[float | None, typer.Option(metavar="N", help="0.5 to 4; above 1 masks more coarsely.")] = None,
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the models are; VEIL_MODELS or the usual place.")
    ] = None,
    quiet: _Quiet = False,
) -> None:
    """Masks a video into a review folder: masked.mp4, gt/gt.txt and review.json, ready to edit."""
    chosen = load_policy(policy, overrides(policy, mode, kinds, profile, strength, keep_sound=False, badge=False))
    # Here, because the line brings FFmpeg, OpenCV and ONNX Runtime along, and --help should not wait for them.
    from services.review.export import ExportJob, export_review

    _configure_logs()
    with ProgressShow(source.name, quiet=quiet) as show:
        summary = export_review(ExportJob(source, out, chosen, models_dir=models), show)
    if not quiet:
        tracks = ", ".join(f"{n} {kind} tracks" for kind, n in sorted(summary.tracks.items())) or "no tracks"
        closed = f"; {summary.closed} frames closed" if summary.closed else ""
        say(f"{out}: {summary.frames} frames, {tracks}{closed}")
        say(f"edit {out}/gt/gt.txt and {out}/review.json, then: veil review check {out}")


@app.command()
@tells_errors
def check(
    folder: _Folder,
    page: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write a page with masked pictures of what goes (HTML).")
    ] = None,
    masked: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The masked video, where it is not DIR/masked.mp4.")
    ] = None,
) -> None:
    """Says what is wrong, with file and line, and what was changed. Ends with 2 if anything is wrong."""
    from services.review.changes import changes
    from services.review.folder import load, record_problem
    from services.review.page import masked_video, pictures, write_page

    loaded = load(folder)
    made = changes(loaded.base, loaded.edited)
    if page is not None:
        video = masked_video(loaded, masked)
        if video is None:
            err.print("note: no masked video here, so the page has no pictures; name it with --masked", soft_wrap=True)
        try:
            write_page(page, loaded, pictures(loaded, made, video))
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise RunError(f"{page}: can't be written: {reason}", ExitCode.OUTPUT) from error
    for change in made:
        say(_sentence(change))
    wrong = record_problem(folder)
    if wrong is not None:
        raise ConfigError([wrong])
    revealing = sum(change.reveals for change in made)
    if not made:
        say(f"{folder}: as it was exported")
    elif revealing:
        say(f"{folder}: {_counted(made)}; {revealing} of them show what was masked: look before you render")
    else:
        say(f"{folder}: {_counted(made)}, none of which shows what was masked")


@app.command()
@tells_errors
def render(
    folder: _Folder,
    original: Annotated[Path, typer.Argument(metavar="ORIGINAL", help="The video that was masked; no other will do.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Masked .mp4, .mov or .mkv.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who answers for the changes.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why they were made.")],
    report: Annotated[Path | None, typer.Option(metavar="PATH", help="Write a page to look at (HTML).")] = None,
    summary: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the figures (JSON).")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace files that are there already.")
    ] = False,
    quiet: _Quiet = False,
) -> None:
    """Renders the original with the masks of the review; who changed what goes to DIR/changes.jsonl and the report."""
    for path in (target, report, summary):
        if path is not None and path.is_dir():
            raise RunError(f"{path}: is a folder; name the file", ExitCode.USAGE)
        if path is not None and path.exists() and not overwrite:
            raise RunError(f"{path}: is there already; --overwrite replaces it", ExitCode.USAGE)
    from services.review.render import RenderJob, render_review

    _configure_logs()
    with ProgressShow(original.name, quiet=quiet) as show:
        done = render_review(RenderJob(folder, original, target, by, reason, report, summary), show)
    facts = done.review
    if facts is None:
        return
    if facts.still_closed:
        complain(f"{facts.still_closed} more frames are closed than the review says: their pictures are damaged")
    if not quiet:
        closed = f"; {done.closed} frames closed" if done.closed else ""
        say(f"{target}: {done.frames} frames, {_counted(facts.changes)} by {facts.by} on record{closed}")


def _counted(made: Sequence[object]) -> str:
    return "1 change" if len(made) == 1 else f"{len(made)} changes"


def _sentence(change: "Change") -> str:
    return f"{change.text} Becomes visible: look at frame {change.example}." if change.reveals else change.text


def _configure_logs() -> None:
    from services.runtime.logs import configure_logs

    configure_logs("DEBUG" if debugging() else "CRITICAL")
