"""Measures a network against labelled pictures and against the installed models, on pictures no net was trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import thread_time

import cv2
import numpy as np

from deploy.models.train.architecture import MULTIPLE
from deploy.models.train.pictures import Array, Picture, Rgb, clip, folds, frames, labelled, street_faces, web_plates
from services.detect.cells import decode
from services.detect.onnx_runtime import OnnxSession
from services.detect.postprocess import stack_padded, suppress

FRAME = (640, 360)
"""Width and height that pictures are fitted into."""
_FLOOR = 0.1
_SUPPRESS = 0.4
_STREET, _SPARSE = "vtest", 5
_TIMEOUT_S = 30.0

Found = tuple[Array, Array]
"""Boxes (n, 4) and scores (n,), best first."""

Finder = Callable[[Rgb], Found]


@dataclass(frozen=True)
class Figures:
    """What one set of pictures says about a detector at one threshold."""

    recall_5: float
    recall_3: float
    covered: float
    precision: float


@dataclass(frozen=True)
class Judged:
    """Detections of one picture beside its truth, in pixels of the fitted picture."""

    truth: Array
    boxes: Array
    score: Array


def own(model: bytes, kind: str) -> Finder:
    """The network in an ONNX file as a finder of one kind."""
    session = OnnxSession(model)

    def find(rgb: Rgb) -> Found:
        padded = stack_padded([rgb], MULTIPLE)
        answer = session.run([kind], padded, _TIMEOUT_S)[0][0]
        boxes, score = decode(answer, padded.shape[1], padded.shape[2], _FLOOR)
        keep = suppress(boxes, score, _SUPPRESS)
        return boxes[keep], score[keep]

    return find


def fitted(rgb: Rgb) -> tuple[Rgb, float]:
    """The picture as large as FRAME allows, and the factor."""
    factor = min(FRAME[0] / rgb.shape[1], FRAME[1] / rgb.shape[0])
    size = max(round(rgb.shape[1] * factor), 1), max(round(rgb.shape[0] * factor), 1)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=way), np.uint8), factor


def judged(find: Finder, kind: str, pictures: Sequence[Picture]) -> list[Judged]:
    """What the finder makes of each picture."""
    made = []
    for picture in pictures:
        rgb, factor = fitted(picture.rgb())
        boxes, score = find(rgb)
        made.append(Judged(picture.boxes[kind] * np.float32(factor), boxes, score))
    return made


def figures(pictures: Sequence[Judged], threshold: float) -> Figures:
    """Recall at IoU .5 and .3, the share of objects that lie to 70 % inside the boxes, and precision at IoU .3."""
    recall_5, recall_3, covered, right, total = [], [], [], 0, 0
    for each in pictures:
        boxes = each.boxes[each.score >= threshold]
        overlap = ious(each.truth, boxes)
        recall_5 += list(matched(overlap, 0.5))
        hits = matched(overlap, 0.3)
        recall_3 += list(hits)
        covered += [cover(box, boxes) >= 0.7 for box in each.truth]
        right += int(hits.sum())
        total += len(boxes)
    return Figures(_share(recall_5), _share(recall_3), _share(covered), right / total if total else 1.0)


def matched(overlap: Array, least: float) -> np.ndarray:
    """(n,) bool: which of n objects get a box of their own, the best pairs first. `overlap` is (n, m)."""
    overlap = overlap.copy()
    hit = np.zeros(len(overlap), bool)
    while overlap.size and overlap.max() >= least:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        hit[row] = True
        overlap[row, :] = overlap[:, column] = 0
    return hit


def ious(a: Array, b: Array) -> Array:
    """(n, m) intersections over unions."""
    common = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None)
    both = common.prod(axis=2)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).prod(axis=1) for box in (a, b))
    return np.asarray(both / np.maximum(area_a[:, None] + area_b[None] - both, 1e-6), np.float32)


def cover(box: Array, boxes: Array) -> float:
    """Share of the box that lies under any of the boxes, by its pixels."""
    x1, y1, x2, y2 = box
    canvas = np.zeros((max(round(float(y2 - y1) * 4), 1), max(round(float(x2 - x1) * 4), 1)), bool)
    for other in boxes:
        left, top, right, bottom = np.clip(np.round((other - np.array([x1, y1, x1, y1])) * 4), 0, None).astype(int)
        canvas[top:bottom, left:right] = True
    return float(canvas.mean())


def at_precision(pictures: Sequence[Judged], precision: float) -> tuple[float, Figures]:
    """The lowest threshold at which so many boxes are right, and the figures there."""
    for threshold in np.arange(_FLOOR, 0.96, 0.01):
        found = figures(pictures, float(threshold))
        if found.precision >= precision:
            return float(threshold), found
    return 1.0, figures(pictures, 1.0)


def false_alarms(find: Finder, path: Path, thresholds: Sequence[float]) -> dict[float, float]:
    """Boxes a frame of a video that holds nothing to find."""
    scores = [find(fitted(frame)[0])[1] for frame in frames(path)]
    return {t: sum(int((score >= t).sum()) for score in scores) / max(len(scores), 1) for t in thresholds}


def milliseconds(finders: Sequence[Finder], path: Path, rounds: int = 40) -> list[float]:
    """CPU time of one thread for a video's first frame stretched to FRAME, by finder: the tenth percentile.

    They take turns and the quickest rounds count, so that other programs on the machine slow all alike.
    """
    rgb = np.asarray(cv2.resize(next(frames(path)), FRAME, interpolation=cv2.INTER_AREA), np.uint8)
    taken: list[list[float]] = [[] for _ in finders]
    for _ in range(rounds):
        for find, times in zip(finders, taken, strict=True):
            begun = thread_time()
            find(rgb)
            times.append(thread_time() - begun)
    return [float(np.percentile(times, 10)) * 1000 for times in taken]


def plate_sets(data: Path, further: Mapping[str, Path]) -> dict[str, list[Picture]]:
    """Labelled plates by source; of web only what is held out, the rest was never trained on."""
    sets = {"web": folds(web_plates(data))[1]}
    for name in ("us", "br", "kr_composite"):
        sets[name] = labelled(data / "plates" / name, "plate")
    return sets | {name: labelled(folder, "plate") for name, folder in further.items()}


def face_sets(data: Path) -> dict[str, list[Picture]]:
    """Labelled faces: the held-out streets and the group photos."""
    return {"street": folds(street_faces(data))[1], "group": labelled(data / "faces" / "group", "face")}


def person_sets(data: Path) -> dict[str, list[Picture]]:
    """Labelled persons: frames of a street camera with truth in MOT's text form; no net was trained on it."""
    rows = np.loadtxt(data / "video" / f"{_STREET}.mot15-gt.txt", delimiter=",", dtype=np.float32)
    found = []
    for picture in clip(data / "video" / f"{_STREET}.avi", "for tests only")[::_SPARSE]:
        here = rows[rows[:, 0] == int(picture.name.rsplit("/", 1)[1]) + 1, 2:6]
        boxes = np.concatenate([here[:, :2], here[:, :2] + here[:, 2:]], axis=1)
        found.append(replace(picture, boxes={"person": boxes}))
    return {"vtest": found}


def _share(hits: Sequence[bool]) -> float:
    return float(np.mean(hits)) if len(hits) else float("nan")
