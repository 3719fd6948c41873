"""`veil vault`: what is kept of originals, what goes, what stays, and the proof of it."""

import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, ParamSpec

import typer
from rich.table import Table

from services.cli.console import complain, fail, out, say, tells_errors
from services.embedded.errors import ExitCode, RunError

if TYPE_CHECKING:
    from services.vault.events import Actor
    from services.vault.vault import Vault

_P = ParamSpec("_P")

app = typer.Typer(
    help="Originals in the vault: what is kept, what goes, what a legal hold keeps, and the proof of it.\n\n"
    "A camera's originals are kept where its policy says [green]originals: keep[/], for [green]retention_hours[/], "
    "encrypted under a key for each camera and hour. What is past its time can't be read by anyone: its key goes "
    "first. Everything done here needs a purpose, and is an event on the topic audit.\n\n"
    "The vault is that of VEIL_VAULT_STORE (and VEIL_VAULT_INDEX), its keys those of VEIL_KEYS_FOLDER: "
    "services/vault/README.md tells more.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n"
    "[green]veil vault list --purpose 'weekly check'[/]\n\n"
    "[green]veil vault hold gate --from 2026-03-01T14:00 --to 2026-03-01T15:00 --purpose 'police file 7-211'[/]\n\n"
    "[green]veil vault release 0b9d… --purpose 'file 7-211 is closed'[/]\n\n"
    "[green]veil vault purge gate --from 2026-03-01 --to 2026-03-02 --purpose 'objection of 3 March, upheld'[/]\n\n"
    "[green]veil vault prove-purge 5c1e… --purpose 'objection of 3 March' --json proof.json[/]",
)

_Purpose = Annotated[str, typer.Option("--purpose", metavar="TEXT", help="What for; it stands in the audit log.")]
_Who = Annotated[
    str, typer.Option("--who", metavar="NAME", help="Who you are; the name you are logged in under if left out.")
]
_Camera = Annotated[str, typer.Argument(metavar="CAMERA", help="Id of the camera.")]
_From = Annotated[str, typer.Option("--from", metavar="TIME", help="Where it begins, ISO 8601; UTC without a zone.")]
_To = Annotated[str, typer.Option("--to", metavar="TIME", help="Where it ends; this moment is left out.")]


def _tells(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turns what the vault says into sentences and an exit code."""

    @tells_errors
    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            from services.vault.errors import Unavailable, VaultError
        except ImportError as error:
            _lacks(error)
        try:
            command(*args, **kwargs)
        except Unavailable as error:
            raise RunError(_sentence(error), ExitCode.INPUT) from error
        except VaultError as error:
            raise RunError(_sentence(error), ExitCode.USAGE) from error

    return wrapped


@app.command("list")
@_tells
def list_stock(
    purpose: _Purpose = "",
    who: _Who = "",
    camera: Annotated[str | None, typer.Option(metavar="CAMERA", help="Only this one.")] = None,
) -> None:
    """Lists what is kept of each camera, the legal holds, and the newest purges."""
    vault, actor = _vault(), _actor(who, purpose)
    table = Table(
        "camera", "from", "to", "segments", "MB", "next expires", box=None, header_style="dim", pad_edge=False
    )
    for stock in vault.stock(actor, camera):
        due = "held" if stock.due_us is None else _time(stock.due_us)
        size = f"{stock.size / 1e6:.1f}"
        table.add_row(stock.camera_id, _time(stock.start_us), _time(stock.end_us), str(stock.segments), size, due)
    if table.row_count:
        out.print(table)
    else:
        say("nothing is kept")
    for hold in vault.purger.holds(camera):
        say(f"hold {hold.id}: {hold.camera_id}, {_range(hold.start_us, hold.end_us)}, by {hold.who}: {hold.why}")
    for purge in vault.purger.purges(camera, limit=10):
        state = "" if purge.done_us else "; its files are still being removed"
        what = f"{purge.segments} segments of {purge.camera_id}, {_range(purge.start_us, purge.end_us)}"
        say(f"purge {purge.id}: {what}, {purge.why} {_time(purge.at_us)} by {purge.who}{state}")


@app.command()
@_tells
def hold(camera: _Camera, purpose: _Purpose = "", who: _Who = "", start: _From = "", end: _To = "") -> None:
    """Keeps a range beyond its time, and what still comes into it, until the hold is released."""
    vault, actor = _vault(), _actor(who, purpose)
    begins, ends = _bounds(start, end)
    made, count = vault.purger.hold(camera, begins, ends, actor)
    say(f"hold {made.id} keeps {count} segments of {camera}, and what still comes into {_range(begins, ends)}")


@app.command()
@_tells
def release(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="Id of the hold, as veil vault list shows it.")],
    purpose: _Purpose = "",
    who: _Who = "",
) -> None:
    """Ends a hold. What it kept beyond its time goes within minutes."""
    vault, actor = _vault(), _actor(who, purpose)
    ended = vault.purger.release(hold_id, actor)
    say(f"hold {hold_id} is released; what of {ended.camera_id} is due goes at the vault's next look")


@app.command()
@_tells
def purge(
    camera: _Camera,
    purpose: _Purpose = "",
    who: _Who = "",
    start: _From = "",
    end: _To = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Destroys every segment that touches a range, whole; one that a hold keeps stops it. Nobody can take it back."""
    vault, actor = _vault(), _actor(who, purpose)
    begins, ends = _bounds(start, end)
    question = f"What was kept of {camera}, {_range(begins, ends)}, can never be seen again. Purge it?"
    if not yes and not typer.confirm(question):
        fail("nothing was purged", ExitCode.USAGE)
    for done in vault.purger.order(camera, begins, ends, actor):
        say(f"purge {done.id}: {done.segments} segments, {done.size / 1e6:.1f} MB; veil vault prove-purge {done.id}")


@app.command("prove-purge")
@_tells
def prove_purge(
    purge_id: Annotated[str, typer.Argument(metavar="PURGE", help="Id of the purge, as veil vault list shows it.")],
    purpose: _Purpose = "",
    who: _Who = "",
    file: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write the proof with all its tombstones.")
    ] = None,
) -> None:
    """Looks whether all that a purge names is gone, keys and files, and its record unchanged. Ends with 1 if not."""
    vault, actor = _vault(), _actor(who, purpose)
    proof = vault.purger.prove(purge_id, actor)
    record = proof.purge
    say(
        f"purge {record.id}: {record.segments} segments of {record.camera_id}, "
        f"{_range(record.start_us, record.end_us)}, {record.why} {_time(record.at_us)} by {record.who}"
    )
    for check in proof.checks:
        (say if check.holds else complain)(f"{'yes' if check.holds else 'NO'}: {check.says}")
    if file is not None:
        file.write_text(f"{json.dumps(proof.as_plain_data(), indent=2)}\n", encoding="utf-8")
    say(f"digest {record.digest.hex()}, audit event {proof.event_hash.hex()}")
    if not proof.holds:
        raise typer.Exit(1)


@app.command()
@_tells
def migrate() -> None:
    """Brings the index to this version; the vault does so itself when it starts."""
    _vault().close()
    say("the index is of this version")


def _vault() -> "Vault":
    try:
        from services.vault.vault import open_vault
    except ImportError as error:
        _lacks(error)
    return open_vault()


def _lacks(error: ImportError) -> NoReturn:
    package = (error.name or "").partition(".")[0]
    fail(f"the vault needs the package {package}: pip install 'veil[vault]'", ExitCode.USAGE)


def _actor(who: str, purpose: str) -> "Actor":
    from services.vault.events import Actor

    if not purpose.strip():
        fail("--purpose: nothing of the vault is touched without a purpose", ExitCode.USAGE)
    return Actor(who or getpass.getuser(), purpose)


def _bounds(start: str, end: str) -> tuple[int, int]:
    begins, ends = _us("--from", start), _us("--to", end)
    if begins >= ends:
        fail("--to: the range ends before it begins", ExitCode.USAGE)
    return begins, ends


def _us(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: a range needs both its ends, such as 2026-03-01T14:00", ExitCode.USAGE)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def _time(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _range(start_us: int, end_us: int) -> str:
    return f"{_time(start_us)} to {_time(end_us)}"


def _sentence(error: Exception) -> str:
    """As other errors of the command: without a full stop."""
    return str(error).removesuffix(".")
