"""Masks a video and writes down every mask for a person to review."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.detect.interface import Detector
from services.embedded.errors import ExitCode, RunError
from services.embedded.redact import Progress, RedactJob, file_facts, redact_file
from services.policy.model import Policy
from services.report.summary import FileFacts, RunSummary
from services.review.capture import Capture
from services.review.folder import GT, MASKED, write_export
from services.review.model import FORMAT, MaskedVideo, Model, Review, Video


@dataclass(frozen=True, slots=True)
class ExportJob:
    """One video to mask and to write down.

    Attributes:
        input: the original.
        folder: the review folder, which must not be there yet or be empty.
        policy: what is masked and how.
        output: where the masked video goes; None: into the folder, as masked.mp4.
        report, summary, metadata, models_dir, detectors: as in RedactJob.
    """

    input: Path
    folder: Path
    policy: Policy
    output: Path | None = None
    report: Path | None = None
    summary: Path | None = None
    metadata: Path | None = None
    models_dir: Path | None = None
    detectors: Mapping[str, Detector] | None = field(default=None, repr=False)


def export_review(job: ExportJob, on_progress: Callable[[Progress], None] = lambda _: None) -> RunSummary:
    """Masks `job.input` once, and leaves the review folder whole or not at all. Raises RunError."""
    check_free(job.folder)
    before = _facts(job.input)
    part = _part(job.folder)
    try:
        (part / GT).parent.mkdir()
        capture = Capture(part / GT, job.policy)
        summary = redact_file(_redact_job(job, part, capture), on_progress)
        if summary.input.sha256 != before.sha256:
            raise RunError(f"{job.input}: was changed while it was read; there is no review of it", ExitCode.INPUT)
        write_export(part, _review(job, capture, summary))
        part.chmod(0o755)
        if job.folder.exists():
            job.folder.rmdir()
        part.rename(job.folder)
    except OSError as error:
        raise _unwritable(job.folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return summary


def check_free(folder: Path) -> None:
    """Raises RunError where a review folder would lie upon something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder}: is there already, and a review is not written over; name another", ExitCode.USAGE)
    if not folder.resolve().parent.is_dir():
        raise RunError(f"{folder}: the folder it should be in does not exist", ExitCode.OUTPUT)


def _facts(path: Path) -> FileFacts:
    try:
        return file_facts(path)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise RunError(f"{path}: can't be read: {reason}", ExitCode.INPUT) from error


def _part(folder: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.resolve().parent))
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(f"{folder}: can't be written: {(error.strerror or 'unknown error').lower()}", ExitCode.OUTPUT)


def _redact_job(job: ExportJob, part: Path, capture: Capture) -> RedactJob:
    return RedactJob(
        job.input,
        job.output or part / MASKED,
        job.policy,
        report=job.report,
        summary=job.summary,
        metadata=job.metadata,
        models_dir=job.models_dir,
        detectors=job.detectors,
        listener=capture,
    )


def _review(job: ExportJob, capture: Capture, summary: RunSummary) -> Review:
    tracks = capture.tracks()
    if not capture.frames or capture.size == (0, 0):
        raise RunError(f"{job.input}: no frame came out, so there is nothing to review", ExitCode.INPUT)
    width, height = capture.size
    return Review(
        format=FORMAT,
        video=Video(
            name=summary.input.name,
            size=summary.input.size,
            sha256=summary.input.sha256,
            width=width,
            height=height,
            frames=capture.frames,
            frame_rate=summary.frame_rate,
        ),
        masked=MaskedVideo(name=summary.output.name, sha256=summary.output.sha256, started=summary.started),
        veil=summary.veil,
        policy=job.policy,
        policy_fingerprint=job.policy.fingerprint,
        looks=summary.looks,
        models=tuple(
            Model(detector=one.detector, model=one.model, version=one.version, licence=one.licence)
            for one in summary.models
        ),
        tracks=tracks,
        closed_frames=capture.closed(),
    )
