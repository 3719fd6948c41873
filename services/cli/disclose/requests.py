"""Requests as such: taken in, listed, told of, put off, refused."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from services.cli.console import fail, out, say
from services.cli.disclose.errors import tells
from services.cli.disclose.office import open_desk, read_settings
from services.cli.disclose.options import RequestId, Who, Why, actor_of, day_of, time_of, us_of
from services.embedded.errors import ExitCode


@tells
def file_request(
    whose: Annotated[str, typer.Option(metavar="TEXT", help="Whom the footage shows, as you know them.")],
    camera: Annotated[list[str], typer.Option(metavar="CAMERA", help="Id of a camera; may be given several times.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="Where the time begins, ISO 8601.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Where it ends; this moment is left out.")],
    basis: Annotated[str, typer.Option(metavar="TEXT", help="Legal basis: GDPR, article 15; PIPA, article 35; …")],
    received: Annotated[str, typer.Option(metavar="DAY", help="When it was received; today if left out.")] = "",
    rules: Annotated[str, typer.Option(metavar="RULES", help="Deadline: gdpr, pipa, days:N, days:N+MORE.")] = "",
    asked_by: Annotated[str, typer.Option(metavar="TEXT", help="Who asks, where that is somebody else.")] = "",
    who: Who = "",
    why: Why = "",
) -> None:
    """Takes a request in. Times without a zone are of the zone VEIL_DISCLOSURE_TIME_ZONE."""
    actor, zone = actor_of(who, why), ZoneInfo(read_settings().time_zone)
    request = open_desk().file(
        actor,
        whose=whose,
        cameras=camera,
        start_us=us_of("--from", start, zone),
        end_us=us_of("--to", end, zone),
        legal_basis=basis,
        received=day_of("--received", received) if received else None,
        rules=rules or None,
        asked_by=asked_by,
    )
    say(f"request {request.id} is filed; it is due on {request.due}")
    say(f"next: veil disclose find {request.id} --why …")


@tells
def list_requests(
    state: Annotated[list[str] | None, typer.Option(metavar="STATE", help="Only in this state; repeatable.")] = None,
    due: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Only what has no answer and is due by then, or late.")
    ] = None,
) -> None:
    """Lists requests, those due first."""
    from services.disclosure.states import State

    desk = open_desk()
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


@tells
def show(request_id: RequestId) -> None:
    """Tells all of a request: what is asked for, what was done by whom and why, and what may come next."""
    from services.disclosure import steps

    desk = open_desk()
    request = desk.store.get(request_id)
    say(f"request {request.id}: {request.state}, due on {request.due} ({request.days_left(desk.today)} days)")
    say(f"whose: {request.whose}{f', asked by {request.asked_by}' if request.asked_by else ''}")
    say(f"footage: {', '.join(request.cameras)}, {time_of(request.start_us)} to {time_of(request.end_us)} UTC")
    say(f"legal basis: {request.legal_basis}; deadline by {request.rules}")
    for sight in request.sights:
        frames = f"frames {sight.first_seq} to {sight.last_seq}"
        say(f"shows: {sight.kind} {sight.track} of {sight.camera}, epoch {sight.epoch}, {frames}")
    for step in request.history:
        say(f"{time_of(step.at_us)} {step.action.value.replace('_', ' ')} by {step.who}: {step.why}")
    for name, digest in {**request.rendered, **request.package}.items():
        say(f"file {name}, SHA-256 {digest}")
    following = ", ".join(action.value.replace("_", "-") for action in steps.possible(request))
    say(f"may come next: {following or 'nothing'}")


@tells
def refuse(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Gives nothing, for the reason in --why."""
    request = open_desk().refuse(request_id, actor_of(who, why))
    say(f"request {request.id} is refused")


@tells
def withdraw(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Ends a request because whoever asked has changed their mind."""
    request = open_desk().withdraw(request_id, actor_of(who, why))
    say(f"request {request.id} is withdrawn")


@tells
def postpone(
    request_id: RequestId,
    until: Annotated[str, typer.Option(metavar="DAY", help="The new day on which it is due, such as 2026-05-31.")],
    who: Who = "",
    why: Why = "",
) -> None:
    """Puts the answer off, for the reason in --why, as far as the rules of its deadline allow."""
    request = open_desk().postpone(request_id, actor_of(who, why), day_of("--until", until))
    say(f"request {request.id} is put off; it is due on {request.due}")


@tells
def resume(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Goes on with a request that was put off."""
    request = open_desk().resume(request_id, actor_of(who, why))
    say(f"request {request.id} is {request.state} again")


@tells
def letter(
    request_id: RequestId, to: Annotated[Path, typer.Option(metavar="PATH", help="Where the page goes (HTML).")]
) -> None:
    """Writes the refusal or postponement of a request with its reason, as a page for whoever asked."""
    to.write_text(open_desk().letter(request_id), encoding="utf-8")
    say(str(to))
