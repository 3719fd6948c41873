"""What is given: rendered, looked through, packed, handed over."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import fail, say
from services.cli.disclose.errors import tells
from services.cli.disclose.office import open_desk
from services.cli.disclose.options import RequestId, Who, Why, actor_of, frames_of, time_of
from services.embedded.errors import ExitCode

WHYS = {
    "other": "somebody or something else",
    "guess": "chosen, but its place is a guess here",
    "many": "chosen, but it may be several people",
    "soon": "first found shortly after",
    "zone": "a zone that is always masked",
    "box": "a correction",
    "taken": "chosen, but a correction took it back",
}
"""Why something is masked, as the command says it."""


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
    say(f"next: veil disclose look {request.id} VIDEO --at SECONDS --to PICTURE --why …, review, or package")


@tells
def look(
    request_id: RequestId,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Such as video-1.mp4.")],
    to: Annotated[Path, typer.Option(metavar="PATH", help="Where the picture goes (JPEG).")],
    at: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Which time of the video.")] = 0.0,
    frame: Annotated[int | None, typer.Option(metavar="N", min=0, help="Which frame instead, from 0.")] = None,
    who: Who = "",
    why: Why = "",
) -> None:
    """Shows one frame of the result, and what covers what in it, and why. Everybody but the subject is masked."""
    actor, desk = actor_of(who, why), open_desk()
    shown = (
        desk.look_at(request_id, actor, video, round(at * 1000))
        if frame is None
        else desk.look(request_id, actor, video, frame)
    )
    told = shown.told
    part = next(part for part in desk.videos(request_id).parts if part.name == video)
    to.write_bytes(shown.jpeg)
    say(f"frame {told.number} at {told.at_ms / 1000:.2f} s, taken {time_of(told.captured_us)}")
    say(f"in corrections it is frame {told.seq} of {part.camera}/{part.epoch}")
    if told.why:
        say(f"closed: {told.why}")
    for mask in told.masks:
        what = "a place" if mask.kind is None else mask.kind
        say(f"{what} at {','.join(map(str, mask.box))}: {WHYS[mask.why]}")
    say(str(to))


@tells
def correct(
    request_id: RequestId,
    video: Annotated[str, typer.Option(metavar="CAMERA/EPOCH", help="Whose frames, as veil disclose look tells.")],
    frames: Annotated[str, typer.Option(metavar="A-B", help="From frame to frame, both included.")],
    box: Annotated[str, typer.Option(metavar="X1,Y1,X2,Y2", help="What to mask, in pixels.")] = "",
    track: Annotated[
        str, typer.Option(metavar="KIND:TRACK", help="A track that is not the subject's, as veil disclose show tells.")
    ] = "",
    who: Who = "",
    why: Why = "",
) -> None:
    """Masks more, as a review found: it has to be rendered again, but not approved again.

    Without a box or a track the whole frames are closed.
    """
    from services.disclosure.request import Correction

    camera, _, epoch = video.rpartition("/")
    kind, _, number = track.partition(":")
    first, last = frames_of("--frames", frames)
    raw: dict[str, object] = {"camera": camera, "epoch": epoch, "first_seq": first, "last_seq": last, "why": why}
    raw |= {"kind": kind, "track": number} if track else {}
    try:
        raw |= {"box": tuple(float(value) for value in box.split(","))} if box else {}
        one = Correction.model_validate(raw)
    except ValueError:
        fail("--video, --box, --track: a correction is CAMERA/EPOCH, and X1,Y1,X2,Y2 or KIND:TRACK", ExitCode.USAGE)
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
