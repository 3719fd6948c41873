"""Prints whom a network misses: `python -m deploy.models.train.bias NET.onnx --data FOLDER`.

Recall of faces at IoU .3 beside the installed model's, at the threshold at which both are as precise on streets: with
and without face masks, by height, and by how light the skin appears. Nobody labelled skin: faces of the test gallery
are parted into thirds by the individual typology angle (Chardon et al. 1991) of cheeks and nose, which light and
camera change too. Age and headwear aren't labelled in any data at hand.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.models.train.evaluate import Finder, Judged, at_precision, face_sets, figures, ious, judged, matched, own
from deploy.models.train.pictures import Array, Rgb
from deploy.models.train.tables import USUAL, installed, say

_FACE = (77, 70, 173, 185)
_CHEEKS = (95, 115, 155, 150)
"""Left, top, right and bottom in pictures of the gallery, 250 pixels a side, whose faces are aligned."""
_SIDE = 250
_HEIGHTS = (12, 16, 24, 40)
_SHEET = (640, 384)
_BANDS = ((0, 12), (12, 20), (20, 32), (32, 1000))
_THIRDS = ("dark", "medium", "light")


def gallery(data: Path) -> dict[str, list[Rgb]]:
    """The gallery's faces in three parts of the same size, by typology angle."""
    faces = [_read(path) for path in sorted((data / "identity" / "lfw").glob("*/*.jpg"))]
    order = np.argsort([_typology_angle(face) for face in faces])
    return {name: [faces[i] for i in part] for name, part in zip(_THIRDS, np.array_split(order, 3), strict=True)}


def sheets(faces: Sequence[Rgb], height: int) -> list[tuple[Rgb, Array]]:
    """Pictures full of faces that are `height` pixels high, and where they are: (n, 4)."""
    side = round(_SIDE * height / (_FACE[3] - _FACE[1]))
    columns, rows = _SHEET[0] // side, _SHEET[1] // side
    made = []
    for start in range(0, len(faces), columns * rows):
        sheet = np.full((_SHEET[1], _SHEET[0], 3), 114, np.uint8)
        corners = [(i % columns * side, i // columns * side) for i in range(len(faces[start : start + columns * rows]))]
        for (x, y), face in zip(corners, faces[start:], strict=False):
            sheet[y : y + side, x : x + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        inside = np.array(_FACE, np.float32) * side / _SIDE
        made.append((sheet, (np.array(corners)[:, [0, 1, 0, 1]] + inside).astype(np.float32)))
    return made


def by_skin(find: Finder, threshold: float, data: Path) -> dict[str, float]:
    """Recall in each third of the gallery and at each height."""
    found = {}
    for name, faces in gallery(data).items():
        for height in _HEIGHTS:
            hits = [matched(ious(truth, _above(find, sheet, threshold)), 0.3) for sheet, truth in sheets(faces, height)]
            found[f"{name} skin, {height} px"] = float(np.concatenate(hits).mean())
    return found


def on_streets(pictures: Sequence[Judged], masked: Sequence[NDArray[np.bool_]], threshold: float) -> dict[str, float]:
    """Recall of faces with and without masks, and by height."""
    hits = [matched(ious(each.truth, each.boxes[each.score >= threshold]), 0.3) for each in pictures]
    hit, covered = np.concatenate(hits), np.concatenate(list(masked))
    height = np.concatenate([each.truth[:, 3] - each.truth[:, 1] for each in pictures])
    found = {"with a face mask": float(hit[covered].mean()), "without": float(hit[~covered].mean())}
    for low, high in _BANDS:
        inside = (height >= low) & (height < high)
        name = f"{low}–{high} px" if high < _BANDS[-1][1] else f"from {low} px"
        if inside.any():
            found[f"{name} ({int(inside.sum())})"] = float(hit[inside].mean())
    return found


def _above(find: Finder, rgb: Rgb, threshold: float) -> Array:
    boxes, score = find(rgb)
    return boxes[score >= threshold]


def _read(path: Path) -> Rgb:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def _typology_angle(face: Rgb) -> float:
    """Degrees; higher is lighter."""
    left, top, right, bottom = _CHEEKS
    lab = cv2.cvtColor(face[top:bottom, left:right].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness, yellow = float(np.median(lab[..., 0])), float(np.median(lab[..., 2]))
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


def _masked(data: Path, names: Sequence[str]) -> list[NDArray[np.bool_]]:
    truth: Mapping[str, Sequence[Mapping[str, bool]]] = json.loads(
        (data / "faces" / "street" / "truth.json").read_text()
    )
    return [np.array([face["masked_face"] for face in truth[name.removeprefix("street/")]], bool) for name in names]


def main() -> None:
    """Prints both nets side by side."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.bias", description=__doc__)
    parser.add_argument("net", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="with faces/ and identity/")
    given = parser.parse_args()
    street = face_sets(given.data)["street"]
    masked = _masked(given.data, [picture.name for picture in street])
    ours, theirs = own(given.net.read_bytes(), "face"), installed("face")
    on_ours, on_theirs = (judged(find, "face", street) for find in (ours, theirs))
    threshold, _ = at_precision(on_ours, figures(on_theirs, USUAL["face"]).precision)
    columns: list[tuple[Finder, Sequence[Judged], float]] = [
        (ours, on_ours, threshold),
        (theirs, on_theirs, USUAL["face"]),
    ]
    tables = [on_streets(pictures, masked, t) | by_skin(find, t, given.data) for find, pictures, t in columns]
    say(f"{'recall of faces':24} net at {threshold:.2f}  installed at {USUAL['face']}")
    for row in tables[0]:
        say(f"{row:24} {tables[0][row]:11.3f}  {tables[1][row]:16.3f}")


if __name__ == "__main__":
    main()
