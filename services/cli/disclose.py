"""`veil disclose`: one person's own footage with everyone else masked, from the request to the package."""

import getpass
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, ParamSpec
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError
from rich.table import Table

from services.cli.console import complain, fail, out, say, tells_errors
from services.embedded.errors import ExitCode, RunError
from services.policy.loader import load_policy
from services.policy.model import Policy

if TYPE_CHECKING:
    from services.disclosure.desk import Desk
    from services.disclosure.footage import Footage
    from services.disclosure.request import Actor, Sight
    from services.disclosure.settings import DisclosureSettings

_P = ParamSpec("_P")

app = typer.Typer(
    help="Gives a person their own footage with everyone else masked: request, second pair of eyes, signed package.\n\n"
    "The steps are file → find → choose → submit → approve → render → (review) → package → hand-over; refuse, postpone "
    "and withdraw end or delay them. Whoever approves has neither taken the request in, nor chosen, nor renders. Every "
    "step has a name and a reason (--who, --why), and is an event that can't be changed unseen.\n\n"
    "Set up by VEIL_DISCLOSURE_FOLDER, VEIL_DISCLOSURE_KEYS and VEIL_DISCLOSURE_POLICIES; originals are the vault's "
    "(VEIL_VAULT_STORE, VEIL_KEYS_FOLDER). services/disclosure/README.md tells more.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n"
    "[green]veil disclose keys create /etc/veil/signing[/]\n\n"
    "[green]veil disclose file --whose 'J. Park' --camera gate --from 2026-03-01T14:00 --to 2026-03-01T14:20 "
    "--basis 'GDPR, article 15' --why 'asked at the counter, identity checked'[/]\n\n"
    "[green]veil disclose find 20260302-1f0c9a7e --why 'to find J. Park'[/]\n\n"
    "[green]veil disclose choose 20260302-1f0c9a7e 3 4 17:0-250 --why 'red coat, as J. Park says'[/]\n\n"
    "[green]veil disclose approve 20260302-1f0c9a7e --who lee --why 'it is J. Park'[/]\n\n"
    "[green]veil disclose list --due 3[/]  what has to be answered within three days",
)
keys_app = typer.Typer(help="Keys that sign packages (Ed25519), in a folder.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

VERIFY_EPILOG = """[bold]Examples[/]

[green]veil verify disclosure-20260302-1f0c9a7e.zip[/]

[green]veil verify disclosure-20260302-1f0c9a7e.zip --key city.public.pem[/]  also that it is the city's own

It needs neither a network nor a secret. A package brings its public key along, which is enough to find damage; whoever
exchanges everything can exchange that too: compare the fingerprint with one that came to you on another way.

[bold]Exit codes[/]: 0 as it was signed · 1 changed · 2 no package"""

_Id = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request, as veil disclose list shows it.")]
_Who = Annotated[
    str, typer.Option("--who", metavar="NAME", help="Who you are; the name you are logged in under if left out.")
]
_Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Your reason; it stands in the audit log.")]


def _tells(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turns what disclosure and vault say into sentences and an exit code."""

    @tells_errors
    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        from services.disclosure.errors import DisclosureError, Unavailable

        try:
            command(*args, **kwargs)
        except Unavailable as error:
            raise RunError(_sentence(error), ExitCode.INPUT) from error
        except DisclosureError as error:
            raise RunError(_sentence(error), ExitCode.USAGE) from error
        except ModuleNotFoundError as error:
            _lacks(error)
        except _of_the_vault() as error:
            raise RunError(_sentence(error), ExitCode.INPUT) from error

    return wrapped


@app.command("file")
@_tells
def file_request(
    whose: Annotated[str, typer.Option(metavar="TEXT", help="Whom the footage shows, as you know them.")],
    camera: Annotated[list[str], typer.Option(metavar="CAMERA", help="Id of a camera; may be given several times.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="Where the time begins, ISO 8601.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Where it ends; this moment is left out.")],
    basis: Annotated[str, typer.Option(metavar="TEXT", help="Legal basis: GDPR, article 15; PIPA, article 35; …")],
    received: Annotated[str, typer.Option(metavar="DAY", help="When it was received; today if left out.")] = "",
    rules: Annotated[str, typer.Option(metavar="RULES", help="Deadline: gdpr, pipa, days:N, days:N+MORE.")] = "",
    asked_by: Annotated[str, typer.Option(metavar="TEXT", help="Who asks, where that is somebody else.")] = "",
    who: _Who = "",
    why: _Why = "",
) -> None:
    """Takes a request in. Times without a zone are of the zone VEIL_DISCLOSURE_TIME_ZONE."""
    actor, settings = _actor(who, why), _settings()
    zone = ZoneInfo(settings.time_zone)
    request = _desk(settings).file(
        actor,
        whose=whose,
        cameras=camera,
        start_us=_us("--from", start, zone),
        end_us=_us("--to", end, zone),
        legal_basis=basis,
        received=_day("--received", received) if received else None,
        rules=rules or None,
        asked_by=asked_by,
    )
    say(f"request {request.id} is filed; it is due on {request.due}")
    say(f"next: veil disclose find {request.id} --why …")


@app.command("list")
@_tells
def list_requests(
    state: Annotated[list[str] | None, typer.Option(metavar="STATE", help="Only in this state; repeatable.")] = None,
    due: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Only what has no answer and is due by then, or late.")
    ] = None,
) -> None:
    """Lists requests, those due first."""
    from services.disclosure.request import State

    desk = _desk(_settings())
    if unknown := [name for name in state or () if name not in set(State)]:
        fail(f"--state {unknown[0]}: a request is {', '.join(State)}", ExitCode.USAGE)
    requests = desk.due_within(due) if due is not None else desk.store.list(*(State(name) for name in state or ()))
    table = Table("request", "state", "due", "days", "whose", "cameras", box=None, header_style="dim", pad_edge=False)
    for request in requests:
        days = request.days_left(desk.today)
        left = str(days) if days >= 0 else f"{-days} late"
        table.add_row(request.id, request.state, str(request.due), left, request.whose, ", ".join(request.cameras))
    if table.row_count:
        out.print(table)
    else:
        say("there is no such request")


@app.command()
@_tells
def show(request_id: _Id) -> None:
    """Tells all of a request: what is asked for, what was done by whom and why, and what may come next."""
    from services.disclosure import request as steps

    desk = _desk(_settings())
    request = desk.store.get(request_id)
    say(f"request {request.id}: {request.state}, due on {request.due} ({request.days_left(desk.today)} days)")
    say(f"whose: {request.whose}{f', asked by {request.asked_by}' if request.asked_by else ''}")
    say(f"footage: {', '.join(request.cameras)}, {_time(request.start_us)} to {_time(request.end_us)} UTC")
    say(f"legal basis: {request.legal_basis}; deadline by {request.rules}")
    for sight in request.sights:
        frames = f"frames {sight.first_seq} to {sight.last_seq}"
        say(f"shows: {sight.kind} {sight.track} of {sight.camera}, epoch {sight.epoch}, {frames}")
    for step in request.history:
        say(f"{_time(step.at_us)} {step.action.value.replace('_', ' ')} by {step.who}: {step.why}")
    for name, digest in {**request.rendered, **request.package}.items():
        say(f"file {name}, SHA-256 {digest}")
    following = ", ".join(action.value.replace("_", "-") for action in steps.possible(request))
    say(f"may come next: {following or 'nothing'}")


@app.command()
@_tells
def find(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Lists who is in the range, and makes a masked picture of each: their place is marked, no face is seen."""
    actor, desk = _actor(who, why), _desk(_settings(), with_footage=True)
    request, found = desk.find(request_id, actor)
    table = Table("number", "camera", "kind", "from", "to", "belongs to", box=None, header_style="dim", pad_edge=False)
    for one in found:
        others = " ".join(str(other.number) for other in one.belongs)
        table.add_row(str(one.number), one.camera, one.kind, _time(one.start_us), _time(one.end_us), others)
    out.print(table) if table.row_count else say("nobody was found in the range")
    say(f"pictures: {desk.folder_of(request, 'found')}")
    say(f"next: veil disclose choose {request.id} NUMBER… --why …")


@app.command()
@_tells
def choose(
    request_id: _Id,
    numbers: Annotated[
        list[str],
        typer.Argument(
            metavar="NUMBER...", help="What shows the subject, as find lists it; 17:0-250 for these frames."
        ),
    ],
    who: _Who = "",
    why: _Why = "",
) -> None:
    """Says which tracks show the subject, over gaps and cameras; a face and the body that it belongs to are two."""
    actor, desk = _actor(who, why), _desk(_settings())
    listed = desk.listed(request_id)
    sights = [_sight(text, listed) for text in numbers]
    request = desk.choose(request_id, actor, sights)
    say(f"{len(request.sights)} tracks show {request.whose}")
    say(f"next: veil disclose submit {request.id} --why …")


@app.command()
@_tells
def submit(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Puts the request before a second person."""
    request = _desk(_settings()).submit(request_id, _actor(who, why))
    say(f"request {request.id} waits for somebody else: veil disclose approve {request.id} --who … --why …")


@app.command("return")
@_tells
def send_back(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Opens a request to changes again; an approval and what was rendered are void."""
    request = _desk(_settings()).send_back(request_id, _actor(who, why))
    say(f"request {request.id} is open to changes again")


@app.command()
@_tells
def approve(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Agrees, as a second person: not who filed, searched, chose or submitted it, nor who will render it."""
    request = _desk(_settings()).approve(request_id, _actor(who, why, "approver"))
    say(f"request {request.id} is approved; next, by somebody else: veil disclose render {request.id} --why …")


@app.command()
@_tells
def refuse(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Gives nothing, for the reason in --why."""
    request = _desk(_settings()).refuse(request_id, _actor(who, why))
    say(f"request {request.id} is refused")


@app.command()
@_tells
def withdraw(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Ends a request because whoever asked has changed their mind."""
    request = _desk(_settings()).withdraw(request_id, _actor(who, why))
    say(f"request {request.id} is withdrawn")


@app.command()
@_tells
def postpone(
    request_id: _Id,
    until: Annotated[str, typer.Option(metavar="DAY", help="The new day on which it is due, such as 2026-05-31.")],
    who: _Who = "",
    why: _Why = "",
) -> None:
    """Puts the answer off, for the reason in --why, as far as the rules of its deadline allow."""
    request = _desk(_settings()).postpone(request_id, _actor(who, why), _day("--until", until))
    say(f"request {request.id} is put off; it is due on {request.due}")


@app.command()
@_tells
def resume(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Goes on with a request that was put off."""
    request = _desk(_settings()).resume(request_id, _actor(who, why))
    say(f"request {request.id} is {request.state} again")


@app.command()
@_tells
def render(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Makes the videos: the subject is seen, everyone else is masked, what is uncertain is closed."""
    actor, desk = _actor(who, why), _desk(_settings(), with_footage=True)
    request, rendered = desk.render(request_id, actor)
    for part in rendered.parts:
        seconds = part.duration_ms / 1000
        say(f"{part.name}: {part.camera}, {seconds:.1f} s, {part.frames - part.open} of {part.frames} frames closed")
        for reason, count in part.closed.items():
            say(f"  {count} frames closed: {reason}")
    for lack in rendered.lacks:
        say(f"{lack.camera}, {_time(lack.start_us)} to {_time(lack.end_us)}: {lack.why}")
    say(f"videos: {desk.folder_of(request, 'videos')}")
    say(f"next: veil disclose review {request.id} --why …, or package")


@app.command()
@_tells
def correct(
    request_id: _Id,
    video: Annotated[str, typer.Option(metavar="CAMERA/EPOCH", help="Whose frames, as veil disclose show tells.")],
    frames: Annotated[str, typer.Option(metavar="A-B", help="From frame to frame, both included.")],
    box: Annotated[
        str, typer.Option(metavar="X1,Y1,X2,Y2", help="What to mask, in pixels; the whole frames if left out.")
    ] = "",
    who: _Who = "",
    why: _Why = "",
) -> None:
    """Masks more, as a review found: it has to be rendered again, but not approved again."""
    from services.disclosure.request import Correction

    camera, _, epoch = video.rpartition("/")
    first, last = _frames("--frames", frames)
    try:
        corners = tuple(float(value) for value in box.split(",")) if box else None
        one = Correction.model_validate(
            {"camera": camera, "epoch": epoch, "first_seq": first, "last_seq": last, "box": corners, "why": why}
        )
    except ValueError:
        fail("--video, --box: a correction is CAMERA/EPOCH, frames, and a box X1,Y1,X2,Y2", ExitCode.USAGE)
    request = _desk(_settings()).correct(request_id, _actor(who, why), [one])
    say(f"next: veil disclose render {request.id} --why …")


@app.command()
@_tells
def review(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Says that somebody looked through the videos and has nothing against them."""
    request = _desk(_settings()).review(request_id, _actor(who, why))
    say(f"next: veil disclose package {request.id} --why …")


@app.command()
@_tells
def package(request_id: _Id, who: _Who = "", why: _Why = "") -> None:
    """Packs videos, cover sheet and manifest, and signs them."""
    request, path = _desk(_settings()).package(request_id, _actor(who, why))
    say(f"{path}, SHA-256 {request.package[path.name]}")
    say(f"next: veil disclose hand-over {request.id} --why …")


@app.command("hand-over")
@_tells
def hand_over(
    request_id: _Id,
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=366, help="Days for which the package can be taken.")
    ] = None,
    who: _Who = "",
    why: _Why = "",
) -> None:
    """Lets the package be taken from now on, for some days."""
    request = _desk(_settings()).hand_over(request_id, _actor(who, why), days)
    say(f"request {request.id} is answered; the package can be taken until {_time(request.expires_us or 0)} UTC")


@app.command()
@_tells
def download(
    request_id: _Id,
    to: Annotated[Path, typer.Option(metavar="PATH", help="Where the copy goes.")],
    who: _Who = "",
    why: _Why = "",
) -> None:
    """Copies the package for whoever takes it, and notes who did; refused once it has expired."""
    import shutil

    _, path = _desk(_settings()).download(request_id, _actor(who, why))
    say(str(shutil.copy(path, to)))


@app.command()
@_tells
def letter(
    request_id: _Id, to: Annotated[Path, typer.Option(metavar="PATH", help="Where the page goes (HTML).")]
) -> None:
    """Writes the refusal or postponement of a request with its reason, as a page for whoever asked."""
    to.write_text(_desk(_settings()).letter(request_id), encoding="utf-8")
    say(str(to))


@app.command()
@_tells
def expire() -> None:
    """Takes back packages whose time is over, and removes what ended requests left behind; to be run every day."""
    from services.disclosure.request import Actor

    done = _desk(_settings()).expire(Actor(who="veil", why="its time is over", role="service"))
    say(f"{len(done)} packages have expired")


@keys_app.command()
@_tells
def create(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the keys.")]) -> None:
    """Makes a key that signs from now on. Older public halves stay, for packages that they signed."""
    from services.disclosure.signing import SigningKeys, fingerprint

    keys = SigningKeys(folder)
    public = keys.create()
    say(f"{public} is the public key: publish it, and its fingerprint")
    say(fingerprint(keys.current().public_key()))


@tells_errors
def verify(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="The zip, or the folder it was unpacked to.")],
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Public key of who must have signed it.")] = None,
    fingerprint: Annotated[str, typer.Option(metavar="HEX", help="Fingerprint that their key must have.")] = "",
) -> None:
    """Tells whether a package is as it was signed, and names every file that was changed, removed or added."""
    from services.disclosure import verify as checks

    try:
        verdict = checks.verify(package, key.read_bytes() if key is not None else None, fingerprint)
    except checks.PackageError as error:
        fail(_sentence(error), ExitCode.USAGE)
    for fault in verdict.faults:
        complain(fault.removesuffix("."))
    if verdict.fingerprint:
        say(f"signed with the key {verdict.fingerprint}")
    if not verdict.holds:
        raise typer.Exit(1)
    say("every file is as it was signed")


def _settings() -> "DisclosureSettings":
    from services.disclosure.settings import DisclosureSettings

    try:
        # The folders come from the environment.
        return DisclosureSettings()  # type: ignore[call-arg, unused-ignore]
    except ValidationError as error:
        fields = ", ".join(f"VEIL_DISCLOSURE_{str(each['loc'][0]).upper()}" for each in error.errors())
        fail(f"disclosure is not set up: see {fields}", ExitCode.USAGE)


def _desk(settings: "DisclosureSettings", *, with_footage: bool = False) -> "Desk":
    from services.disclosure.desk import Desk, Office
    from services.disclosure.package import House
    from services.disclosure.signing import SigningKeys
    from services.disclosure.store import RequestStore

    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = settings.database_password_file
    store = RequestStore(
        settings.database or f"sqlite:///{settings.folder / 'requests.db'}",
        None if password is None else password.read_text(encoding="utf-8").strip(),
    )
    office = Office(
        folder=settings.folder,
        keys=SigningKeys(settings.keys),
        policies=_policies(settings.policies) if with_footage else {},
        house=House(settings.house, settings.contact),
        rules=settings.rules,
        zone=ZoneInfo(settings.time_zone),
        expiry_days=settings.expiry_days,
    )
    return Desk(store, _vault() if with_footage else None, office)


def _vault() -> "Footage":
    from services.vault.vault import open_vault

    return open_vault()


def _of_the_vault() -> tuple[type[Exception], ...]:
    try:
        from services.vault.errors import VaultError
    except ModuleNotFoundError:
        return ()
    return (VaultError,)


def _policies(folder: Path | None) -> dict[str, Policy]:
    if folder is None:
        fail("VEIL_DISCLOSURE_POLICIES: a folder with the policies that cameras had is needed", ExitCode.USAGE)
    found = [load_policy(path) for path in sorted(folder.glob("*.yaml"))]
    return {policy.fingerprint: policy for policy in found}


def _lacks(error: ModuleNotFoundError) -> NoReturn:
    name = error.name or ""
    fail(f"disclosure needs the package {name.partition('.')[0]}: pip install 'veil[vault]'", ExitCode.USAGE)


def _actor(who: str, why: str, role: str = "officer") -> "Actor":
    from services.disclosure.request import Actor

    try:
        return Actor(who=who or getpass.getuser(), why=why, role=role)
    except ValidationError:
        fail("--why: nothing is done without a reason", ExitCode.USAGE)


def _sight(text: str, listed: "Mapping[int, Sight]") -> "Sight":
    from services.disclosure.request import Sight

    number, colon, part = text.partition(":")
    if not number.isdigit() or int(number) not in listed:
        fail(f"{text}: find did not list that number", ExitCode.USAGE)
    sight = listed[int(number)]
    if not colon:
        return sight
    first, last = _frames(text, part)
    try:
        return Sight.model_validate(
            {**dict(sight), "first_seq": max(first, sight.first_seq), "last_seq": min(last, sight.last_seq)}
        )
    except ValidationError:
        fail(f"{text}: it is not in these frames", ExitCode.USAGE)


def _frames(option: str, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,12})-(\d{1,12})", text)
    if match is None:
        fail(f"{option}: frames are FIRST-LAST, such as 0-250", ExitCode.USAGE)
    return int(match[1]), int(match[2])


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: a day is written like 2026-03-01", ExitCode.USAGE)


def _us(option: str, text: str, zone: ZoneInfo) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: a time is written like 2026-03-01T14:00", ExitCode.USAGE)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1e6)


def _time(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _sentence(error: Exception) -> str:
    """As other errors of the command: without a full stop."""
    return str(error).removesuffix(".")
