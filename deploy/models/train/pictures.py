"""The pictures that training may use, each with its licence, its labels, and where labels are missing.

Only CC0, MIT, CC BY and Apache-2.0 data takes part. A quarter of the labelled pictures is held out: no net ever
trains on them, nor on a near copy of one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Rgb = NDArray[np.uint8]

NO_BOXES: Array = np.zeros((0, 4), np.float32)
HELD_OUT_EVERY = 4
"""Every fourth picture of a labelled folder is for evaluation; the pictures that `make eval` shows are among them."""
CLIPS = ("face-demographics-walking", "store-aisle-detection", "classroom", "worker-zone-detection")
"""Intel's sample videos, CC BY 4.0. bottle-detection is left for counting false alarms."""
_CLIP_STEP = 5
_LONG_SIDE = 960
"""Of further pictures, some of which have 20 megapixels."""
_ALIKE_BITS = 6
"""Pictures whose 64-bit difference hashes are this near are copies: those of different scenes are 12 and more apart."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture with what is known about it.

    Attributes:
        name: source and file.
        licence: under which its use is allowed.
        encoded: the bytes of a JPEG or PNG file.
        boxes: kind → (n, 4) x1, y1, x2, y2 in pixels. A kind without an entry isn't labelled in this picture.
        ignored: kind → (n, 4) areas that count neither way.
    """

    name: str
    licence: str
    encoded: NDArray[np.uint8] = field(repr=False)
    boxes: Mapping[str, Array]
    ignored: Mapping[str, Array] = field(default_factory=dict)

    def rgb(self) -> Rgb:
        """(height, width, 3)."""
        decoded = cv2.imdecode(self.encoded, cv2.IMREAD_COLOR_RGB)
        if decoded is None:
            raise ValueError(f"{self.name} is not a picture")
        return np.asarray(decoded, np.uint8)


def web_plates(data: Path) -> list[Picture]:
    """Cars from the web with hand-drawn plates: Kaggle car plates, CC0."""
    return [_mended(picture) for picture in labelled(data / "plates" / "web", "plate", "CC0")]


def street_faces(data: Path) -> list[Picture]:
    """Streets with hand-drawn faces, most of them masked: Kaggle face mask detection, CC0. Plates are hardly seen."""
    pictures = labelled(data / "faces" / "street", "face", "CC0")
    return [replace(picture, boxes={**picture.boxes, "plate": NO_BOXES}) for picture in pictures]


def bare_faces(data: Path) -> set[str]:
    """Names of those of `street_faces` that show a face without a mask."""
    truth = json.loads((data / "faces" / "street" / "truth.json").read_text())
    return {f"street/{name}" for name, faces in truth.items() if not all(face["masked_face"] for face in faces)}


def clip_frames(data: Path) -> list[Picture]:
    """Frames of indoor cameras without any plate; nothing else is labelled."""
    shown = [frame for name in CLIPS for frame in clip(data / "video" / f"{name}.mp4")]
    return [replace(frame, boxes={"plate": NO_BOXES}) for frame in shown]


def road_plates(folder: Path) -> list[Picture]:
    """Romanian plates from a car's camera, most of them by night: RobertLucian/license-plate-dataset, MIT.

    `folder` is that repository's work tree; its part for training. Boxes are in Pascal VOC's form.
    """
    found = []
    for path in sorted((folder / "dataset" / "train" / "annots").glob("*.xml")):
        corners = [
            [float(box.findtext(side, "nan")) for side in ("xmin", "ymin", "xmax", "ymax")]
            for box in ET.parse(path).iter("bndbox")  # noqa: S314 - a data set chosen by whoever trains
        ]
        image = path.parent.parent / "images" / f"{path.stem}.jpg"
        boxes = {"plate": np.array(corners, np.float32).reshape(-1, 4)}
        found.append(_shrunk(Picture(f"road/{path.stem}", "MIT", np.frombuffer(image.read_bytes(), np.uint8), boxes)))
    return found


def photographs(folder: Path) -> list[Picture]:
    """Photographs of people under CC BY with persons labelled: a folder with a manifest.json of file, licence, people.

    Boxes of crowds count neither way.
    """
    found = []
    for entry in json.loads((folder / "manifest.json").read_text())["pictures"]:
        people, crowd = (np.array(entry.get(key) or (), np.float32).reshape(-1, 4) for key in ("people", "crowd"))
        labels = {"person": people} if entry.get("people") is not None else {}
        encoded = np.frombuffer((folder / entry["file"]).read_bytes(), np.uint8)
        found.append(Picture(entry["file"], entry["licence"], encoded, labels, {"person": crowd}))
    return found


def further(folder: Path) -> list[Picture]:
    """Pictures from packages, with a manifest.json that names file, licence and what each shows; none has a plate.

    Those fit for `negatives` hold no person either; whoever is to be looked at first is left out.
    """
    found = []
    for entry in json.loads((folder / "manifest.json").read_text())["pictures"]:
        if "look first" in entry["fit"]:
            continue
        kinds = ("plate", "face", "person") if "negatives" in entry["fit"] else ("plate",)
        encoded = np.frombuffer((folder / entry["file"]).read_bytes(), np.uint8)
        found.append(_shrunk(Picture(entry["file"], entry["licence"], encoded, dict.fromkeys(kinds, NO_BOXES))))
    return found


def _shrunk(picture: Picture) -> Picture:
    """The picture with at most _LONG_SIDE pixels a side."""
    rgb = picture.rgb()
    factor = _LONG_SIDE / max(rgb.shape[:2])
    if factor >= 1:
        return picture
    small = cv2.resize(rgb[:, :, ::-1], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])
    boxes = {kind: found * np.float32(factor) for kind, found in picture.boxes.items()}
    return replace(picture, encoded=encoded.ravel(), boxes=boxes)


def folds(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Picture]]:
    """Those to train on and those held out; of near copies on both sides only the held out one stays.

    Pictures that carry an agency's mark are not trained on, whatever licence they were uploaded under.
    """
    marked = set((Path(__file__).parent / "marked.txt").read_text(encoding="utf-8").split())
    held = [picture for i, picture in enumerate(pictures) if i % HELD_OUT_EVERY == 0]
    known = np.array([_hash(picture) for picture in held])
    rest = [picture for i, picture in enumerate(pictures) if i % HELD_OUT_EVERY != 0 and picture.name not in marked]
    return [picture for picture in rest if _distance(_hash(picture), known) > _ALIKE_BITS], held


def labelled(folder: Path, kind: str, licence: str = "for tests only") -> list[Picture]:
    """The pictures of a folder with a truth.json, with the boxes of one kind."""
    truth = json.loads((folder / "truth.json").read_text())
    found = []
    for name in sorted(truth):
        boxes = [entry["box"] for entry in truth[name] if entry["kind"] == kind]
        encoded = np.frombuffer((folder / name).read_bytes(), np.uint8)
        labels = {kind: np.array(boxes, np.float32).reshape(-1, 4)}
        found.append(Picture(f"{folder.name}/{name}", licence, encoded, labels))
    return found


def _mended(picture: Picture) -> Picture:
    """Its boxes where the plates are.

    The truth of this folder was scaled by side/416 once too often: in every picture the stored box times 416/width and
    416/height is the plate.
    """
    height, width, _ = picture.rgb().shape
    factor = np.array([416 / width, 416 / height] * 2, np.float32)
    return replace(picture, boxes={"plate": picture.boxes["plate"] * factor})


def frames(path: Path) -> Iterator[Rgb]:
    """Every fifth frame of a video: those between them show the same."""
    video = cv2.VideoCapture(str(path))
    index = 0
    while True:
        more, frame = video.read()
        if not more:
            return
        if index % _CLIP_STEP == 0:
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        index += 1


def clip(path: Path, licence: str = "CC BY 4.0") -> list[Picture]:
    """Frames of a video, named by its name and their number; nothing is labelled."""
    found = []
    for number, frame in enumerate(frames(path)):
        _, encoded = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
        found.append(Picture(f"{path.stem}/{number * _CLIP_STEP:04d}", licence, encoded.ravel(), {}))
    return found


def _hash(picture: Picture) -> np.uint64:
    """Difference hash: whether each of 8×8 areas is lighter than the one to its right."""
    grey = cv2.cvtColor(picture.rgb(), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.uint64(np.packbits(small[:, :-1] > small[:, 1:]).view(np.uint64)[0])


def _distance(value: np.uint64, others: NDArray[np.uint64]) -> int:
    """Bits in which the nearest of `others` differs."""
    return int(np.bitwise_count(others ^ value).min(initial=64))
