"""Films with two people whose places are known to the pixel, as a keeper of originals would give them out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.demux import Demuxer, SourceUnit
from services.policy.model import Policy
from services.schema import pb
from tests.support.disclosures import EPOCH

FPS = 25
SIZE = (320, 192)
SEES = Policy(name="sees", kinds={"person": None, "face": None, "plate": None})
ME, THEM = 1, 2
"""Track numbers of the subject and of somebody else."""

Box = tuple[float, float, float, float]


def me_at(seq: int) -> Box:
    """The subject goes from left to right."""
    x = 20.0 + 2 * seq
    return x, 60.0, x + 48, 156.0


def them_at(seq: int) -> Box:
    """Somebody else comes towards them, and walks by in front."""
    x = 240.0 - 2 * seq
    return x, 72.0, x + 44, 168.0


def _texture(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    """Blocks of many colours: there is much of it to be seen, and compression keeps it."""
    random = np.random.default_rng(seed)
    blocks = random.integers(30, 225, (height // 8, width // 8, 3), np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


_FACES = {ME: _texture(1, 48, 96), THEM: _texture(2, 48, 96)}


def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), 120, np.uint8)
    picture[: height // 4] = 150
    for track, place in ((ME, me_at(number)), (THEM, them_at(number))):
        x1, y1, x2, y2 = (round(v) for v in place)
        left, right = max(x1, 0), min(x2, width)
        if left < right:
            picture[y1:y2, left:right] = _FACES[track][: y2 - y1, left - x1 : right - x1]
    return picture


@dataclass(frozen=True)
class Unit:
    unit: pb.AccessUnit
    wanted: bool = True


@dataclass(frozen=True)
class Piece:
    camera_id: str
    epoch: int
    units: Sequence[Unit]
    spans: Sequence[pb.RedactionSpan]
    epoch_spans: Sequence[pb.RedactionSpan] = ()


@dataclass(frozen=True)
class Gap:
    start_us: int
    end_us: int
    kind: str
    why: str


@dataclass(frozen=True)
class Run:
    first_seq: int
    last_seq: int
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Outline:
    camera_id: str
    epoch: int
    runs: Sequence[Run]
    all_spans: Sequence[pb.RedactionSpan]

    def spans(self) -> Iterator[pb.RedactionSpan]:
        first, last = self.runs[0].first_seq, self.runs[-1].last_seq
        yield from (span for span in self.all_spans if span.first_seq <= last and span.last_seq >= first)


@dataclass
class Footage:
    """Gives out what it was given; remembers who asked, for pictures and for spans alone."""

    cameras: dict[str, list[Piece | Gap]]
    asked: list[tuple[str, int, int, str, str, str]] = field(default_factory=list)
    outlined: list[tuple[str, int, int, str, str, str]] = field(default_factory=list)

    def open(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str
    ) -> Iterable[Piece | Gap]:
        self.asked.append((camera_id, start_us, end_us, purpose, who, role))
        return [_cut(part, start_us, end_us) for part in self.cameras[camera_id]]

    def outline(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str
    ) -> Iterable[Outline]:
        self.outlined.append((camera_id, start_us, end_us, purpose, who, role))
        cut = [_cut(part, start_us, end_us) for part in self.cameras[camera_id]]
        found = [one for part in cut if isinstance(part, Piece) for one in _outline(part)]
        return [_joined(list(group)) for _, group in groupby(found, key=lambda one: one.epoch)]


def _outline(piece: Piece) -> Iterator[Outline]:
    seqs = sorted(each.unit.seq for each in piece.units if each.wanted)
    if seqs:
        times = {each.unit.seq: each.unit.captured_us for each in piece.units}
        run = Run(seqs[0], seqs[-1], times[seqs[0]], times[seqs[-1]])
        yield Outline(piece.camera_id, piece.epoch, [run], piece.epoch_spans or piece.spans)


def _joined(outlines: Sequence[Outline]) -> Outline:
    runs = [run for one in outlines for run in one.runs]
    return replace(outlines[0], runs=runs)


def _cut(part: Piece | Gap, start_us: int, end_us: int) -> Piece | Gap:
    if isinstance(part, Gap):
        return part
    units = [replace(each, wanted=start_us <= each.unit.captured_us < end_us) for each in part.units]
    return replace(part, units=units)


def film(
    path: Path,
    frames: int = 75,
    *,
    epoch: int = EPOCH,
    camera: str = "gate",
    b_frames: int = 2,
    size: tuple[int, int] = SIZE,
    crf: int = 10,
    painter: Callable[[int, int, int], NDArray[np.uint8]] = paint,
) -> list[pb.AccessUnit]:
    """The access units of a film, in decoding order, good enough that pixels can be compared."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 25
        stream.codec_context.thread_count = 1
        stream.options = {"crf": str(crf), "preset": "veryfast", "bf": str(b_frames), "sc_threshold": "0"}
        for number in range(frames):
            picture = painter(number, *size)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    demuxer = Demuxer(str(path), live=False)
    try:
        return [_unit(each, demuxer.info, epoch, camera) for each in demuxer.units() if isinstance(each, SourceUnit)]
    finally:
        demuxer.close()


def _unit(each: SourceUnit, info: pb.StreamInfo, epoch: int, camera: str) -> pb.AccessUnit:
    return pb.AccessUnit(
        camera_id=camera,
        epoch=epoch,
        seq=each.seq,
        keyframe=each.keyframe,
        keyframe_seq=each.keyframe_seq,
        pts=each.pts or 0,
        dts=each.dts or 0,
        duration=each.duration,
        captured_us=epoch + each.seq * 1_000_000 // FPS,
        stream=info if each.keyframe else None,
        inline=each.payload,
    )


def segment(track: int, first: Box, last: Box, **fields: object) -> pb.TrackSegment:
    usual = {"kind": pb.KIND_PERSON, "origin": pb.TrackSegment.DETECTED, "score": 0.9}
    return pb.TrackSegment(track_id=track, first=first, last=last, **(usual | fields))


def span(
    first: int, last: int, tracks: Sequence[pb.TrackSegment], *, epoch: int = EPOCH, **fields: object
) -> pb.RedactionSpan:
    usual = {"coverage": pb.COMPLETE, "policy": SEES.fingerprint, "camera_id": "gate"}
    return pb.RedactionSpan(epoch=epoch, first_seq=first, last_seq=last, tracks=tracks, **(usual | fields))


def truth(frames: int = 75, step: int = 5, *, epoch: int = EPOCH, camera: str = "gate") -> list[pb.RedactionSpan]:
    """What a tracker that misses nothing would say."""
    found = []
    for first in range(0, frames, step):
        last = min(first + step, frames) - 1
        tracks = [segment(track, at(first), at(last)) for track, at in ((ME, me_at), (THEM, them_at))]
        found.append(span(first, last, tracks, epoch=epoch, camera_id=camera))
    return found


def pieces(units: Sequence[pb.AccessUnit], spans: Sequence[pb.RedactionSpan], every: int = 25) -> Iterator[Piece]:
    """In pieces that begin at keyframes, with the spans that touch them."""
    for start in range(0, len(units), every):
        part = units[start : start + every]
        low, high = min(unit.seq for unit in part), max(unit.seq for unit in part)
        touching = [each for each in spans if each.first_seq <= high and each.last_seq >= low]
        yield Piece(part[0].camera_id, part[0].epoch, [Unit(unit) for unit in part], touching, spans)


def luma(path: Path) -> list[NDArray[np.uint8]]:
    """The luma of every picture of a video."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p")[: frame.height] for frame in container.decode(video=0)]


def inside(box: Box, width: int, height: int, padding: float = 0.0) -> NDArray[np.bool_]:
    """(height, width): the pixels of a box."""
    found = np.zeros((height, width), np.uint8)
    across, down = (box[2] - box[0]) * padding, (box[3] - box[1]) * padding
    low = (int(np.ceil(box[0] - across)), int(np.ceil(box[1] - down)))
    high = (int(np.floor(box[2] + across)) - 1, int(np.floor(box[3] + down)) - 1)
    cv2.rectangle(found, low, high, 1, -1)
    return found.astype(bool)


def likeness(a: NDArray[np.uint8], b: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Correlation of two pictures over some pixels: 1 is the same, 0 nothing in common."""
    x, y = a[where].astype(float), b[where].astype(float)
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (np.sqrt((x * x).sum() * (y * y).sum()) + 1e-9))
