"""Renders a disclosure: the stretches of film that show the subject, with everyone and everything else masked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from services.disclosure.account import account_of
from services.disclosure.chunks import Chunk, Epoch, cut
from services.disclosure.draw import Clip
from services.disclosure.errors import Invalid
from services.disclosure.footage import Footage
from services.disclosure.parts import Part, PartWriter
from services.disclosure.request import Correction, Sight
from services.disclosure.workers import draw_all
from services.policy.model import Policy

_PARTS_MAX = 1000
_BEHIND_US = 5_000_000  # more than the look-ahead: times of frames are known within some frames only


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


def render(footage: Footage, job: Job, folder: Path, workers: int = 1) -> Rendered:
    """Writes video-1.mp4, video-2.mp4, … into a folder: one for each epoch of each camera that shows the subject.

    Beside each lies what is told of its frames. The pictures are the same for any number of workers.

    Args:
        footage: opens originals.
        job: what is to be rendered.
        folder: for the videos; nothing of their names may be in it.
        workers: processes that draw at a time.

    Raises Invalid where no frame at all can be shown, Unavailable, and whatever the footage raises; then none of the
    files is left.
    """
    rendered = Rendered()
    try:
        with closing(_Videos(folder, rendered)) as videos:
            for item in draw_all(_chunks(footage, job), workers):
                if isinstance(item, Lack):
                    rendered.lacks.append(item)
                else:
                    for clip in item[1]:
                        videos.add(clip)
            videos.finish()
        _check_that_it_shows(rendered)
    except BaseException:
        for part in rendered.parts:
            (folder / part.name).unlink(missing_ok=True)
            account_of(folder / part.name).unlink(missing_ok=True)
        raise
    return rendered


class _Videos:
    """Puts clips together: a video for each epoch, and a new one where the pictures' form changes."""

    def __init__(self, folder: Path, rendered: Rendered) -> None:
        self._folder, self._rendered = folder, rendered
        self._writer: PartWriter | None = None

    def add(self, clip: Clip) -> None:
        """Takes the next clip."""
        if self._writer is not None and not self._writer.fits(clip):
            self.finish()
        if self._writer is None:
            if len(self._rendered.parts) >= _PARTS_MAX:
                raise Invalid(f"It would be more than {_PARTS_MAX} videos: choose a shorter time.")
            self._writer = PartWriter(self._folder / f"video-{len(self._rendered.parts) + 1}.mp4", clip)
        self._writer.add(clip)

    def finish(self) -> None:
        """Completes the video that is being written."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                self._rendered.parts.append(writer.finish())
            except BaseException:
                writer.abort()
                raise

    def close(self) -> None:
        """Leaves nothing half written."""
        if self._writer is not None:
            self._writer.abort()


def _check_that_it_shows(rendered: Rendered) -> None:
    if not any(part.with_subject for part in rendered.parts):
        reasons = [reason for part in rendered.parts for reason in part.closed]
        why = reasons[0] if reasons else "The subject is in none of its frames."
        raise Invalid(f"Nothing can be shown. {why}")


def _chunks(footage: Footage, job: Job) -> Iterator[Chunk | Lack]:
    """What is to be drawn, camera by camera, and what can't be."""
    for camera in dict.fromkeys(sight.camera for sight in job.sights):
        # Spans first: what comes later hides what is there before it.
        epochs = _epochs(footage, job, camera)
        opened = footage.open(camera, job.start_us, job.end_us, purpose=job.purpose, who=job.who, role=job.role)
        for item in cut(opened, epochs):
            if isinstance(item, Chunk):
                yield item
            else:
                yield Lack(camera, item.start_us, item.end_us, item.kind, item.why)


def _epochs(footage: Footage, job: Job, camera: str) -> Mapping[int, Epoch]:
    """What is known of each epoch that shows the subject, and shortly behind: who comes then is hidden before."""
    outlines = footage.outline(
        camera, job.start_us, job.end_us + _BEHIND_US, purpose=job.purpose, who=job.who, role=job.role
    )
    wanted = {sight.epoch for sight in job.sights if sight.camera == camera}
    found = {
        outline.epoch: Epoch.of((camera, outline.epoch), outline.spans(), job.sights, job.corrections, job.policies)
        for outline in outlines
        if outline.epoch in wanted
    }
    for epoch in wanted - found.keys():
        found[epoch] = Epoch.of((camera, epoch), (), job.sights, job.corrections, job.policies)
    return found
