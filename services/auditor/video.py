"""Audits a video file: looks at a picture of it every so often and gives the suspects."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av

from services.auditor.examine import Examiner
from services.auditor.suspects import Suspect
from services.media.decoding import PictureMaker, is_full_range
from services.schema import pb

MOST_SUSPECTS = 500
"""Of one file; a file with more is not masked at all, and its audit ends there."""


@dataclass(slots=True)
class FileAudit:
    """What was found in one file.

    Attributes:
        frames: decoded.
        looks, closed: pictures looked at; pictures left out because they are wholly masked.
        cut_short: the audit ended at MOST_SUSPECTS.
    """

    path: Path
    width: int = 0
    height: int = 0
    duration_s: float = 0.0
    frames: int = 0
    looks: int = 0
    closed: int = 0
    cut_short: bool = False
    suspects: list[Suspect] = field(default_factory=list)


class AuditError(Exception):
    """A file can't be audited; the text is one sentence."""


def audit_file(
    path: Path,
    examiner: Examiner,
    every_s: float,
    on_progress: Callable[[FileAudit, float | None], None] = lambda _audit, _total_s: None,
) -> FileAudit:
    """Looks at the first picture of the file and at one every `every_s` seconds.

    Args:
        path: the video.
        examiner: a new one.
        every_s: seconds of video.
        on_progress: told after each look: the audit so far, and the length of the file where its header gives one.

    Raises:
        AuditError: the file can't be read as video, or breaks off.
        DetectorError, TimeoutError: from the eyes.
    """
    audit = FileAudit(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise AuditError(f"{path}: holds no video")
            total_s = container.duration / av.time_base if container.duration else None
            for frame, seq, t_s in _sampled(container, audit, every_s):
                _look(examiner, audit, frame, seq, t_s)
                on_progress(audit, total_s)
                if len(audit.suspects) >= MOST_SUSPECTS:
                    audit.cut_short = True
                    break
    except TimeoutError:
        # Of the eyes. It is an OSError too, but the file is not to blame.
        raise
    except (av.FFmpegError, OSError) as error:
        raise AuditError(f"{path}: can't be read as video: {(error.strerror or 'damaged').lower()}") from error
    if not audit.frames:
        raise AuditError(f"{path}: holds no picture that can be decoded")
    return audit


def _sampled(
    container: av.container.InputContainer, audit: FileAudit, every_s: float
) -> Iterator[tuple[av.VideoFrame, int, float]]:
    """Every so often a frame, with its number and its time from the first in seconds."""
    stream = container.streams.video[0]
    first_s: float | None = None
    due_s = 0.0
    for seq, frame in enumerate(container.decode(stream)):
        audit.frames += 1
        at_s = frame.time if frame.time is not None else audit.duration_s
        first_s = at_s if first_s is None else first_s
        audit.duration_s = max(audit.duration_s, at_s - first_s)
        if at_s - first_s >= due_s - 1e-6:
            due_s = max(due_s + every_s, at_s - first_s)
            yield frame, seq, at_s - first_s


def _look(examiner: Examiner, audit: FileAudit, frame: av.VideoFrame, seq: int, t_s: float) -> None:
    info = pb.StreamInfo(
        width=frame.width + frame.width % 2,
        height=frame.height + frame.height % 2,
        coded_width=frame.width,
        coded_height=frame.height,
        full_range=is_full_range(frame),
    )
    maker = PictureMaker(info)
    audit.width, audit.height = frame.width, frame.height
    audit.suspects += examiner.take(maker.picture(frame), maker.rgb(frame, max(frame.width, frame.height)), seq, t_s)
    audit.looks, audit.closed = examiner.looks, examiner.closed


def as_plain_data(audits: Sequence[FileAudit], every_s: float, kinds: Sequence[str]) -> dict[str, object]:
    """What `veil audit --json` writes: numbers and places, no picture."""
    return {
        "every_s": every_s,
        "kinds": list(kinds),
        "suspects": sum(len(audit.suspects) for audit in audits),
        "files": [
            {
                "file": audit.path.name,
                "width": audit.width,
                "height": audit.height,
                "duration_s": round(audit.duration_s, 3),
                "frames": audit.frames,
                "looks": audit.looks,
                "closed": audit.closed,
                "cut_short": audit.cut_short,
                "suspects": [_plain(suspect) for suspect in audit.suspects],
            }
            for audit in audits
        ],
    }


def _plain(suspect: Suspect) -> dict[str, object]:
    return {
        "kind": suspect.kind,
        "score": round(suspect.score, 3),
        "box": [round(value, 1) for value in suspect.box],
        "frame": suspect.seq,
        "t_s": round(suspect.t_s, 3),
        "first_s": round(suspect.first_s, 3),
        "last_s": round(suspect.last_s, 3),
        "sightings": suspect.sightings,
    }
