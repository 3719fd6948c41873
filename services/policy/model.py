"""The policy model: every key, its range and its default. Unknown keys are errors."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
"""x, y as shares of the upright picture's width and height."""


class Kind(StrEnum):
    """What can be masked."""

    FACE = "face"
    PLATE = "plate"
    PERSON = "person"
    HEAD = "head"
    MOTION = "motion"
    TEXT = "text"
    LOGO = "logo"

    @property
    def detector(self) -> str:
        """Name of the detector that finds it: a head is found as a part of a person."""
        return "person" if self is Kind.HEAD else self.value

    @property
    def is_body(self) -> bool:
        """True for kinds whose outline is worth showing: modes that keep the shape of a body are for them."""
        return self in (Kind.PERSON, Kind.MOTION)


AT_DECODER = frozenset({Kind.MOTION.detector})
"""Detectors that run where pictures are decoded: nobody else loads them, or is asked for them."""


class Mode(StrEnum):
    """How it is masked. None of them can be undone from the picture."""

    SOLID = "solid"
    MOSAIC = "mosaic"
    BLUR = "blur"
    SEAL = "seal"
    SILHOUETTE = "silhouette"

    @property
    def shows_body(self) -> bool:
        """True for modes that keep the shape of a body."""
        return self in (Mode.SEAL, Mode.SILHOUETTE)


class Profile(StrEnum):
    """How far the tracker looks ahead: `live` a moment, `evidence` long."""

    LIVE = "live"
    EVIDENCE = "evidence"


class Incomplete(StrEnum):
    """What becomes of a frame whose coverage is not complete. Passing it on is not a choice."""

    CLOSE = "close"
    DROP = "drop"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KindRule(_Model):
    """How one kind is found and masked."""

    mode: Mode | None = Field(None, description="Mask for this kind; the policy's mode if left out.")
    threshold: float = Field(0.2, ge=0.01, le=0.99, description="Detector score that starts a track.")
    keep_threshold: float = Field(
        0.1, ge=0.01, le=0.99, description="Lower score that is enough to go on with a track; at most the threshold."
    )
    padding: float = Field(0.15, ge=0, le=2, description="Share of the box's size added on each side.")
    every_s: float = Field(
        0.0, ge=0, le=10, description="Seconds between two looks for this kind; 0: whenever detectors look."
    )

    @model_validator(mode="before")
    @classmethod
    def _follow_threshold(cls, data: Any) -> Any:
        """A threshold under the default keep_threshold takes that one along, unless both are given."""
        if isinstance(data, Mapping) and "keep_threshold" not in data:
            threshold, default = data.get("threshold"), cls.model_fields["keep_threshold"].default
            if isinstance(threshold, float) and threshold < default:
                return {**data, "keep_threshold": threshold}
        return data

    @model_validator(mode="after")
    def _ordered(self) -> "KindRule":
        if self.keep_threshold > self.threshold:
            raise ValueError("keep_threshold must not exceed threshold")
        return self


KIND_DEFAULTS: Mapping[Kind, Mapping[str, float]] = {
    # Scores of plates run low. On generated street scenes a threshold of 0.1 that goes on at 0.03 leaves a fifth fewer
    # plate pictures open than 0.15 and 0.1, for no more masks where nothing is.
    Kind.PLATE: {"threshold": 0.1, "keep_threshold": 0.03},
    Kind.PERSON: {"threshold": 0.25, "keep_threshold": 0.15},
    Kind.HEAD: {"threshold": 0.25, "keep_threshold": 0.15},
    # Signs stand still, and finding them takes three times as long as finding faces.
    Kind.TEXT: {"threshold": 0.3, "keep_threshold": 0.2, "every_s": 1.0},
    Kind.LOGO: {"threshold": 0.3, "keep_threshold": 0.2, "every_s": 1.0},
}
"""Values that differ from KindRule's own where a policy names the kind; scores only where it sets no threshold."""

_SCORES = ("threshold", "keep_threshold")


class Detection(_Model):
    """How often and at what size detectors look."""

    every_min: int = Field(5, ge=1, le=120, description="Fewest frames between two looks, when much moves.")
    every_max: int = Field(10, ge=1, le=120, description="Most frames between two looks, when nothing moves.")
    gap_max_s: float = Field(0.5, gt=0, le=10, description="Most seconds between two looks, at any frame rate.")
    long_side: int | None = Field(
        None,
        ge=320,
        le=3840,
        description="Longer side of the pictures that detectors see; if left out, three quarters of the camera's, "
        "at least 768 and at most 1280.",
    )
    detail: float = Field(
        0.5,
        ge=0,
        le=4,
        description="Most pixels that looks at detail zones may have, as a share of those of all other looks: "
        "what detection costs grows by it.",
    )

    def side_for(self, width: int, height: int) -> int:
        """Longer side of the pictures that detectors see of a camera of this size; never more than its own."""
        own = max(width, height)
        return min(own, self.long_side or min(max(own * 3 // 4, 768), 1280))

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

    name: str = Field(min_length=1, max_length=64, description="Name in the statistics.")
    polygon: tuple[Point, ...] = Field(
        min_length=3, max_length=64, description="Corners as [x, y], shares of the upright picture's width and height."
    )
    use: Literal["count", "mask", "detail"] = Field(
        "count",
        description="count: statistics only; mask: always masked; detail: looked at in the camera's own resolution "
        "too, for what is small there.",
    )


class Line(_Model):
    """A named line whose crossings are counted."""

    name: str = Field(min_length=1, max_length=64, description="Name in the statistics.")
    start: Point = Field(description="[x, y], shares of the upright picture's width and height.")
    end: Point = Field(description="[x, y]; forward is from the left of the line to its right, seen along it.")

    @model_validator(mode="after")
    def _has_length(self) -> "Line":
        if self.start == self.end:
            raise ValueError("start and end are the same point")
        return self


def _with_defaults(kind: Any, rule: Any) -> Any:
    if rule is not None and not isinstance(rule, Mapping):
        return rule
    given = rule or {}
    defaults = KIND_DEFAULTS.get(kind, {})
    return {**{key: defaults[key] for key in defaults if key not in _SCORES or "threshold" not in given}, **given}


def _default_kinds() -> dict[Kind, KindRule]:
    return {kind: KindRule(**KIND_DEFAULTS.get(kind, {})) for kind in (Kind.FACE, Kind.PLATE)}


class Policy(_Model):
    """What one camera's pictures may show."""

    name: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="Short name in small letters; the file's name if left out.",
    )
    title: str = Field("", max_length=200, description="Name for people.")
    sector: str = Field("public", max_length=64, description="Kind of place, for statistics.")
    purpose: str = Field("", max_length=500, description="Why this camera looks: the law asks for it.")
    legal_basis: str = Field("", max_length=500, description="What allows it; check with counsel.")
    kinds: dict[Kind, KindRule] = Field(
        default_factory=_default_kinds,
        min_length=1,
        description="What is masked, a list or a mapping with a rule for each; faces and plates if left out.",
    )
    mode: Mode = Field(Mode.MOSAIC, description="How it is masked.")
    strength: float = Field(1.0, ge=0.5, le=4, description="Above 1 masks more coarsely.")
    profile: Profile = Field(
        Profile.EVIDENCE, description="A set of tracking values: `live` looks a moment ahead, `evidence` long."
    )
    detection: Detection = Detection()
    tracking: Tracking = Tracking()
    on_incomplete: Incomplete = Field(
        Incomplete.CLOSE, description="What becomes of a frame that could not be checked: masked whole, or left out."
    )
    sound: Literal["drop", "keep"] = Field("drop", description="Sound of the source.")
    badge: bool = Field(False, description="Draw a small corner badge that marks the picture as redacted.")
    zones: tuple[Zone, ...] = Field((), max_length=64, description="Named areas, counted or always masked.")
    lines: tuple[Line, ...] = Field((), max_length=64, description="Named lines whose crossings are counted.")
    originals: Literal["drop", "keep"] = Field(
        "drop", description="Whether a vault, where there is one, keeps the encrypted original."
    )
    retention_hours: int = Field(
        24 * 30, ge=1, le=24 * 365, description="Hours after which the encrypted original can't be read by anyone."
    )

    @field_validator("kinds", mode="before")
    @classmethod
    def _fill_kinds(cls, value: Any) -> Any:
        """Turns a list into a mapping, and lays each kind's defaults beneath its rule."""
        if isinstance(value, list | tuple) and all(isinstance(kind, str) for kind in value):
            value = dict.fromkeys(value)
        if not isinstance(value, Mapping):
            return value
        return {kind: _with_defaults(kind, value[kind]) for kind in sorted(value)}

    @field_validator("kinds")
    @classmethod
    def _has_shape(cls, kinds: dict[Kind, KindRule]) -> dict[Kind, KindRule]:
        for kind, rule in kinds.items():
            if rule.mode is not None and rule.mode.shows_body and not kind.is_body:
                raise ValueError(f"{rule.mode} keeps the shape of a body: {kind} needs another mode")
            if kind.detector in AT_DECODER and rule.every_s:
                # A look that fails must close frames, and between two turns of a detector nobody asks how it went.
                raise ValueError(f"{kind} is looked for in every look: leave every_s out")
        return kinds

    @field_validator("zones", "lines")
    @classmethod
    def _named_once(cls, areas: tuple[Zone | Line, ...]) -> tuple[Zone | Line, ...]:
        names = [area.name for area in areas]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the name '{name}' stands twice")
        return areas

    def rule(self, kind: Kind) -> KindRule:
        """The rule of a kind. Raises KeyError if the policy does not mask it."""
        return self.kinds[kind]

    def mode_of(self, kind: Kind) -> Mode:
        """The mask of a kind. The policy's mode becomes a mosaic for what has no body whose shape it could keep."""
        mode = self.kinds[kind].mode or self.mode
        return Mode.MOSAIC if mode.shows_body and not kind.is_body else mode

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors that inference must load, sorted: those that run at the decoder are left out."""
        return tuple(name for name in self.intervals if name not in AT_DECODER)

    @property
    def intervals(self) -> Mapping[str, float]:
        """Detector → seconds between two of its looks, 0 where it takes part in every look; sorted by name."""
        found: dict[str, float] = {}
        for kind, rule in self.kinds.items():
            found[kind.detector] = min(rule.every_s, found.get(kind.detector, rule.every_s))
        return dict(sorted(found.items()))

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
