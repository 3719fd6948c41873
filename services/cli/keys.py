"""`veil keys`: the key-encryption keys that what lies on the broker is unreadable without."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from services.cli.console import complain, fail, out, say, tells_errors
from services.cli.told import Purpose, Who, tell
from services.embedded.errors import ExitCode
from services.envelope import KeyFolder, SealError

app = typer.Typer(
    help="Keys that wrap the data keys of cameras, in a folder; production keeps them in a key management service.\n\n"
    "Making and destroying one is an event in the audit log (VEIL_AUDIT_DATABASE; veil audit-log shows it).",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n[green]veil keys create /etc/veil/keys[/]\n\n[green]veil keys rotate /etc/veil/keys[/]"
    "\n\n[green]veil keys destroy 20250601T101500.000000Z /etc/veil/keys[/]",
)

_Folder = Annotated[
    Path, typer.Argument(metavar="DIR", envvar="VEIL_KEYS_FOLDER", show_envvar=True, help="Folder of the keys.")
]


@app.command()
@tells_errors
def create(folder: _Folder, purpose: Purpose = "", who: Who = "") -> None:
    """Makes a folder with its first key, readable by its owner only."""
    if folder.exists() and _names(folder):
        fail(f"{folder}: there are keys in it already; veil keys rotate adds one", ExitCode.USAGE)
    tell("key.create", who, purpose, str(folder), must=False)
    say(f"{_add(folder)} is the current key")


@app.command()
@tells_errors
def rotate(folder: _Folder, purpose: Purpose = "", who: Who = "") -> None:
    """Adds a key; cameras use it from their next data key on, without a restart. Older ones open what they sealed."""
    if not _names(folder):
        fail(f"{folder}: there is no key in it; veil keys create makes the first", ExitCode.USAGE)
    tell("key.rotate", who, purpose, str(folder), must=False)
    say(f"{_add(folder)} is the current key; cameras turn to it within VEIL_KEYS_ROTATE_EVERY_S, an hour by default")


@app.command("list")
@tells_errors
def list_keys(folder: _Folder) -> None:
    """Lists the keys with their state. Ends with 2 if one can't be used."""
    keys, names = KeyFolder(folder), _names(folder)
    faults = {name: fault for name in names if (fault := _fault(keys, name))}
    table = Table("key", "state", box=None, header_style="dim", pad_edge=False)
    for name in names:
        table.add_row(
            name, "unusable" if name in faults else "current" if name == names[-1] else "opens older payloads"
        )
    out.print(table)
    for fault in faults.values():
        complain(fault)
    if faults:
        raise typer.Exit(ExitCode.USAGE)


@app.command()
@tells_errors
def destroy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Key to destroy, as veil keys list shows it.")],
    folder: _Folder,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    purpose: Purpose = "",
    who: Who = "",
) -> None:
    """Destroys an old key. Within minutes, when readers forget it, nobody can read what was sealed under it."""
    try:
        KeyFolder(folder).may_destroy(name)
        if not yes and not typer.confirm(f"Nothing sealed under {name} can ever be read again. Destroy it?"):
            fail("nothing was destroyed", ExitCode.USAGE)
        tell("key.destroy", who, purpose, f"{folder}/{name}")
        KeyFolder(folder).destroy(name)
    except SealError as error:
        fail(str(error), ExitCode.USAGE)
    say(f"{name} is destroyed")


def _names(folder: Path) -> list[str]:
    try:
        return KeyFolder(folder).names()
    except SealError as error:
        fail(str(error), ExitCode.USAGE)


def _add(folder: Path) -> str:
    try:
        return KeyFolder(folder).create()
    except SealError as error:
        fail(str(error), ExitCode.USAGE)


def _fault(keys: KeyFolder, name: str) -> str:
    """Why a key can't be used; empty if it can."""
    try:
        keys.wrap(name, b"", b"")
    except SealError as error:
        return str(error)
    return ""
