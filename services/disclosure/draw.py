"""Draws one chunk: decodes it, masks everyone but the subject, and compresses what may be seen. Runs in any process."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from services.disclosure.chunks import Chunk
from services.disclosure.covers import Covers
from services.disclosure.screening import Screening, Shot
from services.disclosure.subject import Subject
from services.disclosure.unveil import Mask, Unveiled, Unveiler
from services.media.encoding import EncodedPicture, H264Encoder, H264Options
from services.schema import pb

OPTIONS = H264Options(preset="superfast", crf=21)
"""Half the time of `veryfast` for a tenth more bytes: a package is made once and seldom long."""

_USUAL_RATE = Fraction(25)


@dataclass(frozen=True, slots=True)
class Form:
    """What all frames of a video have in common."""

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    full_range: bool

    @classmethod
    def of(cls, stream: pb.StreamInfo) -> "Form":
        """The form of a stream's frames."""
        base = Fraction(max(1, stream.time_base_num), max(1, stream.time_base_den))
        known = 1 <= stream.frame_rate <= 240
        rate = Fraction(stream.frame_rate).limit_denominator(1001) if known else _USUAL_RATE
        return cls(stream.width, stream.height, base, rate, stream.full_range)

    @property
    def step(self) -> int:
        """Usual ticks from one frame to the next."""
        return max(1, round(1 / (self.rate * self.time_base)))

    def joins(self, other: "Form") -> bool:
        """Whether frames of both can be in one video."""
        mine = self.width, self.height, self.time_base, self.full_range
        return mine == (other.width, other.height, other.time_base, other.full_range)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is told of one frame.

    Attributes:
        pts: in the camera's stream.
        at: in the clip, in ticks, from 0.
        why: why it is closed, one sentence; empty where it is not.
        subject: the subject is in it, and was left as it is.
        policy: fingerprint of the one under which it was looked at; empty where that is not known.
    """

    seq: int
    pts: int
    captured_us: int
    at: int
    why: str
    subject: bool
    policy: str
    masks: tuple[Mask, ...]


@dataclass(slots=True)
class Clip:
    """Frames of one form, compressed; the first is an IDR picture, and times begin at 0."""

    camera: str
    epoch: int
    form: Form
    frames: list[Frame] = field(default_factory=list)
    pictures: list[EncodedPicture] = field(default_factory=list, repr=False)


def draw(chunk: Chunk) -> list[Clip]:
    """One clip; more where the camera's pictures change their size."""
    spans = (pb.RedactionSpan.FromString(raw) for raw in chunk.spans)
    unveiler = Unveiler(Subject(chunk.sights), Covers(spans, chunk.policies), chunk.corrections)
    clips: list[Clip] = []
    drawer: _Drawer | None = None
    for shot in _shots(chunk):
        if not shot.stream.width:
            continue  # no keyframe ever came: not even its size is known
        form = Form.of(shot.stream)
        if drawer is None or not drawer.clip.form.joins(form):
            if drawer is not None:
                drawer.finish()
            drawer = _Drawer(Clip(chunk.camera, chunk.epoch, form))
            clips.append(drawer.clip)
        drawer.add(shot, unveiler.unveil(shot))
    if drawer is not None:
        drawer.finish()
    return clips


@dataclass(frozen=True, slots=True)
class _Unit:
    unit: pb.AccessUnit
    wanted: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    camera_id: str
    epoch: int
    units: tuple[_Unit, ...]
    spans: tuple[pb.RedactionSpan, ...] = ()


def _shots(chunk: Chunk) -> Iterator[Shot]:
    units = tuple(_Unit(pb.AccessUnit.FromString(raw), shown) for raw, shown in chunk.units)
    wanted = frozenset(each.unit.seq for each in units if each.wanted)
    screening = Screening(wanted.__contains__, every=True, stream=pb.StreamInfo.FromString(chunk.stream))
    yield from screening.take(_Piece(chunk.camera, chunk.epoch, units))
    yield from screening.end()


class _Drawer:
    """Compresses the frames of one clip."""

    def __init__(self, clip: Clip) -> None:
        self.clip, form = clip, clip.form
        self._encoder = H264Encoder(
            form.width,
            form.height,
            form.time_base,
            frame_rate=float(form.rate),
            full_range=form.full_range,
            options=OPTIONS,
        )

    def add(self, shot: Shot, unveiled: Unveiled) -> None:
        """Takes the next frame."""
        frames = self.clip.frames
        at = frames[-1].at + ticks_between(frames[-1], shot.seq, shot.pts, self.clip.form) if frames else 0
        told = Frame(
            seq=shot.seq,
            pts=shot.pts,
            captured_us=shot.captured_us,
            at=at,
            why=unveiled.why,
            subject=unveiled.subject,
            policy=unveiled.policy,
            masks=unveiled.masks,
        )
        frames.append(told)
        self.clip.pictures += self._encoder.encode(unveiled.picture, at)

    def finish(self) -> None:
        """Compresses what is left."""
        self.clip.pictures += self._encoder.flush()


def ticks_between(before: Frame, seq: int, pts: int, form: Form) -> int:
    """How long after a frame the next one is shown: as the camera took them, or at once behind a cut."""
    return max(1, pts - before.pts) if seq == before.seq + 1 else form.step
