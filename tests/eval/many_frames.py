"""A face that moves under its mask, put together again from many frames, and then attacked.

The face walks on by fractions of a pixel, the tracker's box follows it with an error of its own, and each frame is
masked as it would be. The attacker is given the face's true path, which he would have to estimate: he moves every
frame back, keeps what lay under the mask, and averages. Under a plain mosaic each frame's cells cover other parts of
the face, so that the mean is finer than any of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from services.policy.model import Mode
from tests.eval.attack import against, maskings_for, summary
from tests.eval.attackers import attackers, thumbnails
from tests.eval.faces import FaceSet, Pictures, drawn, face_sets
from tests.eval.treatments import Masker, Treatment, plain_mosaic, veil

FRAMES = (1, 25, 100)
_SPEED = (0.83, 0.37)  # pixels a frame: no whole part of a cell, so that all offsets come up
_ERROR = 0.03  # of the box's place in each frame, as a share of its side
_PADDING = 0.1  # of the box beyond the face
_MARGIN = 0.3  # of wall on each side
_WALL = (128, 128, 128)
_TIMES = 2  # tracks of each picture where maskings differ
_EACH = 4  # pictures of each person: every one is walked through a hundred frames
_MODES = (Mode.MOSAIC, Mode.BLUR)


def covers(*, short: bool) -> list[Treatment]:
    """Plain mosaics to compare with, and those of Veil's masks that are not the same everywhere."""
    return [plain_mosaic(4), veil(Mode.MOSAIC)] if short else [*map(plain_mosaic, (4, 8)), *map(veil, _MODES)]


def measure(*, short: bool = False, say: Callable[[str], None] = print) -> dict[str, object]:
    """The section of eval.json: face set → cover → frames → rank-1, and likeness to the original."""
    section: dict[str, object] = {}
    for faces in _sets(short=short):
        frames = FRAMES[:2] if short else FRAMES
        figures = {each.name: under(each, faces, frames, say) for each in covers(short=short)}
        section[faces.name] = {"people": round(1 / faces.chance), "chance": faces.chance, "covers": figures}
    return section


def _sets(*, short: bool) -> list[FaceSet]:
    """The set whose faces fill the picture, AT&T; drawn textures where that is absent, and in the short form."""
    return [_some(drawn() if short else next(face_sets(short=False)))]


def _some(faces: FaceSet) -> FaceSet:
    """The first pictures of each person."""
    first = np.concatenate([np.flatnonzero(faces.people == person)[:_EACH] for person in np.unique(faces.people)])
    return replace(faces, scenes=faces.scenes[first], people=faces.people[first], known=faces.known[first])


def under(
    each: Treatment, faces: FaceSet, frames: tuple[int, ...], say: Callable[[str], None]
) -> dict[str, dict[str, object]]:
    """The best attacker after each number of frames."""
    say(f"many frames: {faces.name}, {each.name}")
    armed = attackers(recogniser=False)  # on these sets it is not the best attacker of any mask
    clean = {attacker.name: attacker.look(faces.pictures) for attacker in armed}
    masker, random = each.stream(), np.random.default_rng(0)
    walks = [
        restored(masker, faces.pictures, frames, random, first_track=turn * len(faces.people))
        for turn in range(_TIMES if each.varies else 1)
    ]
    figures: dict[str, dict[str, object]] = {}
    for index, count in enumerate(frames):
        seen = np.stack([walk[index] for walk in walks])
        found = {
            attacker.name: against(attacker, faces, clean[attacker.name], seen[: maskings_for(attacker)])
            for attacker in armed
        }
        best = summary(found, int((~faces.known).sum()))
        figures[str(count)] = {**best, "likeness": round(likeness(seen, faces.pictures), 3)}
    return figures


def restored(
    masker: Masker, pictures: Pictures, frames: tuple[int, ...], random: np.random.Generator, *, first_track: int = 0
) -> list[Pictures]:
    """What the attacker has of each face after so many frames of its walk."""
    walks = [_walk(masker, picture, track, frames, random) for track, picture in enumerate(pictures, first_track)]
    return [np.stack([walk[index] for walk in walks]) for index in range(len(frames))]


def _walk(
    masker: Masker, picture: NDArray[np.uint8], track: int, frames: tuple[int, ...], random: np.random.Generator
) -> list[NDArray[np.uint8]]:
    height, width = picture.shape[:2]
    margins = (2 * round(_MARGIN * height / 2), 2 * round(_MARGIN * width / 2))
    around = (margins[0], margins[0], margins[1], margins[1])
    scene = cv2.copyMakeBorder(picture, *around, cv2.BORDER_CONSTANT, value=_WALL)
    total = np.full((height, width, 4), 1e-6, np.float32)
    kept = []
    for number in range(max(frames)):
        # The view follows the face in whole steps, as a crop does: what is left of its way is less than a cell.
        dx, dy = (number * speed % 8 - 4 for speed in _SPEED)
        view = _moved(scene, dx, dy)
        x1, y1 = (
            round(margin - _PADDING * side + offset + np.clip(random.normal(0, _ERROR), -_PADDING, _PADDING) * side)
            for margin, offset, side in ((margins[1], dx, width), (margins[0], dy, height))
        )
        x2, y2 = x1 + round((1 + 2 * _PADDING) * width), y1 + round((1 + 2 * _PADDING) * height)
        inside = np.s_[max(y1, 0) : y2, max(x1, 0) : x2]
        seen = np.zeros((*view.shape[:2], 4), np.float32)  # colours, and where the mask is
        seen[..., :3][inside] = masker(view, (x1, y1, x2, y2), track)[inside]
        seen[..., 3][inside] = 1
        total += _moved(seen, -dx, -dy)[margins[0] : margins[0] + height, margins[1] : margins[1] + width]
        if number + 1 in frames:
            kept.append(np.clip(np.round(total[..., :3] / total[..., 3:]), 0, 255).astype(np.uint8))
    return kept


def _moved(picture: NDArray[np.generic], dx: float, dy: float) -> NDArray[np.generic]:
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return np.asarray(cv2.warpAffine(picture, shift, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101))


def likeness(seen: NDArray[np.uint8], pictures: Pictures) -> float:
    """Mean correlation of thumbnails with those of the originals."""
    original = _standard(thumbnails(pictures))
    return float(np.mean([(_standard(thumbnails(each)) * original).mean(axis=1) for each in seen]))


def _standard(features: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = features - features.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6))


def table(name: str, figures: Mapping[str, Any]) -> Table:
    """One row for each cover, and for each number of frames what the best attacker gets out of it."""
    covered: dict[str, dict[str, dict[str, float]]] = figures["covers"]
    counts = list(next(iter(covered.values())))
    made = Table(
        title=f"Many frames: {name}, chance {float(str(figures['chance'])):.1%}",
        caption="naive · parrot · likeness to the original",
    )
    made.add_column("cover")
    for count in counts:
        made.add_column(f"{count} frames" if count != "1" else "1 frame", justify="right")
    for cover_name, by_count in covered.items():
        cells = (f"{each['naive']:.1%} · {each['parrot']:.1%} · {each['likeness']:.2f}" for each in by_count.values())
        made.add_row(cover_name, *cells)
    return made
