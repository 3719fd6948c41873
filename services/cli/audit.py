"""`veil audit`: looks for faces and plates that still show in masked files."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import complain, fail, say, tells_errors
from services.cli.progress import AuditShow
from services.embedded.errors import ExitCode, RunError

if TYPE_CHECKING:
    from services.auditor.eyes import Eyes
    from services.auditor.suspects import Suspect
    from services.auditor.video import FileAudit

SUSPECTS, FAILED = 1, 2
_MOST_TOLD = 20

EPILOG = """[bold]Examples[/]

[green]veil audit masked.mp4[/]  says where something still looks like a face or a plate

[green]veil audit masked/*.mp4 --sheet suspects.html --json suspects.json[/]  a page to look at, and the figures

[green]veil audit yard.mp4 --ignore 0,0,0.3,0.08[/]  not the clock in the upper left corner

It looks with other detectors than those that mask: `veil models install audit` fetches them. On the page every suspect
is masked again.

[bold]Exit codes[/]: 0 clean · 1 suspects · 2 could not be audited · 130 interrupted"""

_Kinds = Annotated[str, typer.Option(metavar="K,K", help="What is looked for: face, plate, with commas.")]


def audit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Masked video files.")],
    every: Annotated[float, typer.Option(metavar="S", min=0.01, help="Seconds of video from look to look.")] = 0.5,
    kinds: _Kinds = "face,plate",
    sheet: Annotated[Path | None, typer.Option(metavar="PATH", help="Write a page with the suspects (HTML).")] = None,
    figures: Annotated[Path | None, typer.Option("--json", metavar="PATH", help="Write the suspects (JSON).")] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="X1,Y1,X2,Y2", help="A box, as shares of the picture, that is left out: a clock, a sign."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Say nothing; the exit code tells.")] = False,
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the models are; VEIL_MODELS or the usual place.")
    ] = None,
) -> None:
    """Looks for faces and plates that still show in masked files, with detectors of its own."""
    try:
        suspects = _audit(files, every, kinds, sheet, figures, ignore or [], models, quiet=quiet)
    except typer.Exit as end:
        # Whatever was wrong, 1 must not be mistaken for «there are suspects», nor anything else for «clean».
        raise typer.Exit(end.exit_code if end.exit_code == ExitCode.INTERRUPTED else FAILED) from end
    if suspects:
        raise typer.Exit(SUSPECTS)


@tells_errors
def _audit(
    files: Sequence[Path],
    every: float,
    kinds: str,
    sheet: Path | None,
    figures: Path | None,
    ignore: Sequence[str],
    models: Path | None,
    *,
    quiet: bool,
) -> int:
    """Audits every file, goes on past a bad one, writes what was asked for, and returns the number of suspects."""
    wanted, boxes = _kinds(kinds), [_box(text) for text in ignore]
    # Here, because these bring FFmpeg, OpenCV and ONNX Runtime along, and --help should not wait for them.
    from services.auditor.examine import Examiner
    from services.auditor.settings import AuditorSettings
    from services.auditor.sheet import write_sheet
    from services.auditor.video import AuditError, as_plain_data, audit_file
    from services.detect.interface import DetectorError

    settings = AuditorSettings()
    eyes = _eyes(wanted, settings.least, settings.timeout_s, settings.threads, models)
    audits, failed = [], 0
    for path in files:
        examiner = Examiner(eyes, settings.sure, boxes, evidence=sheet is not None)
        try:
            with AuditShow(path.name, quiet=quiet) as show:
                audits.append(audit_file(path, examiner, every, show.audited))
        except (AuditError, DetectorError, TimeoutError) as error:
            complain(str(error))
            failed += 1
        else:
            if not quiet:
                _tell(audits[-1])
    _write(sheet, lambda path: write_sheet(path, audits))
    plain = as_plain_data(audits, every, wanted)
    _write(figures, lambda path: path.write_text(f"{json.dumps(plain, indent=2)}\n", encoding="utf-8"))
    if failed:
        fail(f"{failed} of {len(files)} files could not be audited", ExitCode.INPUT)
    return sum(len(audit.suspects) for audit in audits)


def _eyes(kinds: Sequence[str], least: dict[str, float], timeout_s: float, threads: int, models: Path | None) -> "Eyes":
    from services.auditor.eyes import load_eyes
    from services.detect.catalogue import ModelMissing

    try:
        return load_eyes(kinds, least, timeout_s, threads, models)
    except ModelMissing as error:
        raise RunError(
            f"{error}, or `veil models install audit` for all that the auditor needs", ExitCode.MODEL
        ) from error


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(kind.strip() for kind in text.split(",") if kind.strip()))
    if not kinds or not set(kinds) <= {"face", "plate"}:
        fail(f"--kinds {text}: the auditor looks for face and plate", ExitCode.USAGE)
    return kinds


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        x1 = y1 = x2 = y2 = -1.0
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        fail(f"--ignore {text}: a box is X1,Y1,X2,Y2, shares of the picture from 0 to 1", ExitCode.USAGE)
    return x1, y1, x2, y2


def _tell(audit: "FileAudit") -> None:
    closed = f", {audit.closed} closed" if audit.closed else ""
    count = len(audit.suspects)
    found = "clean" if not count else f"{count} suspect{'s' if count > 1 else ''}"
    more = ", and there may be more" if audit.cut_short else ""
    say(f"{audit.path}: {found}{more} ({audit.looks} looks at {audit.duration_s:.0f} s{closed})")
    for suspect in audit.suspects[:_MOST_TOLD]:
        say(f"  {_sentence(suspect)}")
    if count > _MOST_TOLD:
        say(f"  and {count - _MOST_TOLD} more; --json PATH has all of them")


def _sentence(suspect: "Suspect") -> str:
    x1, y1, x2, y2 = (round(value) for value in suspect.box)
    return f"{suspect.kind} ({suspect.score:.2f}) at {suspect.t_s:.2f} s, frame {suspect.seq}: {x1}, {y1} to {x2}, {y2}"


def _write(path: Path | None, write: Callable[[Path], object]) -> None:
    if path is None:
        return
    try:
        write(path)
    except OSError as error:
        raise RunError(f"{path}: can't be written: {(error.strerror or 'failed').lower()}", ExitCode.OUTPUT) from error
