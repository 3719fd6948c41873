"""Writes what may be shown of one epoch as an MP4 without sound, and keeps account of it."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from services.disclosure.errors import Unavailable
from services.disclosure.screening import Shot
from services.disclosure.unveil import Unveiled
from services.media.encoding import EncodedPicture, H264Encoder, H264Options
from services.media.file_sink import FileSink, part_of
from services.media.picture import Picture
from services.media.sink import SinkError, Target
from services.schema import pb

OPTIONS = H264Options(preset="superfast", crf=21)
"""Half the time of `veryfast` for a tenth more bytes: a package is made once and seldom long."""

_USUAL_RATE = Fraction(25)


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


class PartWriter:
    """Takes the frames of one epoch in order. Raises Unavailable where the file can't be written.

    Args:
        path: of the file; it has the name once it is whole.
        first: its first frame, which says size and time base.
    """

    def __init__(self, path: Path, first: Shot) -> None:
        stream = first.stream
        self.part = Part(path.name, first.camera, first.epoch, stream.width, stream.height)
        self._path = path
        self._time_base = Fraction(max(1, stream.time_base_num), max(1, stream.time_base_den))
        rate = Fraction(stream.frame_rate).limit_denominator(1001) if 1 <= stream.frame_rate <= 240 else _USUAL_RATE
        self._step = max(1, round(1 / (rate * self._time_base)))
        self._encoder = H264Encoder(
            stream.width,
            stream.height,
            self._time_base,
            frame_rate=float(rate),
            full_range=stream.full_range,
            options=OPTIONS,
        )
        self._sink: FileSink | None = None
        self._shot: Shot | None = None  # the newest
        self._pts = -self._step

    def fits(self, shot: Shot) -> bool:
        """Whether a frame can go into this video."""
        fits_size = (shot.stream.width, shot.stream.height) == (self.part.width, self.part.height)
        base = Fraction(max(1, shot.stream.time_base_num), max(1, shot.stream.time_base_den))
        return fits_size and base == self._time_base and shot.stream.full_range == self._encoder.full_range

    def add(self, shot: Shot, unveiled: Unveiled) -> None:
        """Encodes the next frame."""
        part, before = self.part, self._shot
        follows = before is not None and shot.seq == before.seq + 1
        step = shot.pts - before.pts if before is not None and follows else self._step
        self._pts += max(1, step)
        if follows:
            part.stretches[-1].last_seq, part.stretches[-1].end_us = shot.seq, shot.captured_us
        else:
            stretch = Stretch(shot.seq, shot.seq, shot.captured_us, shot.captured_us, self._ms(self._pts))
            part.stretches.append(stretch)
        part.frames += 1
        part.duration_ms = self._ms(self._pts + self._step)
        part.with_subject += unveiled.subject
        part.masks.update({kind.value: count for kind, count in unveiled.masks.items()})
        if unveiled.why:
            part.closed[unveiled.why] += 1
        else:
            part.open += 1
        if unveiled.policy:
            part.policies.add(unveiled.policy)
        self._shot = shot
        self._write(self._encoded(unveiled.picture))

    def finish(self) -> Part:
        """Completes the file."""
        self._write(self._encoder.flush())
        if self._sink is None:
            raise Unavailable(f"{self._path.name}: there is nothing to write.")
        try:
            self._sink.finish()
        except SinkError as error:
            raise Unavailable(f"{error}.") from None
        self.part.sha256 = sha256_of(self._path)
        return self.part

    def abort(self) -> None:
        """Leaves nothing behind."""
        if self._sink is not None:
            self._sink.abort()
        part_of(self._path).unlink(missing_ok=True)

    def _encoded(self, picture: Picture) -> list[EncodedPicture]:
        return self._encoder.encode(picture, self._pts)

    def _write(self, pictures: list[EncodedPicture]) -> None:
        for picture in pictures:
            unit = pb.RedactedUnit(
                keyframe=picture.keyframe,
                pts=picture.pts,
                dts=picture.dts,
                duration=self._step,
                time_base_num=self._time_base.numerator,
                time_base_den=self._time_base.denominator,
                width=self.part.width,
                height=self.part.height,
                payload=picture.payload,
            )
            try:
                if self._sink is None:
                    self._sink = FileSink(Target("mp4", str(self._path)), unit, None, live=False)
                self._sink.write(unit)
            except SinkError as error:
                raise Unavailable(f"{error}.") from None

    def _ms(self, pts: int) -> int:
        return round(pts * self._time_base * 1000)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
