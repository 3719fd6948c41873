"""What the commands take, read from what was typed; and how they write a time."""

import getpass
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError

from services.cli.console import fail
from services.embedded.errors import ExitCode

if TYPE_CHECKING:
    from services.disclosure.request import Actor, Sight

RequestId = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request, as veil disclose list shows it.")]
Who = Annotated[
    str, typer.Option("--who", metavar="NAME", help="Who you are; the name you are logged in under if left out.")
]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Your reason; it stands in the audit log.")]


def actor_of(who: str, why: str, role: str = "officer") -> "Actor":
    """Who acts. Ends the command where there is no reason."""
    from services.disclosure.request import Actor

    try:
        return Actor(who=who or getpass.getuser(), why=why, role=role)
    except ValidationError:
        fail("--why: nothing is done without a reason", ExitCode.USAGE)


def sight_of(text: str, listed: "Mapping[int, Sight]") -> "Sight":
    """A number that `find` listed, or NUMBER:FIRST-LAST for these frames of it."""
    from services.disclosure.request import Sight

    number, colon, part = text.partition(":")
    if not number.isdigit() or int(number) not in listed:
        fail(f"{text}: find did not list that number", ExitCode.USAGE)
    sight = listed[int(number)]
    if not colon:
        return sight
    first, last = frames_of(text, part)
    try:
        return Sight.model_validate(
            {**dict(sight), "first_seq": max(first, sight.first_seq), "last_seq": min(last, sight.last_seq)}
        )
    except ValidationError:
        fail(f"{text}: it is not in these frames", ExitCode.USAGE)


def frames_of(option: str, text: str) -> tuple[int, int]:
    """Frames of FIRST-LAST."""
    match = re.fullmatch(r"(\d{1,12})-(\d{1,12})", text)
    if match is None:
        fail(f"{option}: frames are FIRST-LAST, such as 0-250", ExitCode.USAGE)
    return int(match[1]), int(match[2])


def day_of(option: str, text: str) -> date:
    """A day of YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: a day is written like 2026-03-01", ExitCode.USAGE)


def us_of(option: str, text: str, zone: ZoneInfo) -> int:
    """Microseconds since 1970 of an ISO 8601 time, in that zone where it names none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: a time is written like 2026-03-01T14:00", ExitCode.USAGE)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1e6)


def time_of(us: int) -> str:
    """A time as the commands write it, UTC."""
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"
