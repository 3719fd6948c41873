"""What is done with a request, step by step: each takes a request and gives the next one, or says why not."""

import secrets
from collections.abc import Mapping
from datetime import date

from services.disclosure.deadlines import rule_set
from services.disclosure.errors import DisclosureError, Invalid, NotAllowed
from services.disclosure.request import Actor, Correction, Request, Sight, Step, folded, made
from services.disclosure.states import MOVES, Action, Move, State


def file_request(
    actor: Actor,
    at_us: int,
    *,
    whose: str,
    cameras: tuple[str, ...],
    start_us: int,
    end_us: int,
    legal_basis: str,
    received: date,
    rules: str = "gdpr",
    asked_by: str = "",
) -> Request:
    """A new request. Raises Invalid on values that make no sense."""
    due = rule_set(rules).due(received)
    step = Step(
        action=Action.FILE,
        who=actor.who,
        role=actor.role,
        at_us=at_us,
        why=actor.why,
        before=None,
        after=State.FILED,
    )
    return made(
        {
            "id": f"{received:%Y%m%d}-{secrets.token_hex(4)}",
            "state": State.FILED,
            "whose": whose,
            "asked_by": asked_by,
            "cameras": cameras,
            "start_us": start_us,
            "end_us": end_us,
            "legal_basis": legal_basis,
            "rules": rules,
            "received": received,
            "due": due,
            "history": (step,),
        }
    )


def find(request: Request, actor: Actor, at_us: int, found: int) -> Request:
    """The tracks of the range were looked through."""
    return _moved(request, Action.FIND, actor, at_us, details={"tracks": str(found)})


def suggest(request: Request, actor: Actor, at_us: int, like: int, compared: int) -> Request:
    """Tracks were compared with some of the subject's by their colours; what came of it is nowhere."""
    details = {"like": str(like), "compared": str(compared)}
    return _moved(request, Action.SUGGEST, actor, at_us, details=details)


def choose(request: Request, actor: Actor, at_us: int, sights: tuple[Sight, ...]) -> Request:
    """Says which tracks show the subject."""
    if not sights:
        raise Invalid("Nothing was chosen.")
    strange = sorted({sight.camera for sight in sights} - set(request.cameras))
    if strange:
        raise Invalid(f"The request is not about the camera {strange[0]}.")
    details = {"tracks": str(len(sights))}
    return _moved(request, Action.CHOOSE, actor, at_us, details=details, sights=sights, corrections=())


def submit(request: Request, actor: Actor, at_us: int) -> Request:
    """Puts it before a second person."""
    if not request.sights:
        raise NotAllowed("Nothing was chosen yet: the subject comes first.")
    return _moved(request, Action.SUBMIT, actor, at_us)


def send_back(request: Request, actor: Actor, at_us: int) -> Request:
    """Opens it to changes again; an approval is void from then on."""
    return _moved(request, Action.RETURN, actor, at_us, rendered={}, package={}, corrections=())


def approve(request: Request, actor: Actor, at_us: int) -> Request:
    """A second person agrees. Raises NotAllowed for anyone who had a hand in it: two pairs of eyes."""
    hands = request.did(Action.FILE, Action.FIND, Action.SUGGEST, Action.CHOOSE, Action.SUBMIT)
    if folded(actor.who) in hands:
        raise NotAllowed(f"{actor.who} took part in this request: somebody else has to approve it.")
    return _moved(request, Action.APPROVE, actor, at_us)


def may_render(request: Request, actor: Actor) -> None:
    """Raises NotAllowed unless it was approved, and by somebody else."""
    check(request, Action.RENDER)
    if request.approved_by is None:
        raise NotAllowed("Nobody has approved it.")
    if folded(request.approved_by) == folded(actor.who):
        raise NotAllowed(f"{actor.who} approved this request: somebody else has to render it.")


def rendered(request: Request, actor: Actor, at_us: int, files: Mapping[str, str]) -> Request:
    """It was rendered; `files` are names and SHA-256 in hex."""
    may_render(request, actor)
    return _moved(request, Action.RENDER, actor, at_us, details=dict(files), rendered=dict(files), package={})


def look(request: Request, actor: Actor, at_us: int) -> Request:
    """Somebody looks at what was rendered; told once for each person and rendering."""
    check(request, Action.LOOK)
    if looked(request, actor):
        return request
    return _moved(request, Action.LOOK, actor, at_us, after=request.state)


def looked(request: Request, actor: Actor) -> bool:
    """Whether they have looked at this rendering before."""
    for step in reversed(request.history):
        if step.action is Action.RENDER:
            break
        if step.action is Action.LOOK and folded(step.who) == folded(actor.who):
            return True
    return False


def correct(request: Request, actor: Actor, at_us: int, corrections: tuple[Correction, ...]) -> Request:
    """More is to be masked: it has to be rendered again."""
    check(request, Action.CORRECT)
    if not corrections:
        raise Invalid("There is no correction.")
    for one in corrections:
        _check_that_it_meets(one, request.sights)
    details = {"corrections": str(len(corrections))}
    every = (*request.corrections, *corrections)
    return _moved(request, Action.CORRECT, actor, at_us, details=details, corrections=every, rendered={}, package={})


def review(request: Request, actor: Actor, at_us: int) -> Request:
    """Somebody looked through what was rendered and has nothing against it."""
    return _moved(request, Action.REVIEW, actor, at_us)


def may_package(request: Request) -> None:
    """Raises NotAllowed unless there is something approved and rendered to pack."""
    check(request, Action.PACKAGE)
    if request.approved_by is None or not request.rendered:
        raise NotAllowed("There is nothing approved and rendered to pack.")


def packaged(request: Request, actor: Actor, at_us: int, files: Mapping[str, str]) -> Request:
    """It was packed and signed; `files` are names and SHA-256 in hex."""
    may_package(request)
    return _moved(request, Action.PACKAGE, actor, at_us, details=dict(files), package=dict(files))


def hand_over(request: Request, actor: Actor, at_us: int, expires_us: int) -> Request:
    """The package may be taken from now on, until `expires_us`."""
    if expires_us <= at_us:
        raise Invalid("It would have expired before it is handed over.")
    details = {"expires_us": str(expires_us)}
    return _moved(request, Action.HAND_OVER, actor, at_us, details=details, expires_us=expires_us)


def download(request: Request, actor: Actor, at_us: int) -> Request:
    """Somebody took the package. Raises NotAllowed once it has expired."""
    check(request, Action.DOWNLOAD)
    if request.expires_us is None or at_us >= request.expires_us:
        raise NotAllowed("The package has expired.")
    return _moved(request, Action.DOWNLOAD, actor, at_us)


def expire(request: Request, actor: Actor, at_us: int) -> Request:
    """What was handed over is taken back, as its time is over."""
    check(request, Action.EXPIRE)
    if request.expires_us is None or at_us < request.expires_us:
        raise NotAllowed("It has not expired yet.")
    return _moved(request, Action.EXPIRE, actor, at_us, rendered={}, package={})


def postpone(request: Request, actor: Actor, at_us: int, until: date) -> Request:
    """Puts the answer off, with reasons, as far as the rules allow."""
    rules = rule_set(request.rules)
    latest = rules.latest(request.received)
    if until <= request.due:
        raise Invalid(f"It is due on {request.due} anyway.")
    if latest is not None and until > latest:
        raise NotAllowed(f"{rules.source}: it can't be put off beyond {latest}.")
    details = {"due": str(until), "was_due": str(request.due)}
    return _moved(request, Action.POSTPONE, actor, at_us, details=details, due=until)


def resume(request: Request, actor: Actor, at_us: int) -> Request:
    """Goes on where it was when it was put off."""
    check(request, Action.RESUME)
    before = next(step.before for step in reversed(request.history) if step.action is Action.POSTPONE)
    return _moved(request, Action.RESUME, actor, at_us, after=before)


def refuse(request: Request, actor: Actor, at_us: int) -> Request:
    """Nothing will be given, for the reason that the actor names."""
    return _moved(request, Action.REFUSE, actor, at_us, rendered={}, package={})


def withdraw(request: Request, actor: Actor, at_us: int) -> Request:
    """Whoever asked has changed their mind."""
    return _moved(request, Action.WITHDRAW, actor, at_us, rendered={}, package={})


def _check_that_it_meets(one: Correction, sights: tuple[Sight, ...]) -> None:
    """A correction that corrects nothing is a slip, and would leave somebody seen."""
    met = [
        sight
        for sight in sights
        if sight.stream == one.stream and sight.first_seq <= one.last_seq and sight.last_seq >= one.first_seq
    ]
    if not met:
        raise Invalid(f"Nothing of {one.camera}, epoch {one.epoch}, is shown in these frames.")
    if one.track is not None and not any((sight.track, sight.kind) == (one.track, one.kind) for sight in met):
        raise Invalid(f"The {one.kind} {one.track} is not the subject's in these frames: it is masked already.")


def possible(request: Request) -> tuple[Action, ...]:
    """What may be done with it now."""
    return tuple(action for action, move in MOVES.items() if request.state in move.before)


def check(request: Request, action: Action) -> Move:
    """Raises NotAllowed where the request's state does not allow it."""
    move = MOVES[action]
    if request.state not in move.before:
        raise NotAllowed(f"{_WORDS[action]} is not possible: the request {request.id} is {request.state}.")
    return move


_WORDS = {action: action.value.replace("_", " ").capitalize() for action in Action}


def _moved(
    request: Request,
    action: Action,
    actor: Actor,
    at_us: int,
    *,
    details: Mapping[str, str] | None = None,
    after: State | None = None,
    **changes: object,
) -> Request:
    move = check(request, action)
    state = after or move.after
    if state is None:
        raise DisclosureError("A step led nowhere.")
    step = Step(
        action=action,
        who=actor.who,
        role=actor.role,
        # A clock that was set back must not put steps out of order.
        at_us=max(at_us, request.history[-1].at_us),
        why=actor.why,
        before=request.state,
        after=state,
        details=dict(details or {}),
    )
    raw = {**dict(request), "state": state, "history": (*request.history, step), **changes}
    return made(raw)
