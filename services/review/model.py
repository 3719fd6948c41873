"""review.json: the video, the policy it was masked under, its tracks, and the frames that are closed."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.policy.model import KIND_DEFAULTS, Kind, KindRule, Mode, Policy

FORMAT: Literal["veil review 1"] = "veil review 1"

FRAMES_MAX = 10_000_000
"""Four days at 30 frames per second."""
TRACKS_MAX = 10_000
"""As many as the renderer draws in one frame; nobody looks through more by hand."""
STRETCHES_MAX = 100_000
REASON_MIN = 3
"""Characters of a reason."""

EDITABLE = ("tracks", "opened_frames", "frames_to_close")
"""Keys of review.json that a person may change."""

_Frame = Field(ge=1, le=FRAMES_MAX)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Stretch(_Model):
    """Frames from first to last, both included, counted from 1."""

    first: int = _Frame
    last: int = _Frame

    @model_validator(mode="after")
    def _ordered(self) -> "Stretch":
        if self.first > self.last:
            raise ValueError("first must not lie behind last")
        return self

    @property
    def pair(self) -> tuple[int, int]:
        """First and last."""
        return self.first, self.last


class Closed(Stretch):
    """Frames that left the first run masked whole, or were left out, and why."""

    why: str = Field(max_length=500)


class ByHand(Stretch):
    """Frames that a person opens or closes, and why."""

    reason: str = Field(max_length=500)

    @field_validator("reason")
    @classmethod
    def _says_something(cls, reason: str) -> str:
        if len(reason.strip()) < REASON_MIN:
            raise ValueError("say why, in a few words")
        return reason


class Origin(Stretch):
    """On what grounds a track was masked there."""

    origin: Literal["detected", "interpolated", "backfilled", "predicted", "unknown"]


class Track(_Model):
    """One track.

    Attributes:
        gaps: frames in which it is not masked although it is before and after; all others between two of its lines are.
        origins: where the first run had it from; only for reading.
    """

    kind: Kind
    mode: Mode
    gaps: tuple[Stretch, ...] = Field((), max_length=STRETCHES_MAX)
    origins: tuple[Origin, ...] = Field((), max_length=STRETCHES_MAX)


class Video(_Model):
    """The original. Width and height are the upright picture's in pixels, as boxes count them."""

    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    width: int = Field(ge=2, le=16_384)
    height: int = Field(ge=2, le=16_384)
    frames: int = Field(ge=1, le=FRAMES_MAX)
    frame_rate: float = Field(ge=0)


class MaskedVideo(_Model):
    """What the first run made of it."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    started: str


class Model(_Model):
    """A detection model that was used."""

    detector: str
    model: str
    version: str
    licence: str


class Review(_Model):
    """All of review.json. A person may edit `tracks` (kind, mode, gaps), `opened_frames` and `frames_to_close`.

    Attributes:
        policy: every key of the policy of the first run; `policy_fingerprint` is its name and hash.
        looks: frames at which detectors looked.
        closed_frames: what the first run closed. Taking one out of this list opens nothing.
        opened_frames: closed frames for which a person answers.
        frames_to_close: frames that a person wants masked whole.
    """

    format: Literal["veil review 1"]
    video: Video
    masked: MaskedVideo
    veil: str
    policy: Policy
    policy_fingerprint: str
    looks: int = Field(ge=0)
    models: tuple[Model, ...] = Field((), max_length=64)
    tracks: dict[int, Track] = Field(default_factory=dict, max_length=TRACKS_MAX)
    closed_frames: tuple[Closed, ...] = Field((), max_length=STRETCHES_MAX)
    opened_frames: tuple[ByHand, ...] = Field((), max_length=STRETCHES_MAX)
    frames_to_close: tuple[ByHand, ...] = Field((), max_length=STRETCHES_MAX)

    def text(self) -> str:
        """As JSON with one line for each track and each stretch of frames, so that a change is a changed line."""
        parts = []
        for key, value in self.model_dump(mode="json").items():
            if isinstance(value, dict) and key == "tracks":
                inner = [f"{json.dumps(name)}: {_line(one)}" for name, one in value.items()]
                parts.append(f"{json.dumps(key)}: {_block('{', inner, '}')}")
            elif isinstance(value, list):
                parts.append(f"{json.dumps(key)}: {_block('[', [_line(one) for one in value], ']')}")
            else:
                parts.append(f"{json.dumps(key)}: {_line(value)}")
        return "{\n  " + ",\n  ".join(parts) + "\n}\n"


def with_kinds(policy: Policy, kinds: set[Kind]) -> Policy:
    """The policy with a rule for each of these kinds: its own, or the usual one. The same policy where it has all."""
    missing = sorted(kinds - policy.kinds.keys())
    if not missing:
        return policy
    data = policy.model_dump(mode="json")
    usual: Mapping[str, Any] = {
        kind.value: KindRule(**KIND_DEFAULTS.get(kind, {})).model_dump(mode="json") for kind in missing
    }
    return Policy.model_validate({**data, "kinds": {**data["kinds"], **usual}})


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _block(start: str, items: list[str], end: str) -> str:
    return f"{start}\n    " + ",\n    ".join(items) + f"\n  {end}" if items else f"{start}{end}"
