"""Renders a reviewed video again from its original, and writes down who changed what."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.embedded.errors import ExitCode, RunError
from services.embedded.redact import Progress, RedactJob, file_facts, mask_file, write_extras
from services.media.sink import Target
from services.policy.book import StaticPolicyBook
from services.policy.model import Detection, Kind, Policy
from services.report.summary import FileFacts, ModelFacts, ReviewedChange, ReviewFacts, RunSummary
from services.review.changes import Change, changes
from services.review.folder import CHANGES, Loaded, load
from services.review.log import append
from services.review.model import REASON_MIN, with_kinds
from services.review.stage import ReviewedStage, Script

_WHO_MAX, _WHY_MAX, _TEXT_MAX = 200, 1000, 2000
_STRETCHES_MAX = 500


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One reviewed video to render.

    Attributes:
        folder: the review.
        original: the video that was masked; any other is refused.
        output: the new masked video (.mp4, .mov, .mkv); what is there is replaced.
        by: who answers for the changes.
        reason: why they were made.
        report, summary: further files to write, None for none.
    """

    folder: Path
    original: Path
    output: Path
    by: str
    reason: str
    report: Path | None = None
    summary: Path | None = None


def render_review(job: RenderJob, on_progress: Callable[[Progress], None] = lambda _: None) -> RunSummary:
    """Renders the original with the masks of the review. The output gets its name once the changes are on record.

    Raises RunError with one sentence, ConfigError with everything that is wrong in the folder.
    """
    _check(job)
    loaded = load(job.folder)
    made = changes(loaded.base, loaded.edited)
    _check_original(job.original, loaded)
    policy = with_kinds(loaded.base.review.policy, {track.kind for track in loaded.edited.tracks.values()})
    script = Script(loaded.base.review, loaded.edited, policy.fingerprint)
    # Without its name as long as nobody has to answer for it.
    unnamed = job.output.with_name(f".{job.output.stem}.review{job.output.suffix}")
    redact = RedactJob(
        job.original,
        unnamed,
        policy,
        report=job.report,
        summary=job.summary,
        teller=(ReviewedStage(script), StaticPolicyBook(default=_decoding(policy))),
    )
    try:
        rendered = mask_file(redact, on_progress)
        if rendered.input.sha256 != loaded.base.review.video.sha256:
            raise RunError(f"{job.original}: was changed while it was read; nothing was written", ExitCode.INPUT)
        summary = _summary(job, loaded, rendered, made, script)
        _record(job, loaded, summary, made)
        _name(unnamed, job.output)
    finally:
        unnamed.unlink(missing_ok=True)
    write_extras(replace(redact, output=job.output), summary)
    return summary


def _check(job: RenderJob) -> None:
    if not 0 < len(job.by.strip()) <= _WHO_MAX:
        raise RunError("say who answers for the changes: --by NAME", ExitCode.USAGE)
    if not REASON_MIN <= len(job.reason.strip()) <= _WHY_MAX:
        raise RunError("say why the masks were changed, in a few words: --reason TEXT", ExitCode.USAGE)
    try:
        kind = Target.parse(str(job.output)).kind
    except ValueError:
        kind = "rtsp"
    if kind not in ("mp4", "mkv"):
        raise RunError(f"{job.output}: a reviewed video is a .mp4, .mov or .mkv file", ExitCode.USAGE)
    for path in (job.output, job.report, job.summary):
        if path is not None and path.resolve() == job.original.resolve():
            raise RunError(f"{path}: input and output are the same file", ExitCode.USAGE)


def _check_original(original: Path, loaded: Loaded) -> None:
    wanted = loaded.base.review.video
    try:
        facts = file_facts(original)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise RunError(f"{original}: can't be read: {reason}", ExitCode.INPUT) from error
    if facts.sha256 != wanted.sha256:
        sentence = f"{original}: is not the video that was reviewed, {wanted.name} with SHA-256 {wanted.sha256[:12]}…"
        raise RunError(sentence, ExitCode.INPUT)


def _decoding(policy: Policy) -> Policy:
    """What the decoder reads: nobody looks at the detection pictures, so that they may be few and small."""
    looks = Detection(every_min=policy.detection.every_max, every_max=policy.detection.every_max, long_side=320)
    return policy.model_copy(
        update={"kinds": {Kind.FACE: with_kinds(policy, {Kind.FACE}).rule(Kind.FACE)}, "zones": (), "detection": looks}
    )


def _summary(
    job: RenderJob, loaded: Loaded, rendered: RunSummary, made: Sequence[Change], script: Script
) -> RunSummary:
    base = loaded.base.review
    facts = ReviewFacts(
        by=job.by.strip(),
        reason=job.reason.strip(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        first_run=base.masked.started,
        changes=tuple(ReviewedChange(one.what, one.text, one.reveals) for one in made),
        opened=script.opened,
        still_closed=max(0, rendered.closed - script.closed),
    )
    return replace(
        rendered,
        output=FileFacts(job.output.name, rendered.output.size, rendered.output.sha256),
        tracks=dict(Counter(track.kind.value for track in loaded.edited.tracks.values())),
        looks=base.looks,
        models=tuple(ModelFacts(one.detector, one.model, one.version, one.licence) for one in base.models),
        review=facts,
    )


def _record(job: RenderJob, loaded: Loaded, summary: RunSummary, made: Sequence[Change]) -> None:
    """Puts the changes on record; without it there is no output."""
    review = summary.review
    if review is None:
        raise ValueError("a summary without a review")
    head: dict[str, Any] = {
        "type": "render",
        "at": review.at,
        "by": review.by,
        "reason": review.reason,
        "veil": summary.veil,
        "original": {"name": summary.input.name, "sha256": summary.input.sha256},
        "output": {"name": summary.output.name, "sha256": summary.output.sha256},
        "export": loaded.export,
        "files": dict(loaded.edited.hashes),
        "policy": summary.policy,
        "frames": summary.frames,
        "closed": summary.closed,
        "changes": len(made),
    }
    whose = {"at": review.at, "by": review.by, "reason": review.reason}
    try:
        append(job.folder / CHANGES, [head, *({**_line(one), **whose} for one in made)])
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise RunError(
            f"{job.folder / CHANGES}: can't be written: {reason}; no video without it", ExitCode.OUTPUT
        ) from error


def _line(change: Change) -> dict[str, Any]:
    """A change as a line says it."""
    return {
        "type": "change",
        "what": change.what,
        "track": change.track,
        "frames": [list(pair) for pair in change.frames[:_STRETCHES_MAX]],
        "before": change.before,
        "after": change.after,
        "uncovered": [list(pair) for pair in change.uncovered[:_STRETCHES_MAX]],
        "text": change.text[:_TEXT_MAX],
    }


def _name(unnamed: Path, output: Path) -> None:
    try:
        unnamed.replace(output)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise RunError(f"{output}: can't be written: {reason}", ExitCode.OUTPUT) from error
