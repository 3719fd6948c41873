"""`veil insight`: statistics that single out nobody, on the terminal and as files."""

import getpass
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, ParamSpec

import typer
from rich.table import Table

from services.cli.console import fail, out, say, tells_errors
from services.consume.window import parse_moment
from services.embedded.errors import ExitCode, RunError

if TYPE_CHECKING:
    from services.audit.log import Tell
    from services.insight.reading import InsightReader

_P = ParamSpec("_P")

app = typer.Typer(
    help="Statistics: people and vehicles over time, dwell, lines, flows. Counts only.\n\n"
    "Counts below VEIL_INSIGHT_LEAST (5) are not told, nor is 0, and no two answers can be subtracted to get one: "
    "services/insight/README.md says how, and what this does not cover.\n\n"
    "The database is that of VEIL_INSIGHT_DATABASE; [green]veil service insight[/] fills it.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n"
    "[green]veil insight show --by day --from -7d[/]\n\n"
    "[green]veil insight export march.parquet --from 2026-03-01 --to 2026-04-01 --purpose 'monthly report'[/]",
)

_By = Annotated[Literal["step", "hour", "day"], typer.Option("--by", help="step (10 minutes), hour or day.")]
_From = Annotated[str, typer.Option("--from", metavar="TIME", help="Where it begins: -24h, -7d, or ISO 8601.")]
_To = Annotated[str, typer.Option("--to", metavar="TIME", help="Where it ends; this moment is left out.")]
_Camera = Annotated[list[str] | None, typer.Option("--camera", metavar="CAMERA", help="Only this one; repeatable.")]


def _tells(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turns what the statistics say into sentences and an exit code."""

    @tells_errors
    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            from services.insight.errors import InsightError, Unavailable
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            fail(f"statistics need the package {package}: pip install 'veil[vault]'", ExitCode.USAGE)
        try:
            command(*args, **kwargs)
        except Unavailable as error:
            raise RunError(str(error).removesuffix("."), ExitCode.INPUT) from error
        except InsightError as error:
            raise RunError(str(error).removesuffix("."), ExitCode.USAGE) from error

    return wrapped


@app.command()
@_tells
def show(by: _By = "hour", start: _From = "-24h", end: _To = "now", camera: _Camera = None) -> None:
    """Shows how many came into each camera's picture, by kind."""
    begins, ends = _range(start, end)
    with _opened() as (reader, _):
        table = Table(
            "camera", "kind", "from (UTC)", "count", "blind frames", box=None, header_style="dim", pad_edge=False
        )
        for camera_id, kinds in sorted(reader.kinds(_cameras(reader, camera)).items()):
            for kind in kinds:
                for point in reader.series({camera_id: kind}, by, begins, ends):
                    told = f"< {reader.least}" if point.value is None else f"{'' if point.whole else '≥ '}{point.value}"
                    blind = f"{point.incomplete / point.frames:.1%}" if point.frames else ""
                    table.add_row(camera_id, kind, _time(point.at_us), told, blind)
        if table.row_count:
            out.print(table)
        else:
            say("nothing is told of that time: intervals are told when they are over")


@app.command()
@_tells
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="NAME.csv or NAME.parquet.")],
    purpose: Annotated[
        str, typer.Option("--purpose", metavar="TEXT", help="What for; it stands in the audit log.")
    ] = "",
    who: Annotated[
        str, typer.Option("--who", metavar="NAME", help="Who you are; the name you are logged in under if left out.")
    ] = "",
    by: _By = "hour",
    start: _From = "-7d",
    end: _To = "now",
    camera: _Camera = None,
) -> None:
    """Writes every count that is told into a file, which says what is not in it. An event of the audit log."""
    from services.insight.export import write_file

    if not purpose.strip():
        fail("--purpose: nothing is exported without a purpose", ExitCode.USAGE)
    begins, ends = _range(start, end)
    with _opened() as (reader, tell):
        cameras = sorted(_cameras(reader, camera))
        details = {"purpose": purpose, "by": by, "from": _time(begins), "to": _time(ends), "cameras": _few(cameras)}
        tell("insight.export", who or getpass.getuser(), {**details, "object": file.name})
        count = write_file(file, reader.rows(cameras, by, begins, ends), reader.least)
    say(f"{file}: {count} rows; counts below {reader.least} are not told")


@contextmanager
def _opened() -> "Iterator[tuple[InsightReader, Tell]]":
    """The statistics, and the audit log beside them."""
    from services.audit.log import AuditLog
    from services.insight.database import open_database
    from services.insight.reading import InsightReader
    from services.insight.settings import InsightSettings

    settings = InsightSettings()
    database = open_database(settings)
    try:
        yield InsightReader(database, settings), AuditLog(database, "insight").tell
    finally:
        database.close()


def _cameras(reader: "InsightReader", wanted: list[str] | None) -> list[str]:
    known = reader.cameras()
    for name in wanted or ():
        if name not in known:
            fail(f"--camera {name}: nothing was ever counted there", ExitCode.USAGE)
    return wanted or list(known)


def _range(start: str, end: str) -> tuple[int, int]:
    now = time.time_ns() // 1000
    try:
        begins, ends = parse_moment(start, now), parse_moment(end, now)
    except ValueError as error:
        fail(str(error), ExitCode.USAGE)
    if begins >= ends:
        fail("--to: the range ends before it begins", ExitCode.USAGE)
    return begins, ends


def _time(us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(us // 1_000_000))


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 10 else f"{len(names)} cameras"
