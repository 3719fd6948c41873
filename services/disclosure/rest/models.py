"""What the API takes and gives. Everything is bounded, and what is not known is refused.

Times are microseconds since 1970 unless they are days, or say that they are ISO 8601.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.disclosure.find import Found
from services.disclosure.render import Rendered
from services.disclosure.request import Request, Step
from services.disclosure.rest.jobs import Job, JobState
from services.disclosure.review import Look
from services.disclosure.states import Action, State
from services.disclosure.steps import possible
from services.disclosure.verify import Verdict
from services.policy.model import Kind

ID = r"^[0-9]{8}-[0-9a-f]{8}$"
NUMBERS_MAX = 10_000

_SEQ_MAX = 1 << 40
_WHY = "asked at the counter, identity checked"
_BASIS = "GDPR, article 15"


def _of_our_time(value: datetime) -> datetime:
    if not 2000 <= value.year <= 2100:
        raise ValueError("must lie between the years 2000 and 2100")
    return value


def _day_of_our_time(value: date) -> date:
    if not 2000 <= value.year <= 2100:
        raise ValueError("must lie between the years 2000 and 2100")
    return value


Why = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=1000),
    Field(description="The reason; it stands in the audit log.", examples=[_WHY]),
]
Version = Annotated[
    int, Field(ge=0, le=1 << 53, description="Of the request as it was looked at; if it is another now, 409.")
]
Camera = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), Field(examples=["gate"])]
Moment = Annotated[AwareDatetime, AfterValidator(_of_our_time)]
Day = Annotated[date, AfterValidator(_day_of_our_time)]
Number = Annotated[int, Field(ge=1, le=1_000_000, description="Of a track, as the last search found it.")]
Seq = Annotated[int, Field(ge=0, le=_SEQ_MAX)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class _Out(BaseModel):
    """Fields are read from what they are named after, where it has them."""

    model_config = ConfigDict(from_attributes=True)


class FileIn(_In):
    """A new request."""

    why: Why
    whose: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] = Field(
        description="Whom the footage shows, as the house knows them.", examples=["J. Park, born 1980"]
    )
    asked_by: str = Field("", max_length=200, description="Who asks, where that is somebody else.")
    cameras: list[Camera] = Field(min_length=1, max_length=64)
    start: Moment = Field(description="ISO 8601, with a zone.", examples=["2026-03-01T14:00:00+09:00"])
    end: Moment = Field(description="This moment is left out.", examples=["2026-03-01T14:20:00+09:00"])
    legal_basis: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)] = Field(
        examples=[_BASIS]
    )
    received: Day | None = Field(None, description="Today if left out.", examples=["2026-03-02"])
    rules: str | None = Field(None, max_length=40, description="Of the deadline; the house's own if left out.")


class ActIn(_In):
    """A step, and its reason."""

    version: Version
    why: Why


class PostponeIn(ActIn):
    """A later day."""

    until: Day = Field(examples=["2026-05-31"])


class HandOverIn(ActIn):
    """For how long the package can be taken."""

    days: int | None = Field(None, ge=1, le=366, description="The house's own if left out.")


class TrackIn(_In):
    """A track of the subject's, or a part of it."""

    number: Number
    first_seq: Seq | None = Field(None, description="Its first frame if left out.")
    last_seq: Seq | None = None


class SubjectIn(ActIn):
    """Who is the subject."""

    tracks: list[TrackIn] = Field(min_length=1, max_length=NUMBERS_MAX)


class SuggestIn(ActIn):
    """Tracks to compare with."""

    like: list[Number] = Field(min_length=1, max_length=100)


class CorrectionIn(_In):
    """More to mask: a box, a track of the subject's that is not theirs, or all of the picture."""

    camera: Camera
    epoch: int = Field(ge=0, lt=1 << 63)
    first_seq: Seq
    last_seq: Seq
    box: Annotated[list[Annotated[float, Field(ge=-100_000, le=100_000)]], Field(min_length=4, max_length=4)] | None = (
        Field(None, description="x1, y1, x2, y2 in pixels.", examples=[[100, 80, 160, 200]])
    )
    track: int | None = Field(None, ge=0, lt=1 << 64)
    kind: Kind | None = Field(None, description="Of the track.")


class CorrectionsIn(ActIn):
    """What a review found."""

    corrections: list[CorrectionIn] = Field(min_length=1, max_length=1000)


class DownloadIn(_In):
    """Why the package is taken."""

    why: Why


class StepOut(_Out):
    """One thing that was done."""

    action: Action
    who: str
    role: str
    at_us: int
    why: str
    after: State

    @classmethod
    def of(cls, step: Step) -> "StepOut":
        """As it is shown."""
        return cls.model_validate(step)


class SightOut(_Out):
    """A part of the subject."""

    camera: str
    epoch: int
    track: int
    kind: Kind
    first_seq: int
    last_seq: int


class RequestOut(_Out):
    """A request."""

    id: str = Field(pattern=ID, examples=["20260302-1f0c9a7e"])
    version: int = Field(description="To be sent with the next step.")
    state: State
    whose: str
    asked_by: str
    cameras: list[str]
    start_us: int
    end_us: int
    legal_basis: str
    rules: str
    received: date
    due: date
    days_left: int = Field(description="Until it is due; negative once it is late.")
    expires_us: int | None = Field(description="Until when the package may be taken.")
    subject: list[SightOut]
    corrections: int
    files: dict[str, str] = Field(description="Name and SHA-256 of what was made.")
    history: list[StepOut]
    next: list[Action] = Field(description="What may come next, by somebody whose roles allow it.")

    @classmethod
    def of(cls, request: Request, today: date) -> "RequestOut":
        """As it is shown."""
        return cls(
            id=request.id,
            version=request.version,
            state=request.state,
            whose=request.whose,
            asked_by=request.asked_by,
            cameras=list(request.cameras),
            start_us=request.start_us,
            end_us=request.end_us,
            legal_basis=request.legal_basis,
            rules=request.rules,
            received=request.received,
            due=request.due,
            days_left=request.days_left(today),
            expires_us=request.expires_us,
            subject=[SightOut(**dict(sight)) for sight in request.sights],
            corrections=len(request.corrections),
            files={**request.rendered, **request.package},
            history=[StepOut.of(step) for step in request.history],
            next=list(possible(request)),
        )


class RequestsOut(_Out):
    """Requests, those due first."""

    today: date = Field(description="In the house's zone.")
    requests: list[RequestOut]


class JobOut(_Out):
    """Something that is being done."""

    id: str = Field(examples=["j0123456789abcdef"])
    request: str
    action: str
    state: JobState
    progress: float = Field(ge=0, le=1)
    error: str = Field(description="One sentence, once it has failed.")
    made_us: int
    result: list[dict[str, Any]] = Field(description="Of suggest: number and likeness, most alike first.")

    @classmethod
    def of(cls, job: Job) -> "JobOut":
        """As it is shown."""
        return cls.model_validate(job)


class FoundOut(_Out):
    """A track of the last search."""

    number: int
    camera: str
    epoch: int
    track: int
    kind: Kind
    first_seq: int
    last_seq: int
    start_us: int
    end_us: int
    belongs: list[int] = Field(description="Tracks that are most likely the same person's.")
    picture: str = Field(description="Where its masked picture is.")

    @classmethod
    def of(cls, found: Found, picture: str) -> "FoundOut":
        """As it is shown."""
        return cls(
            number=found.number,
            camera=found.camera,
            epoch=found.epoch,
            track=found.track,
            kind=found.kind,
            first_seq=found.first_seq,
            last_seq=found.last_seq,
            start_us=found.start_us,
            end_us=found.end_us,
            belongs=list(found.belongs),
            picture=picture,
        )


class FoundsOut(_Out):
    """What the last search found, in order of time."""

    total: int
    found: list[FoundOut]


class VideoOut(_Out):
    """A rendered video."""

    name: str
    camera: str
    epoch: int
    width: int
    height: int
    frames: int
    open: int = Field(description="Frames that are not closed.")
    with_subject: int
    duration_ms: int
    closed: dict[str, int] = Field(description="Why frames are closed, and how many.")
    sha256: str


class LackOut(_Out):
    """A part of the range of which there is nothing."""

    camera: str
    start_us: int
    end_us: int
    kind: str
    why: str


class VideosOut(_Out):
    """What was rendered."""

    videos: list[VideoOut]
    lacks: list[LackOut]

    @classmethod
    def of(cls, rendered: Rendered) -> "VideosOut":
        """As it is shown."""
        return cls(
            videos=[VideoOut.model_validate(part) for part in rendered.parts],
            lacks=[LackOut.model_validate(lack) for lack in rendered.lacks],
        )


class MaskOut(_Out):
    """What covers what."""

    box: list[int] = Field(description="x1, y1, x2, y2 in pixels.")
    kind: Kind | None
    why: str
    correction: int | None


class FrameOut(_Out):
    """What is told of a frame of a video."""

    number: int
    at_ms: int
    seq: int
    captured_us: int
    why: str = Field(description="Why it is closed; empty where it is not.")
    subject: bool = Field(description="Whether the subject is seen in it.")
    masks: list[MaskOut]
    picture: str = Field(description="Where the picture is, as it would be handed over.")

    @classmethod
    def of(cls, look: Look, picture: str) -> "FrameOut":
        """As it is shown."""
        told = look.told
        return cls(
            number=told.number,
            at_ms=told.at_ms,
            seq=told.seq,
            captured_us=told.captured_us,
            why=told.why,
            subject=told.subject,
            masks=[
                MaskOut(box=list(mask.box), kind=mask.kind, why=mask.why, correction=mask.correction)
                for mask in told.masks
            ],
            picture=picture,
        )


class EventOut(_Out):
    """An audit event; it never tells whose footage it is."""

    event_id: str
    at: datetime
    actor: str
    role: str
    action: str
    object: str
    purpose: str
    details: dict[str, str]
    hash: str = Field(description="SHA-256, hex; each event holds the one before it.")
    previous_hash: str

    @classmethod
    def of(cls, event: Any) -> "EventOut":
        """As it is shown."""
        return cls(
            event_id=event.event_id,
            at=datetime.fromtimestamp(event.at_us / 1e6, UTC),
            actor=event.actor,
            role=event.role,
            action=event.action,
            object=event.object,
            purpose=event.purpose,
            details=dict(event.details),
            hash=event.hash.hex(),
            previous_hash=event.previous_hash.hex(),
        )


class EventsOut(_Out):
    """Events, oldest first."""

    unbroken: bool = Field(description="Whether no event was changed, removed from within or reordered.")
    total: int
    events: list[EventOut]


class VerdictOut(_Out):
    """What a look at a package found."""

    holds: bool
    faults: list[str]
    fingerprint: str = Field(description="Of the key that signed.")

    @classmethod
    def of(cls, verdict: Verdict) -> "VerdictOut":
        """As it is shown."""
        return cls.model_validate(verdict)


def correction_of(given: CorrectionIn, why: str) -> Mapping[str, object]:
    """Fields of a `Correction`."""
    return {**given.model_dump(), "box": None if given.box is None else tuple(given.box), "why": why}
