"""What a run did, as plain values: the source of summary.json and of the report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from services.report.files import write_whole


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file: its name without folder, its size in bytes, its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One detection model that was used: detector name, model name, version, licence."""

    detector: str
    model: str
    version: str
    licence: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Counts over time, as parallel series: item i covers `step_s` seconds from i * step_s on.

    Attributes:
        frames: frames in each step.
        closed: frames in each step that were masked whole or left out.
        masks: kind → masks drawn in each step.
    """

    step_s: float = 1.0
    frames: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    masks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReviewedChange:
    """One thing that a person changed: a word for it, a sentence, and whether something became visible by it."""

    what: str
    text: str
    reveals: bool


@dataclass(frozen=True, slots=True)
class ReviewFacts:
    """Who had a video rendered again, and what that person changed.

    Attributes:
        at: ISO 8601 with offset.
        first_run: when the original was first masked, the same way.
        opened: frames that a person opened.
        still_closed: frames that are closed although the review would show them.
    """

    by: str
    reason: str
    at: str
    first_run: str
    changes: tuple[ReviewedChange, ...]
    opened: int = 0
    still_closed: int = 0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One masked file.

    Attributes:
        started: ISO 8601 with offset.
        duration_s: of the video.
        frames: frames of the input that were processed.
        masked: kind → masks drawn, one for each subject in each frame.
        tracks: kind → tracks; a person who left and came back counts twice.
        closed: frames masked whole or left out because they could not be checked.
        dropped: those of `closed` that were left out.
        closed_why: reason → frames.
        looks: frames at which detectors looked.
        wall_s, cpu_s: whole run, all threads.
        policy: name and hash of the policy; `policy_words` says it in sentences, `settings` key by key.
        review: where a person changed masks by hand.
    """

    input: FileFacts
    output: FileFacts
    started: str
    duration_s: float
    width: int
    height: int
    frame_rate: float
    frames: int
    masked: Mapping[str, int]
    tracks: Mapping[str, int]
    closed: int
    dropped: int
    closed_why: Mapping[str, int]
    looks: int
    wall_s: float
    cpu_s: float
    policy: str
    policy_words: tuple[str, ...]
    settings: Mapping[str, Any]
    models: tuple[ModelFacts, ...]
    timeline: Timeline
    veil: str
    review: ReviewFacts | None = None

    @property
    def fps(self) -> float:
        """Frames per second of wall time."""
        return self.frames / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def cpu_s_per_frame(self) -> float:
        """Seconds of one core for each frame."""
        return self.cpu_s / self.frames if self.frames else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Everything, and the derived figures, as JSON values."""
        data = TypeAdapter(RunSummary).dump_python(self, mode="json")
        return {**data, "fps": round(self.fps, 2), "cpu_s_per_frame": round(self.cpu_s_per_frame, 5)}


def write_summary(path: Path, summary: RunSummary) -> None:
    """Writes summary.json. Raises OSError; a half-written file never has the name."""
    write_whole(path, (json.dumps(summary.as_dict(), indent=2, ensure_ascii=False) + "\n").encode())
