"""Masks one video file: builds the line, runs it, and says what it did."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from services import __version__
from services.detect.catalogue import ModelMissing, catalogue
from services.detect.interface import Detector, DetectorError
from services.detect.logo import LogoDetector
from services.embedded.errors import ExitCode, RunError
from services.embedded.record import Outcome, Recorder
from services.embedded.wiring import EmbeddedLine, Listener, embedded_line, told_line
from services.inference.load import load_detectors
from services.inference.settings import InferenceSettings
from services.media.file_sink import part_of
from services.media.sink import Target
from services.media.sources import Camera, SourceError, SourceInfo, probe
from services.policy.book import StaticPolicyBook
from services.policy.model import AT_DECODER, Policy, PolicyBook
from services.policy.words import sentences
from services.report.page import write_report
from services.report.summary import FileFacts, ModelFacts, RunSummary, write_summary
from services.report.tally import Tally
from services.runtime.stage import Stage

CAMERA = "input"
"""Camera id of the one file: names of files may say more than metadata should."""

# Between two looks at the progress; also the longest an interrupt waits.
_TURN_S = 0.1
_STOP_S = 20.0
_DETECTOR_TIMEOUT_S = 30.0
_OWN_LICENCE = "Apache-2.0"
"""Of detectors without a network: they are part of Veil."""


@dataclass(frozen=True, slots=True)
class RedactJob:
    """One file to mask.

    Attributes:
        input, output: video files; the output's name decides its container (.mp4, .mkv).
        policy: what is masked and how.
        report, summary, metadata: further files to write, None for none.
        models_dir: where the models are, None for the usual place.
        detectors: used instead of the installed ones.
        listener: reads the line's messages along.
        teller: says what is masked in place of detectors and tracker, and what the decoder takes for the policy.
    """

    input: Path
    output: Path
    policy: Policy
    report: Path | None = None
    summary: Path | None = None
    metadata: Path | None = None
    models_dir: Path | None = None
    detectors: Mapping[str, Detector] | None = field(default=None, repr=False)
    listener: Listener | None = field(default=None, repr=False)
    teller: tuple[Stage, PolicyBook] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        total_frames: an estimate from the file's header, None if it gives none.
        masked: kind → masks drawn so far.
        eta_s: seconds left at the present pace, None if unknown.
    """

    frames: int
    total_frames: int | None
    fps: float
    masked: Mapping[str, int]
    closed: int
    eta_s: float | None


def redact_file(job: RedactJob, on_progress: Callable[[Progress], None] = lambda _: None) -> RunSummary:
    """Masks `job.input` into `job.output`, which gets its name only when it is whole.

    Raises RunError with one sentence and an exit code; KeyboardInterrupt passes through after the line has stopped.
    """
    summary = mask_file(job, on_progress)
    write_extras(job, summary)
    return summary


def mask_file(job: RedactJob, on_progress: Callable[[Progress], None] = lambda _: None) -> RunSummary:
    """As `redact_file`, without the report and the summary's file."""
    started, began, cpu_began = datetime.now(UTC), time.monotonic(), time.process_time()
    info = _probe(job.input)
    _check_outputs(job)
    parts = _parts(job)

    def report(outcome: Outcome) -> None:
        on_progress(_progress(outcome, info, time.monotonic() - began))

    try:
        outcome = _run(parts, job, report)
        _raise_failures(parts)
        _refuse_nothing(job, outcome.tally)
    except BaseException:
        _discard(job.output)
        raise
    return _summary(job, info, outcome, started, time.monotonic() - began, time.process_time() - cpu_began)


def _parts(job: RedactJob) -> EmbeddedLine:
    cameras = (Camera(CAMERA, str(job.input), live=False),)
    policies = StaticPolicyBook(default=job.policy)
    targets = {CAMERA: (Target.parse(str(job.output)),)}
    if job.teller is not None:
        teller, decoding = job.teller
        return told_line(cameras, policies, targets, teller, decoding)
    return embedded_line(cameras, policies, targets, _detectors(job), _DETECTOR_TIMEOUT_S, job.listener)


def _run(parts: EmbeddedLine, job: RedactJob, report: Callable[[Outcome], None]) -> Outcome:
    """Runs the line to its end and listens to it."""
    metadata, listener = job.metadata, job.listener
    try:
        with metadata.open("w", encoding="utf-8") if metadata else nullcontext() as lines:
            recorder = Recorder(parts.bus, lines)
            outcome = recorder.outcome(CAMERA)
            if listener is not None:
                listener.join(parts.bus)
            parts.line.start()
            reported = time.monotonic()
            while not parts.line.ended:
                recorder.poll(_TURN_S)
                if listener is not None:
                    listener.poll()
                if time.monotonic() - reported >= _TURN_S:
                    report(outcome)
                    reported = time.monotonic()
            while recorder.poll(0) or (listener is not None and listener.poll()):
                pass
            report(outcome)
    except BaseException as error:
        parts.line.abort(_STOP_S)
        if isinstance(error, OSError):
            raise RunError(f"{metadata}: can't be written: {_reason(error)}", ExitCode.OUTPUT) from error
        raise
    parts.line.stop(_STOP_S)
    return outcome


def _probe(path: Path) -> SourceInfo:
    try:
        return probe(str(path))
    except SourceError as error:
        raise RunError(str(error).removesuffix("."), ExitCode.INPUT) from error


def _detectors(job: RedactJob) -> Mapping[str, Detector]:
    if job.detectors is not None:
        return job.detectors
    # One set of logos for all of a file: what was registered when its masking began.
    settings = InferenceSettings(logos_recheck_s=0)
    try:
        return load_detectors(job.policy.detectors, settings, job.models_dir)
    except (ModelMissing, DetectorError) as error:
        raise RunError(str(error), ExitCode.MODEL) from error


def _check_outputs(job: RedactJob) -> None:
    """Refuses before the work what would fail after it."""
    try:
        Target.parse(str(job.output))
    except ValueError as error:
        sentence = (
            f"{job.output}: an output is a .mp4, .mov or .mkv file, or index.m3u8 in a folder that exists, for HLS"
        )
        raise RunError(sentence, ExitCode.USAGE) from error
    outputs = [path for path in (job.output, job.report, job.summary, job.metadata) if path is not None]
    for path in outputs:
        if path.resolve() == job.input.resolve():
            raise RunError(f"{path}: input and output are the same file", ExitCode.USAGE)
        if not path.parent.is_dir():
            raise RunError(f"{path}: its folder does not exist", ExitCode.OUTPUT)
        if not os.access(path.parent, os.W_OK):
            raise RunError(f"{path}: its folder is not writable", ExitCode.OUTPUT)


def _discard(output: Path) -> None:
    """Removes what was written before the run failed."""
    target = Target.parse(str(output))
    part = part_of(Path(target.location))
    if target.kind == "hls":
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def _refuse_nothing(job: RedactJob, tally: Tally) -> None:
    if 0 < tally.frames == tally.dropped:
        why = f"none of {tally.frames} frames could be checked, and the policy leaves such frames out"
        raise RunError(f"{job.output}: not written, since {why} (on_incomplete: drop)", ExitCode.OUTPUT)


def _raise_failures(parts: EmbeddedLine) -> None:
    for failures, code in ((parts.decoder.failures, ExitCode.INPUT), (parts.encoder.failures, ExitCode.OUTPUT)):
        for sentence in failures.values():
            raise RunError(sentence.removesuffix("."), code)


def _progress(outcome: Outcome, info: SourceInfo, wall_s: float) -> Progress:
    tally = outcome.tally
    fps = tally.frames / wall_s if wall_s > 0 else 0.0
    left = max(0, info.frames - tally.frames)
    return Progress(
        frames=tally.frames,
        total_frames=info.frames or None,
        fps=fps,
        masked=dict(tally.masked),
        closed=tally.closed,
        eta_s=left / fps if info.frames and fps > 0 else None,
    )


def _summary(
    job: RedactJob, info: SourceInfo, outcome: Outcome, started: datetime, wall_s: float, cpu_s: float
) -> RunSummary:
    tally = outcome.tally
    return RunSummary(
        input=file_facts(job.input),
        output=file_facts(job.output),
        started=started.isoformat(timespec="seconds"),
        duration_s=info.duration_s or outcome.last_t_s,
        width=info.width,
        height=info.height,
        frame_rate=info.fps,
        frames=tally.frames,
        masked=dict(tally.masked),
        tracks=dict(outcome.tracks),
        closed=tally.closed,
        dropped=tally.dropped,
        closed_why=dict(tally.closed_why),
        looks=outcome.looks,
        wall_s=wall_s,
        cpu_s=cpu_s,
        policy=job.policy.fingerprint,
        policy_words=sentences(job.policy),
        settings=job.policy.model_dump(mode="json"),
        models=tuple(_model_facts(name, *outcome.models[name]) for name in sorted(outcome.models)),
        timeline=tally.timeline(),
        veil=__version__,
    )


def _model_facts(detector: str, model: str, version: str) -> ModelFacts:
    if detector in AT_DECODER or (detector, model) == (LogoDetector.name, LogoDetector.model):
        return ModelFacts(detector, model, version, _OWN_LICENCE)
    entry = catalogue().models.get(model)
    return ModelFacts(detector, model, version, entry.licence if entry else "unknown")


def file_facts(path: Path) -> FileFacts:
    """Name, size and hash of a file. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(path.name, path.stat().st_size, digest)


def write_extras(job: RedactJob, summary: RunSummary) -> None:
    """Writes what else was asked for: the summary and the report. Raises RunError."""
    try:
        if job.summary is not None:
            write_summary(job.summary, summary)
        if job.report is not None:
            write_report(job.report, summary, job.output)
    except OSError as error:
        raise RunError(
            f"{error.filename or job.report}: can't be written: {_reason(error)}", ExitCode.OUTPUT
        ) from error


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()
