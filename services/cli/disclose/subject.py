"""Who is shown: looked for, chosen, put before a second person."""

from typing import Annotated

import typer
from rich.table import Table

from services.cli.console import out, say
from services.cli.disclose.errors import tells
from services.cli.disclose.office import open_desk
from services.cli.disclose.options import RequestId, Who, Why, actor_of, sight_of, time_of


@tells
def find(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Lists who is in the range, and makes a masked picture of each: their place is marked, no face is seen."""
    actor, desk = actor_of(who, why), open_desk(with_footage=True)
    request, found = desk.find(request_id, actor)
    table = Table("number", "camera", "kind", "from", "to", "belongs to", box=None, header_style="dim", pad_edge=False)
    for one in found:
        others = " ".join(str(other.number) for other in one.belongs)
        table.add_row(str(one.number), one.camera, one.kind, time_of(one.start_us), time_of(one.end_us), others)
    out.print(table) if table.row_count else say("nobody was found in the range")
    say(f"pictures: {desk.folder_of(request, 'found')}")
    say(f"next: veil disclose choose {request.id} NUMBER… --why …")


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
