"""`veil accounts`: who may log in to the API and the console, what they may do, and what they may see."""

import getpass
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Annotated, NoReturn, ParamSpec

import typer
from pydantic import ValidationError
from rich.table import Table

from services.cli.console import fail, out, say, tells_errors
from services.embedded.errors import ExitCode, RunError

if TYPE_CHECKING:
    from services.accounts.accounts import Accounts
    from services.accounts.model import Account

_P = ParamSpec("_P")

app = typer.Typer(
    help="Accounts of the REST API and the console: who may log in, what they may do, which cameras they may see.\n\n"
    "Roles: viewer (masked pictures, statistics), officer (requests for footage), approver (the second pair of eyes), "
    "auditor (who did what), admin (accounts). An account may have several. Passwords are typed, or read from standard "
    "input; no command takes one as an argument.\n\n"
    "Accounts lie in VEIL_ACCOUNTS_DATABASE (sqlite:///FILE or postgresql://…), a file of your own if it is not set. "
    "services/accounts/README.md tells more, and of single sign-on.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n"
    "[green]veil accounts add kim --role admin[/]  the first one\n\n"
    "[green]veil accounts add lee --role officer --all-cameras --person lee@city.example[/]\n\n"
    "[green]veil accounts add wall --role viewer --camera 'north-*' < password.txt[/]\n\n"
    "[green]veil accounts roles lee --role officer --role viewer[/]  these and no others\n\n"
    "[green]veil accounts token add lee --role officer --for 'nightly list' --days 30[/]",
)
token_app = typer.Typer(help="Tokens for scripts, with some of an account's roles.", no_args_is_help=True)
app.add_typer(token_app, name="token")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
_Roles = Annotated[
    list[str], typer.Option("--role", metavar="ROLE", help="viewer, officer, approver, auditor, admin; repeatable.")
]
_Sites = Annotated[list[str] | None, typer.Option("--site", metavar="SITE", help="A site it may see; repeatable.")]
_Cameras = Annotated[
    list[str] | None,
    typer.Option("--camera", metavar="CAMERA", help="A camera it may see, or those that begin alike (north-*)."),
]
_All = Annotated[bool, typer.Option("--all-cameras", help="It may see every camera.")]


def _tells(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turns what accounts say into sentences and an exit code."""

    @tells_errors
    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            from services.accounts.errors import AccountError, Unavailable
        except ModuleNotFoundError as error:
            _lacks(error)
        try:
            command(*args, **kwargs)
        except AccountError as error:
            code = ExitCode.INPUT if isinstance(error, Unavailable) else ExitCode.USAGE
            raise RunError(str(error).removesuffix("."), code) from error
        except ModuleNotFoundError as error:
            _lacks(error)

    return wrapped


@app.command()
@_tells
def add(
    name: _Name,
    role: _Roles,
    person: Annotated[
        str,
        typer.Option(metavar="WHO", help="Whose it is, as single sign-on knows them; their accounts count as one."),
    ] = "",
    site: _Sites = None,
    camera: _Cameras = None,
    all_cameras: _All = False,
) -> None:
    """Makes an account; its password is asked for, or read from standard input."""
    accounts = _accounts()
    account = accounts.add(
        _me(),
        name,
        _password(),
        role,
        person=person,
        sites=["*"] if all_cameras else site or [],
        cameras=camera or [],
    )
    say(f"{account.name} is {', '.join(sorted(account.roles))}, and sees {_seen(account)}")


@app.command("list")
@_tells
def list_accounts() -> None:
    """Lists all accounts."""
    table = Table("name", "roles", "sees", "person", "", box=None, header_style="dim", pad_edge=False)
    for account in _accounts().book.list():
        notes = [
            word for word, holds in (("locked", account.locked), ("single sign-on", account.single_sign_on)) if holds
        ]
        table.add_row(account.name, ", ".join(sorted(account.roles)), _seen(account), account.person, ", ".join(notes))
    if table.row_count:
        out.print(table)
    else:
        say("there is no account yet: veil accounts add NAME --role admin makes the first")


@app.command()
@_tells
def roles(name: _Name, role: _Roles) -> None:
    """Gives an account these roles and no others; it has to log in again."""
    account = _accounts().change(_me(), name, roles=role)
    say(f"{account.name} is {', '.join(sorted(account.roles))}")


@app.command()
@_tells
def sees(name: _Name, site: _Sites = None, camera: _Cameras = None, all_cameras: _All = False) -> None:
    """Lets an account see these sites and cameras and no others; none of them is none."""
    account = _accounts().change(_me(), name, sites=["*"] if all_cameras else site or [], cameras=camera or [])
    say(f"{account.name} sees {_seen(account)}")


@app.command()
@_tells
def person(name: _Name, who: Annotated[str, typer.Argument(metavar="WHO", help="Such as an address.")]) -> None:
    """Says whose account it is: where two people are asked for, all accounts of one person count as one."""
    account = _accounts().change(_me(), name, person=who)
    say(f"{account.name} is {account.person}'s")


@app.command()
@_tells
def password(name: _Name) -> None:
    """Gives an account a new password; its sessions and tokens end."""
    account = _accounts().set_password(_me(), name, _password())
    say(f"{account.name} has a new password, and has to log in again")


@app.command()
@_tells
def lock(name: _Name) -> None:
    """Keeps an account out until it is unlocked; its sessions and tokens end at once."""
    say(f"{_accounts().lock(_me(), name).name} is locked")


@app.command()
@_tells
def unlock(name: _Name) -> None:
    """Lets an account in again, and forgets its wrong passwords."""
    say(f"{_accounts().unlock(_me(), name).name} can log in")


@token_app.command("add")
@_tells
def add_token(
    name: _Name,
    role: _Roles,
    label: Annotated[str, typer.Option("--for", metavar="TEXT", help="What it is for.")],
    days: Annotated[int, typer.Option(metavar="N", min=1, help="How long it lasts.")] = 30,
) -> None:
    """Makes a token and shows it, this once. Scripts send it as Authorization: Bearer TOKEN."""
    accounts = _accounts()
    token, secret = accounts.make_token(_me(), accounts.book.get(name), label, role, days)
    say(secret)
    typer.echo(f"token {token.id} lasts until {_time(token.ends_us)} UTC; it is not shown again", err=True)


@token_app.command("list")
@_tells
def list_tokens(name: _Name) -> None:
    """Lists the tokens of an account that are not over; never the tokens themselves."""
    accounts = _accounts()
    table = Table("token", "for", "roles", "until", box=None, header_style="dim", pad_edge=False)
    for token in accounts.tokens.list(accounts.book.get(name)):
        table.add_row(token.id, token.label, ", ".join(sorted(token.roles)), f"{_time(token.ends_us)} UTC")
    out.print(table) if table.row_count else say("there is no token")


@token_app.command("revoke")
@_tells
def revoke_token(name: _Name, token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id.")]) -> None:
    """Ends a token at once."""
    accounts = _accounts()
    accounts.revoke_token(_me(), accounts.book.get(name), token)
    say(f"token {token} is revoked")


def _accounts() -> "Accounts":
    from services.accounts.accounts import Accounts
    from services.accounts.settings import AccountSettings

    try:
        return Accounts(AccountSettings())
    except ValidationError as error:
        first = error.errors()[0]
        where = f"VEIL_ACCOUNTS_{str(first['loc'][0]).upper()}: " if first["loc"] else ""
        fail(f"{where}{first['msg'].removeprefix('Value error, ')}", ExitCode.USAGE)


def _lacks(error: ModuleNotFoundError) -> NoReturn:
    package = (error.name or "").partition(".")[0]
    fail(f"accounts need the package {package}: pip install 'veil[server]'", ExitCode.USAGE)


def _password() -> str:
    """Typed twice without being shown, or one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    typed = getpass.getpass("Password: ")
    if typed != getpass.getpass("Once more: "):
        fail("these were two different passwords", ExitCode.USAGE)
    return typed


def _me() -> str:
    return getpass.getuser()


def _seen(account: "Account") -> str:
    if account.sees_everything:
        return "every camera"
    parts = [f"site {site}" for site in account.sites] + list(account.cameras)
    return ", ".join(parts) or "no camera"


def _time(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M}"
