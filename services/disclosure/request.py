"""A request as a value: who wants which footage and why, what has become of it, and what may come next.

Nothing here touches a database or a picture. A transition takes a request and gives the next one, or says why not.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.disclosure.deadlines import rule_set
from services.disclosure.errors import DisclosureError, Invalid, NotAllowed
from services.policy.model import Kind
from services.schema import pb

LONGEST_RANGE_US = 31 * 24 * 3600 * 1_000_000
"""31 days: what is asked for is a time, not a life."""

_Camera = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_SEQ_MAX = 1 << 40
_Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]

SUBJECT_KINDS = frozenset({Kind.FACE, Kind.HEAD, Kind.PERSON, Kind.MOTION, Kind.PLATE})
"""What can be somebody's own: text and logos can't."""


class State(StrEnum):
    """Where a request is."""

    FILED = "filed"
    FOUND = "found"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RENDERED = "rendered"
    REVIEWED = "reviewed"
    PACKAGED = "packaged"
    HANDED_OVER = "handed_over"
    EXPIRED = "expired"
    POSTPONED = "postponed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


ENDED = frozenset({State.EXPIRED, State.REFUSED, State.WITHDRAWN})
"""Nothing comes after these."""

ANSWERED = ENDED | {State.HANDED_OVER}
"""No deadline runs any more."""

_UNDECIDED = frozenset({State.FILED, State.FOUND, State.SUBMITTED})
_OPEN = frozenset(State) - ANSWERED


class Action(StrEnum):
    """What can be done with a request. The values are the actions of audit events, behind `disclosure.`."""

    FILE = "file"
    FIND = "find"
    CHOOSE = "choose"
    SUBMIT = "submit"
    RETURN = "return"
    APPROVE = "approve"
    RENDER = "render"
    CORRECT = "correct"
    REVIEW = "review"
    PACKAGE = "package"
    HAND_OVER = "hand_over"
    DOWNLOAD = "download"
    EXPIRE = "expire"
    POSTPONE = "postpone"
    RESUME = "resume"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class _Move:
    """From which states an action is possible, and where it leads; None: the state stays, or is the one before."""

    before: frozenset[State]
    after: State | None


_MOVES: Mapping[Action, _Move] = {
    Action.FIND: _Move(frozenset({State.FILED, State.FOUND}), State.FOUND),
    Action.CHOOSE: _Move(frozenset({State.FOUND}), State.FOUND),
    Action.SUBMIT: _Move(frozenset({State.FOUND}), State.SUBMITTED),
    # Whatever was approved is void once it is changed: it has to be approved again.
    Action.RETURN: _Move(
        frozenset({State.SUBMITTED, State.APPROVED, State.RENDERED, State.REVIEWED, State.PACKAGED}), State.FOUND
    ),
    Action.APPROVE: _Move(frozenset({State.SUBMITTED}), State.APPROVED),
    Action.RENDER: _Move(frozenset({State.APPROVED}), State.RENDERED),
    # Corrections only mask more: what was approved still holds.
    Action.CORRECT: _Move(frozenset({State.RENDERED, State.REVIEWED}), State.APPROVED),
    Action.REVIEW: _Move(frozenset({State.RENDERED}), State.REVIEWED),
    Action.PACKAGE: _Move(frozenset({State.RENDERED, State.REVIEWED}), State.PACKAGED),
    Action.HAND_OVER: _Move(frozenset({State.PACKAGED}), State.HANDED_OVER),
    Action.DOWNLOAD: _Move(frozenset({State.HANDED_OVER}), State.HANDED_OVER),
    Action.EXPIRE: _Move(frozenset({State.HANDED_OVER}), State.EXPIRED),
    Action.POSTPONE: _Move(_OPEN - {State.POSTPONED}, State.POSTPONED),
    Action.RESUME: _Move(frozenset({State.POSTPONED}), None),
    Action.REFUSE: _Move(_UNDECIDED | {State.POSTPONED}, State.REFUSED),
    Action.WITHDRAW: _Move(_OPEN, State.WITHDRAWN),
}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Actor(_Model):
    """Who does something, and why. Nothing is done without both."""

    who: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    why: _Reason
    role: str = Field("officer", max_length=64)


class Sight(_Model):
    """A track, or a part of one, that shows the subject; frames from first to last, both included."""

    camera: _Camera
    epoch: int = Field(ge=0, lt=1 << 63)
    track: int = Field(ge=0, lt=1 << 64)
    kind: Kind
    first_seq: int = Field(ge=0, le=_SEQ_MAX)
    last_seq: int = Field(ge=0, le=_SEQ_MAX)

    @model_validator(mode="after")
    def _can_be_shown(self) -> "Sight":
        if self.first_seq > self.last_seq:
            raise ValueError("first_seq must not lie behind last_seq")
        if self.kind not in SUBJECT_KINDS:
            raise ValueError(f"a {self.kind} is nobody's own")
        return self

    @property
    def stream(self) -> tuple[str, int]:
        """Camera and epoch."""
        return self.camera, self.epoch


class Correction(_Model):
    """More to mask, as a review found: a box in some frames, or the whole frames where there is no box."""

    camera: _Camera
    epoch: int = Field(ge=0, lt=1 << 63)
    first_seq: int = Field(ge=0, le=_SEQ_MAX)
    last_seq: int = Field(ge=0, le=_SEQ_MAX)
    box: tuple[float, float, float, float] | None = None
    why: _Reason

    @model_validator(mode="after")
    def _ordered(self) -> "Correction":
        if self.first_seq > self.last_seq:
            raise ValueError("first_seq must not lie behind last_seq")
        if self.box is not None and (self.box[0] >= self.box[2] or self.box[1] >= self.box[3]):
            raise ValueError("a box is x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        return self

    @property
    def stream(self) -> tuple[str, int]:
        """Camera and epoch."""
        return self.camera, self.epoch


class Step(_Model):
    """One thing that was done: who, when (microseconds since 1970), why, and what it led to."""

    action: Action
    who: str
    role: str
    at_us: int
    why: str
    before: State | None
    after: State
    details: dict[str, str] = Field(default_factory=dict)


class Request(_Model):
    """One person's request for their own footage.

    Attributes:
        version: rises with every change; who changes an older one is told.
        whose: whom the footage shows, as the house knows them; asked_by: who asks, where that is somebody else.
        start_us, end_us: of the time asked for, microseconds since 1970; the end is left out.
        rules: name of the rule set of deadlines.
        received, due: days, in the house's own zone; the answer is in time until the end of the day `due`.
        expires_us: until when the package may be taken, once it was handed over.
        sights: the subject; empty until it was chosen.
        rendered, package: file name → SHA-256 of what was made, in hex.
        history: every step, oldest first.
    """

    id: str = Field(pattern=r"^[0-9a-z-]{1,40}$")
    version: int = Field(0, ge=0)
    state: State
    whose: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    asked_by: str = Field("", max_length=200)
    cameras: tuple[_Camera, ...] = Field(min_length=1, max_length=64)
    start_us: int = Field(ge=0)
    end_us: int = Field(ge=0)
    legal_basis: _Reason
    rules: str
    received: date
    due: date
    expires_us: int | None = None
    sights: tuple[Sight, ...] = Field((), max_length=10_000)
    corrections: tuple[Correction, ...] = Field((), max_length=10_000)
    rendered: dict[str, str] = Field(default_factory=dict)
    package: dict[str, str] = Field(default_factory=dict)
    history: tuple[Step, ...] = Field((), max_length=10_000)

    @model_validator(mode="after")
    def _makes_sense(self) -> "Request":
        if not 0 < self.end_us - self.start_us <= LONGEST_RANGE_US:
            raise ValueError("the range must end behind its beginning, and be no longer than 31 days")
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError("a camera stands twice")
        return self

    def did(self, *actions: Action) -> frozenset[str]:
        """Who ever did any of these; names are folded, so that `Kim` is no second person beside `kim`."""
        return frozenset(_folded(step.who) for step in self.history if step.action in actions)

    @property
    def filed_by(self) -> str:
        """Who took the request in."""
        return self.history[0].who

    @property
    def approved_by(self) -> str | None:
        """Who approved what is there now; None as long as nobody has."""
        decisive = [step for step in self.history if step.action in (Action.APPROVE, Action.RETURN)]
        return decisive[-1].who if decisive and decisive[-1].action is Action.APPROVE else None

    def days_left(self, today: date) -> int:
        """Days until it is due; negative once it is late."""
        return (self.due - today).days


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
    return _request(
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
    hands = request.did(Action.FILE, Action.FIND, Action.CHOOSE, Action.SUBMIT)
    if _folded(actor.who) in hands:
        raise NotAllowed(f"{actor.who} took part in this request: somebody else has to approve it.")
    return _moved(request, Action.APPROVE, actor, at_us)


def may_render(request: Request, actor: Actor) -> None:
    """Raises NotAllowed unless it was approved, and by somebody else."""
    _check(request, Action.RENDER)
    if request.approved_by is None:
        raise NotAllowed("Nobody has approved it.")
    if _folded(request.approved_by) == _folded(actor.who):
        raise NotAllowed(f"{actor.who} approved this request: somebody else has to render it.")


def rendered(request: Request, actor: Actor, at_us: int, files: Mapping[str, str]) -> Request:
    """It was rendered; `files` are names and SHA-256 in hex."""
    may_render(request, actor)
    return _moved(request, Action.RENDER, actor, at_us, details=dict(files), rendered=dict(files), package={})


def correct(request: Request, actor: Actor, at_us: int, corrections: tuple[Correction, ...]) -> Request:
    """More is to be masked: it has to be rendered again."""
    if not corrections:
        raise Invalid("There is no correction.")
    details = {"corrections": str(len(corrections))}
    every = (*request.corrections, *corrections)
    return _moved(request, Action.CORRECT, actor, at_us, details=details, corrections=every, rendered={}, package={})


def review(request: Request, actor: Actor, at_us: int) -> Request:
    """Somebody looked through what was rendered and has nothing against it."""
    return _moved(request, Action.REVIEW, actor, at_us)


def may_package(request: Request) -> None:
    """Raises NotAllowed unless there is something approved and rendered to pack."""
    _check(request, Action.PACKAGE)
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
    _check(request, Action.DOWNLOAD)
    if request.expires_us is None or at_us >= request.expires_us:
        raise NotAllowed("The package has expired.")
    return _moved(request, Action.DOWNLOAD, actor, at_us)


def expire(request: Request, actor: Actor, at_us: int) -> Request:
    """What was handed over is taken back, as its time is over."""
    _check(request, Action.EXPIRE)
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
    _check(request, Action.RESUME)
    before = next(step.before for step in reversed(request.history) if step.action is Action.POSTPONE)
    return _moved(request, Action.RESUME, actor, at_us, after=before)


def refuse(request: Request, actor: Actor, at_us: int) -> Request:
    """Nothing will be given, for the reason that the actor names."""
    return _moved(request, Action.REFUSE, actor, at_us, rendered={}, package={})


def withdraw(request: Request, actor: Actor, at_us: int) -> Request:
    """Whoever asked has changed their mind."""
    return _moved(request, Action.WITHDRAW, actor, at_us, rendered={}, package={})


def audit_event(request: Request, number: int) -> pb.AuditEvent:
    """Step `number` of the history as an event of the topic audit, not chained yet; never tells whose footage it is."""
    step = request.history[number]
    details = {**step.details, "before": step.before or "", "after": step.after}
    return pb.AuditEvent(
        event_id=f"{request.id}/{number}",
        at_us=step.at_us,
        actor=step.who,
        role=step.role,
        action=f"disclosure.{step.action}",
        object=request.id,
        purpose=step.why,
        details=details,
    )


def possible(request: Request) -> tuple[Action, ...]:
    """What may be done with it now."""
    return tuple(action for action, move in _MOVES.items() if request.state in move.before)


def _check(request: Request, action: Action) -> _Move:
    move = _MOVES[action]
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
    move = _check(request, action)
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
    return _request(raw)


def _folded(who: str) -> str:
    return who.strip().casefold()


def _request(raw: Mapping[str, object]) -> Request:
    try:
        return Request.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise Invalid(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None
