"""Writes what may be shown of one epoch as an MP4 without sound, and keeps account of it."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from services.disclosure.account import AccountWriter
from services.disclosure.draw import Clip, Frame, ticks_between
from services.disclosure.errors import Unavailable
from services.media.file_sink import FileSink, part_of
from services.media.sink import SinkError, Target
from services.schema import pb


@dataclass(slots=True)
class Stretch:
    """Frames without a cut between them: where they are in the video, and when they were taken.

    Attributes:
        first_seq, last_seq: numbers in the epoch.
        start_us, end_us: capture times of both, microseconds since 1970.
        at_ms: where it begins in the video.
    """

    first_seq: int
    last_seq: int
    start_us: int
    end_us: int
    at_ms: int


@dataclass(slots=True)
class Part:
    """One video: what one epoch of one camera shows of the subject.

    Attributes:
        frames, open, with_subject: how many there are, how many are not closed, and how many show the subject.
        closed: reason → frames.
        masks: kind → masks drawn.
        stretches: what there is of it, with cuts between.
        policies: fingerprints of the policies under which its frames were looked at.
        sha256: of the file, hex; empty until it is whole.
        told: SHA-256 of the file that tells of each frame, hex.
    """

    name: str
    camera: str
    epoch: int
    width: int
    height: int
    frames: int = 0
    open: int = 0
    with_subject: int = 0
    duration_ms: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    masks: Counter[str] = field(default_factory=Counter)
    stretches: list[Stretch] = field(default_factory=list)
    policies: set[str] = field(default_factory=set)
    sha256: str = ""
    told: str = ""


class PartWriter:
    """Takes the clips of one epoch in order. Raises Unavailable where a file can't be written.

    Args:
        path: of the video; it has the name once it is whole.
        first: its first clip, which says size and time base; to be added like the others.
    """

    def __init__(self, path: Path, first: Clip) -> None:
        self.part = Part(path.name, first.camera, first.epoch, first.form.width, first.form.height)
        self._path, self._form = path, first.form
        self._account = AccountWriter(path)
        self._sink: FileSink | None = None
        self._before: Frame | None = None  # the newest
        self._pts = -first.form.step
        self._dts = -(1 << 62)

    def fits(self, clip: Clip) -> bool:
        """Whether a clip can go into this video."""
        same = (clip.camera, clip.epoch) == (self.part.camera, self.part.epoch)
        return same and clip.form.joins(self._form)

    def add(self, clip: Clip) -> None:
        """Appends a clip."""
        first, before = clip.frames[0], self._before
        ticks = self._form.step if before is None else ticks_between(before, first.seq, first.pts, self._form)
        offset = self._pts + ticks
        for frame in clip.frames:
            self._count(frame, offset + frame.at)
        for picture in clip.pictures:
            # Each clip's own decoding times begin before its first picture: never before the last of the clip before.
            self._dts = max(self._dts + 1, offset + picture.dts)
            self._write(
                pb.RedactedUnit(
                    keyframe=picture.keyframe,
                    pts=offset + picture.pts,
                    dts=min(self._dts, offset + picture.pts),
                    duration=self._form.step,
                    time_base_num=self._form.time_base.numerator,
                    time_base_den=self._form.time_base.denominator,
                    width=self.part.width,
                    height=self.part.height,
                    payload=picture.payload,
                )
            )

    def finish(self) -> Part:
        """Completes the files."""
        if self._sink is None:
            raise Unavailable(f"{self._path.name}: there is nothing to write.")
        try:
            self._sink.finish()
        except SinkError as error:
            raise Unavailable(f"{error}.") from None
        self.part.told = self._account.finish()
        self.part.sha256 = sha256_of(self._path)
        return self.part

    def abort(self) -> None:
        """Leaves nothing behind."""
        if self._sink is not None:
            self._sink.abort()
        part_of(self._path).unlink(missing_ok=True)
        self._account.abort()

    def _count(self, frame: Frame, pts: int) -> None:
        part, before = self.part, self._before
        if before is not None and frame.seq == before.seq + 1:
            part.stretches[-1].last_seq, part.stretches[-1].end_us = frame.seq, frame.captured_us
        else:
            stretch = Stretch(frame.seq, frame.seq, frame.captured_us, frame.captured_us, self._ms(pts))
            part.stretches.append(stretch)
        part.frames += 1
        part.duration_ms = self._ms(pts + self._form.step)
        part.with_subject += frame.subject
        part.masks.update(mask.kind.value for mask in frame.masks if mask.kind is not None)
        if frame.why:
            part.closed[frame.why] += 1
        else:
            part.open += 1
        if frame.policy:
            part.policies.add(frame.policy)
        self._account.add(frame, self._ms(pts))
        self._before, self._pts = frame, pts

    def _write(self, unit: pb.RedactedUnit) -> None:
        try:
            if self._sink is None:
                self._sink = FileSink(Target("mp4", str(self._path)), unit, None, live=False)
            self._sink.write(unit)
        except SinkError as error:
            raise Unavailable(f"{error}.") from None

    def _ms(self, pts: int) -> int:
        return round(pts * self._form.time_base * 1000)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
