"""What is given: rendered, looked through, packed, handed over."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import fail, say
from services.cli.disclose.errors import tells
from services.cli.disclose.office import open_desk
from services.cli.disclose.options import RequestId, Who, Why, actor_of, frames_of, time_of
from services.embedded.errors import ExitCode


@tells
def render(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Makes the videos: the subject is seen, everyone else is masked, what is uncertain is closed."""
    actor, desk = actor_of(who, why), open_desk(with_footage=True)
    request, rendered = desk.render(request_id, actor)
    for part in rendered.parts:
        seconds = part.duration_ms / 1000
        say(f"{part.name}: {part.camera}, {seconds:.1f} s, {part.frames - part.open} of {part.frames} frames closed")
        for reason, count in part.closed.items():
            say(f"  {count} frames closed: {reason}")
    for lack in rendered.lacks:
        say(f"{lack.camera}, {time_of(lack.start_us)} to {time_of(lack.end_us)}: {lack.why}")
    say(f"videos: {desk.folder_of(request, 'videos')}")
    say(f"next: veil disclose review {request.id} --why …, or package")


@tells
def correct(
    request_id: RequestId,
    video: Annotated[str, typer.Option(metavar="CAMERA/EPOCH", help="Whose frames, as veil disclose show tells.")],
    frames: Annotated[str, typer.Option(metavar="A-B", help="From frame to frame, both included.")],
    box: Annotated[
        str, typer.Option(metavar="X1,Y1,X2,Y2", help="What to mask, in pixels; the whole frames if left out.")
    ] = "",
    who: Who = "",
    why: Why = "",
) -> None:
    """Masks more, as a review found: it has to be rendered again, but not approved again."""
    from services.disclosure.request import Correction

    camera, _, epoch = video.rpartition("/")
    first, last = frames_of("--frames", frames)
    try:
        corners = tuple(float(value) for value in box.split(",")) if box else None
        one = Correction.model_validate(
            {"camera": camera, "epoch": epoch, "first_seq": first, "last_seq": last, "box": corners, "why": why}
        )
    except ValueError:
        fail("--video, --box: a correction is CAMERA/EPOCH, frames, and a box X1,Y1,X2,Y2", ExitCode.USAGE)
    request = open_desk().correct(request_id, actor_of(who, why), [one])
    say(f"next: veil disclose render {request.id} --why …")


@tells
def review(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Says that somebody looked through the videos and has nothing against them."""
    request = open_desk().review(request_id, actor_of(who, why))
    say(f"next: veil disclose package {request.id} --why …")


@tells
def package(request_id: RequestId, who: Who = "", why: Why = "") -> None:
    """Packs videos, cover sheet and manifest, and signs them."""
    request, path = open_desk().package(request_id, actor_of(who, why))
    say(f"{path}, SHA-256 {request.package[path.name]}")
    say(f"next: veil disclose hand-over {request.id} --why …")


@tells
def hand_over(
    request_id: RequestId,
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=366, help="Days for which the package can be taken.")
    ] = None,
    who: Who = "",
    why: Why = "",
) -> None:
    """Lets the package be taken from now on, for some days."""
    request = open_desk().hand_over(request_id, actor_of(who, why), days)
    say(f"request {request.id} is answered; the package can be taken until {time_of(request.expires_us or 0)} UTC")


@tells
def download(
    request_id: RequestId,
    to: Annotated[Path, typer.Option(metavar="PATH", help="Where the copy goes.")],
    who: Who = "",
    why: Why = "",
) -> None:
    """Copies the package for whoever takes it, and notes who did; refused once it has expired."""
    import shutil

    _, path = open_desk().download(request_id, actor_of(who, why))
    say(str(shutil.copy(path, to)))


@tells
def expire() -> None:
    """Takes back packages whose time is over, and removes what ended requests left behind; to be run every day."""
    from services.disclosure.request import Actor

    done = open_desk().expire(Actor(who="veil", why="its time is over", role="service"))
    say(f"{len(done)} packages have expired")
