"""A request as a value: who wants which footage and why, and what has become of it.

Nothing here touches a database or a picture.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.disclosure.errors import Invalid
from services.disclosure.states import Action, State
from services.policy.model import Kind

LONGEST_RANGE_US = 31 * 24 * 3600 * 1_000_000
"""31 days: what is asked for is a time, not a life."""

_Camera = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_SEQ_MAX = 1 << 40
_Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]

SUBJECT_KINDS = frozenset({Kind.FACE, Kind.HEAD, Kind.PERSON, Kind.MOTION, Kind.PLATE})
"""What can be somebody's own: text and logos can't."""


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
    """More to mask in some frames, as a review found: a box, a track of the subject's, or all of the picture."""

    camera: _Camera
    epoch: int = Field(ge=0, lt=1 << 63)
    first_seq: int = Field(ge=0, le=_SEQ_MAX)
    last_seq: int = Field(ge=0, le=_SEQ_MAX)
    box: tuple[float, float, float, float] | None = None
    track: int | None = Field(None, ge=0, lt=1 << 64)
    kind: Kind | None = None
    why: _Reason

    @model_validator(mode="after")
    def _ordered(self) -> "Correction":
        if self.first_seq > self.last_seq:
            raise ValueError("first_seq must not lie behind last_seq")
        if self.box is not None and (self.box[0] >= self.box[2] or self.box[1] >= self.box[3]):
            raise ValueError("a box is x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        if (self.track is None) != (self.kind is None):
            raise ValueError("a track is a number and a kind")
        if self.box is not None and self.track is not None:
            raise ValueError("a correction has a box or a track, not both")
        return self

    @property
    def stream(self) -> tuple[str, int]:
        """Camera and epoch."""
        return self.camera, self.epoch

    @property
    def closes(self) -> bool:
        """Nothing of its frames is to be seen."""
        return self.box is None and self.track is None


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
        return frozenset(folded(step.who) for step in self.history if step.action in actions)

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


def folded(who: str) -> str:
    """A name as it is compared: without regard to case."""
    return who.strip().casefold()


def made(raw: Mapping[str, object]) -> Request:
    """A request of these values. Raises Invalid where they make no sense."""
    try:
        return Request.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise Invalid(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None
