"""Requests in every state, as officers would have brought them there."""

from datetime import date
from typing import Any

from services.disclosure import steps
from services.disclosure.request import Actor, Request, Sight
from services.disclosure.states import State
from services.policy.model import Kind

DAY_US = 24 * 3600 * 1_000_000
START_US = 1_790_000_000_000_000
EPOCH = START_US

OFFICER = Actor(who="kim", why="asked at the counter")
APPROVER = Actor(who="lee", why="the picture shows who asked", role="approver")
ADMIN = Actor(who="veil", why="its time is over", role="service")

FACE = Sight(camera="gate", epoch=EPOCH, track=1, kind=Kind.FACE, first_seq=0, last_seq=99)


def filed(**given: Any) -> Request:
    usual: dict[str, Any] = {
        "whose": "J. Park, born 1980",
        "cameras": ("gate",),
        "start_us": START_US,
        "end_us": START_US + 60_000_000,
        "legal_basis": "GDPR, article 15",
        "received": date(2026, 9, 21),
    }
    return steps.file_request(OFFICER, START_US + DAY_US, **(usual | given))


def brought_to(state: State, request: Request | None = None, at_us: int = START_US + DAY_US) -> Request:
    """A request in that state, by the shortest way."""
    request = request or filed()
    ways = {
        State.FOUND: lambda now: steps.find(now, OFFICER, at_us, 3),
        State.SUBMITTED: lambda now: steps.submit(steps.choose(now, OFFICER, at_us, (FACE,)), OFFICER, at_us),
        State.APPROVED: lambda now: steps.approve(now, APPROVER, at_us),
        State.RENDERED: lambda now: steps.rendered(now, OFFICER, at_us, {"video-1.mp4": "ab"}),
        State.REVIEWED: lambda now: steps.review(now, OFFICER, at_us),
        State.PACKAGED: lambda now: steps.packaged(now, OFFICER, at_us, {"package.zip": "cd"}),
        State.HANDED_OVER: lambda now: steps.hand_over(now, OFFICER, at_us, at_us + DAY_US),
        State.EXPIRED: lambda now: steps.expire(now, ADMIN, at_us + DAY_US),
    }
    beside = {
        State.POSTPONED: lambda now: steps.postpone(now, OFFICER, at_us, date(2026, 11, 1)),
        State.REFUSED: lambda now: steps.refuse(now, OFFICER, at_us),
        State.WITHDRAWN: lambda now: steps.withdraw(now, OFFICER, at_us),
    }
    if state in beside:
        return beside[state](request)
    for way in ways:
        if request.state is state:
            break
        request = ways[way](request)
    assert request.state is state
    return request
