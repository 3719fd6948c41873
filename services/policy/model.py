"""The policy model: every key, its range and its default. Unknown keys are errors."""

import hashlib
from enum import StrEnum
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
"""x, y as shares of the upright picture's width and height."""


class Kind(StrEnum):
    """What can be masked."""

    FACE = "face"
    PLATE = "plate"
    PERSON = "person"


class Mode(StrEnum):
    """How it is masked. None of them can be undone from the picture."""

    SOLID = "solid"
    MOSAIC = "mosaic"
    BLUR = "blur"


class Profile(StrEnum):
    """How far the tracker looks ahead: `live` a moment, `evidence` long."""

    LIVE = "live"
    EVIDENCE = "evidence"


class Incomplete(StrEnum):
    """What becomes of a frame whose coverage is not complete. Passing it on is not a choice."""

    CLOSE = "close"
    DROP = "drop"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KindRule(_Model):
    """How one kind is found and masked."""

    mode: Mode | None = Field(None, description="Mask for this kind; the policy's mode if left out.")
    threshold: float = Field(0.3, ge=0.01, le=0.99, description="Detector score that starts a track.")
    keep_threshold: float = Field(
        0.15, ge=0.01, le=0.99, description="Lower score that is enough to go on with a track."
    )
    padding: float = Field(0.15, ge=0, le=2, description="Share of the box's size added on each side.")


class Detection(_Model):
    """How often and at what size detectors look."""

    every_min: int = Field(3, ge=1, le=120, description="Fewest frames between two looks, when much moves.")
    every_max: int = Field(8, ge=1, le=120, description="Most frames between two looks, when nothing moves.")
    gap_max_s: float = Field(0.5, gt=0, le=10, description="Most seconds between two looks, at any frame rate.")
    long_side: int = Field(640, ge=320, le=3840, description="Longer side of the pictures that detectors see.")

    @model_validator(mode="after")
    def _ordered(self) -> "Detection":
        if self.every_min > self.every_max:
            raise ValueError("every_min must not exceed every_max")
        return self


class Tracking(_Model):
    """How long a subject stays masked around the moments at which it was seen."""

    look_ahead_s: float = Field(2.0, ge=0, le=10, description="How far a new track is masked back in time.")
    hold_s: float = Field(1.0, ge=0, le=10, description="How long a lost track stays masked.")
    growth_per_s: float = Field(0.5, ge=0, le=5, description="Growth of a held box per second, share of its size.")


class Zone(_Model):
    """A named area of the picture."""

    name: str = Field(min_length=1, max_length=64)
    polygon: tuple[Point, ...] = Field(min_length=3, max_length=64)
    use: Literal["count", "mask"] = Field("count", description="count: statistics only; mask: always masked.")


class Line(_Model):
    """A named line whose crossings are counted."""

    name: str = Field(min_length=1, max_length=64)
    start: Point
    end: Point


class Policy(_Model):
    """What one camera's pictures may show."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str = Field("", max_length=200)
    sector: str = Field("public", max_length=64)
    purpose: str = Field("", max_length=500, description="Why this camera looks: the law asks for it.")
    legal_basis: str = Field("", max_length=500)
    kinds: dict[Kind, KindRule] = Field(
        default_factory=lambda: {Kind.FACE: KindRule(), Kind.PLATE: KindRule()}, min_length=1
    )
    mode: Mode = Mode.MOSAIC
    strength: float = Field(1.0, ge=0.5, le=4, description="Above 1 masks more coarsely.")
    profile: Profile = Profile.EVIDENCE
    detection: Detection = Detection()
    tracking: Tracking = Tracking()
    on_incomplete: Incomplete = Incomplete.CLOSE
    sound: Literal["drop", "keep"] = "drop"
    badge: bool = Field(False, description="Draw a small corner badge that marks the picture as redacted.")
    zones: tuple[Zone, ...] = Field((), max_length=64)
    lines: tuple[Line, ...] = Field((), max_length=64)
    retention_hours: int = Field(24 * 30, ge=1, le=24 * 365)

    def rule(self, kind: Kind) -> KindRule:
        """The rule of a kind. Raises KeyError if the policy does not mask it."""
        return self.kinds[kind]

    def mode_of(self, kind: Kind) -> Mode:
        """The mask of a kind."""
        return self.kinds[kind].mode or self.mode

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors that must run, sorted: one for each kind."""
        return tuple(sorted(kind.value for kind in self.kinds))

    @property
    def fingerprint(self) -> str:
        """`name@` and 12 hex digits over all keys: changes with any of them."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
        return f"{self.name}@{digest}"


class PolicyUnavailable(Exception):
    """There is no readable policy for a camera: its frames stay closed."""


class PolicyBook(Protocol):
    """Where stages look up a camera's policy."""

    def policy_for(self, camera_id: str) -> Policy:
        """The camera's policy. Raises PolicyUnavailable."""
