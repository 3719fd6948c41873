"""Who is shown: looked for, chosen, put before a second person."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from services.cli.console import out, say
from services.cli.disclose.errors import tells
from services.cli.disclose.office import open_desk
from services.cli.disclose.options import RequestId, Who, Why, actor_of, sight_of, time_of

if TYPE_CHECKING:
    from services.disclosure.desk import Desk
    from services.disclosure.find import Found
    from services.disclosure.request import Actor, Request

_PAGE = 24
_Page = Annotated[int, typer.Option("--page", metavar="N", min=1, help=f"Which {_PAGE} of them, from 1.")]


@tells
def find(request_id: RequestId, page: _Page = 1, who: Who = "", why: Why = "") -> None:
    """Lists who is in the range, and makes masked pictures of a page of them: no face is seen, places are marked."""
    actor, desk = actor_of(who, why), open_desk(with_footage=True)
    request, found = desk.find(request_id, actor)
    _show(desk, request, actor, found, page)


@tells
def tracks(request_id: RequestId, page: _Page = 1, who: Who = "", why: Why = "") -> None:
    """Shows another page of what find has listed, without looking through the range again."""
    actor, desk = actor_of(who, why), open_desk(with_footage=True)
    found = desk.found(request_id)
    _show(desk, desk.store.get(request_id), actor, found, page)


@tells
def suggest(
    request_id: RequestId,
    numbers: Annotated[
        list[int], typer.Argument(metavar="NUMBER...", help="Tracks that show the subject, as find lists them.")
    ],
    most: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="At most so many.")] = 10,
    who: Who = "",
    why: Why = "",
) -> None:
    """Lists tracks of people who are dressed alike, to look at first: colours only, never a face, and nothing is kept.

    Many people wear the same: the pictures decide, and whoever asked.
    """
    actor, desk = actor_of(who, why), open_desk(with_footage=True)
    suggestions = desk.suggest(request_id, actor, numbers, most)
    if not suggestions:
        say("nobody can be compared")
        return
    likeness = {one.number: one.likeness for one in suggestions}
    pictures = desk.thumbnails(request_id, actor, likeness)
    listed = {one.number: one for one in desk.found(request_id)}
    table = _table("alike", "picture")
    for number, alike in likeness.items():
        table.add_row(*_row(listed[number]), f"{alike:.2f}", "" if number in pictures else "none")
    out.print(table)
    say(f"pictures: {desk.folder_of(desk.store.get(request_id), 'found')}")


def _show(desk: "Desk", request: "Request", actor: "Actor", found: "Sequence[Found]", page: int) -> None:
    """One page of what was found, with its pictures."""
    part = found[(page - 1) * _PAGE : page * _PAGE]
    if not part:
        say("nobody was found in the range" if not found else f"there is no page {page}")
        return
    desk.thumbnails(request.id, actor, [one.number for one in part])
    table = _table("belongs to")
    for one in part:
        table.add_row(*_row(one), " ".join(map(str, one.belongs)))
    out.print(table)
    if len(found) > _PAGE:
        pages = -(-len(found) // _PAGE)
        say(f"page {page} of {pages}, {len(found)} tracks: veil disclose tracks {request.id} --page N --why …")
    say(f"pictures: {desk.folder_of(request, 'found')}")
    say(f"next: veil disclose choose {request.id} NUMBER… --why …")


def _table(*more: str) -> Table:
    return Table("number", "camera", "kind", "from", "to", *more, box=None, header_style="dim", pad_edge=False)


def _row(one: "Found") -> tuple[str, ...]:
    return str(one.number), one.camera, one.kind, time_of(one.start_us), time_of(one.end_us)


@tells
def choose(
    request_id: RequestId,
    numbers: Annotated[
        list[str],
        typer.Argument(
            metavar="NUMBER...", help="What shows the subject, as find lists it; 17:0-250 for these frames."
        ),
    ],
    who: Who = "",
    why: Why = "",
) -> None:
    """Says which tracks show the subject, over gaps and cameras; a face and the body that it belongs to are two."""
    actor, desk = actor_of(who, why), open_desk()
    listed = desk.listed(request_id)
    sights = [sight_of(text, listed) for text in numbers]
    request = desk.choose(request_id, actor, sights)
    say(f"{len(request.sights)} tracks show {request.whose}")
    say(f"next: veil disclose submit {request.id} --why …")


@tells
def submit(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Puts the request before a second person."""
    request = open_desk().submit(request_id, actor_of(who, why))
    say(f"request {request.id} waits for somebody else: veil disclose approve {request.id} --who … --why …")


@tells
def send_back(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Opens a request to changes again; an approval and what was rendered are void."""
    request = open_desk().send_back(request_id, actor_of(who, why))
    say(f"request {request.id} is open to changes again")


@tells
def approve(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Agrees, as a second person: not who filed, searched, chose or submitted it, nor who will render it."""
    request = open_desk().approve(request_id, actor_of(who, why, "approver"))
    say(f"request {request.id} is approved; next, by somebody else: veil disclose render {request.id} --why …")
