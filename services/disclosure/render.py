"""Renders a disclosure: the stretches of film that show the subject, with everyone and everything else masked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.disclosure.covers import Covers
from services.disclosure.errors import Invalid
from services.disclosure.footage import Footage, Gap, Piece
from services.disclosure.parts import Part, PartWriter
from services.disclosure.request import Correction, Sight
from services.disclosure.screening import Screening, Shot
from services.disclosure.unveil import Subject, Unveiler
from services.policy.model import Policy

_PARTS_MAX = 1000
_AHEAD = 480  # frames: the look-ahead of the profile `evidence` at 240 a second


@dataclass(frozen=True, slots=True)
class Lack:
    """A part of the range of which there is nothing."""

    camera: str
    start_us: int
    end_us: int
    kind: str
    why: str


@dataclass(slots=True)
class Rendered:
    """What was rendered, and what of the range could not be."""

    parts: list[Part] = field(default_factory=list)
    lacks: list[Lack] = field(default_factory=list)

    @property
    def files(self) -> dict[str, str]:
        """File name → SHA-256 in hex."""
        return {part.name: part.sha256 for part in self.parts}


@dataclass(frozen=True, slots=True)
class Job:
    """One disclosure to render.

    Attributes:
        sights: the subject.
        policies: under which cameras were looked at, by fingerprint.
        who, purpose: who opens the originals, and what for.
    """

    start_us: int
    end_us: int
    sights: Sequence[Sight]
    corrections: Sequence[Correction]
    policies: Mapping[str, Policy]
    who: str
    purpose: str
    role: str = "officer"


def render(footage: Footage, job: Job, folder: Path) -> Rendered:
    """Writes video-1.mp4, video-2.mp4, … into a folder: one for each epoch of each camera that shows the subject.

    Raises Invalid where no frame at all can be shown, Unavailable, and whatever the footage raises; then none of the
    files is left.
    """
    rendered = Rendered()
    try:
        for camera in dict.fromkeys(sight.camera for sight in job.sights):
            _camera(footage, job, camera, folder, rendered)
        _check_that_it_shows(rendered)
    except BaseException:
        for part in rendered.parts:
            (folder / part.name).unlink(missing_ok=True)
        raise
    return rendered


def _check_that_it_shows(rendered: Rendered) -> None:
    if not any(part.with_subject for part in rendered.parts):
        reasons = [reason for part in rendered.parts for reason in part.closed]
        why = reasons[0] if reasons else "The subject is in none of its frames."
        raise Invalid(f"Nothing can be shown. {why}")


def _camera(footage: Footage, job: Job, camera: str, folder: Path, rendered: Rendered) -> None:
    opened = footage.open(camera, job.start_us, job.end_us, purpose=job.purpose, who=job.who, role=job.role)
    epochs = {sight.epoch for sight in job.sights if sight.camera == camera}
    subjects = {epoch: Subject(sight for sight in job.sights if sight.stream == (camera, epoch)) for epoch in epochs}
    covers = _survey(opened, subjects, job.policies)
    unveilers = {
        epoch: Unveiler(subject, covers[epoch], [one for one in job.corrections if one.stream == (camera, epoch)])
        for epoch, subject in subjects.items()
    }
    writer: PartWriter | None = None
    try:
        for epoch, shots in _screened(opened, subjects, rendered, camera):
            for shot in shots:
                if writer is not None and not (writer.part.epoch == shot.epoch and writer.fits(shot)):
                    done, writer = writer, None
                    rendered.parts.append(done.finish())
                if writer is None:
                    if len(rendered.parts) >= _PARTS_MAX:
                        raise Invalid(f"It would be more than {_PARTS_MAX} videos: choose a shorter time.")
                    writer = PartWriter(folder / f"video-{len(rendered.parts) + 1}.mp4", shot)
                writer.add(shot, unveilers[epoch].unveil(shot))
        if writer is not None:
            done, writer = writer, None
            rendered.parts.append(done.finish())
    finally:
        if writer is not None:
            writer.abort()


def _survey(
    opened: Iterable[Piece | Gap], subjects: Mapping[int, Subject], policies: Mapping[str, Policy]
) -> Mapping[int, Covers]:
    """What is known of each epoch, before the first frame is drawn: what comes later hides what is there before it."""
    found = {epoch: Covers() for epoch in subjects}
    for piece in opened:
        if isinstance(piece, Piece) and piece.epoch in subjects:
            subject = subjects[piece.epoch]
            near = (span for span in piece.spans if subject.near(span.first_seq, span.last_seq, _AHEAD))
            wanted = (each.unit.seq for each in piece.units if subject.is_wanted(each.unit.seq))
            found[piece.epoch].add(wanted, near, policies)
    return found


def _screened(
    opened: Iterable[Piece | Gap], subjects: Mapping[int, Subject], rendered: Rendered, camera: str
) -> Iterator[tuple[int, Iterator[Shot]]]:
    """The frames to render, piece by piece, each with its epoch."""
    screening: Screening | None = None
    epoch = -1
    for piece in opened:
        if isinstance(piece, Piece):
            if screening is not None and piece.epoch != epoch:
                yield epoch, screening.end()
                screening = None
            if piece.epoch not in subjects:
                continue
            if screening is None:
                screening = Screening(subjects[piece.epoch].is_wanted)
            epoch = piece.epoch
            yield epoch, screening.take(piece)
        else:
            rendered.lacks.append(Lack(camera, piece.start_us, piece.end_us, piece.kind, piece.why))
            if screening is not None:
                yield epoch, screening.end()
    if screening is not None:
        yield epoch, screening.end()
