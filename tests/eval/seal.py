"""Measures what sealed pictures are worth and what they tell: `python -m tests.eval.seal [--seeds N] [--modes …]`.

Worth: the same pedestrian detector is trained on the same pictures of a street camera, original and masked, and tested
on untouched originals of other minutes and other people; then the minutes change places. One training is little to go
by: each figure is the mean of several, with looks and features of their own, and its standard error is told. Tell: an
attacker has the first part of everybody's walk as a gallery and names the people of the last part; the naive one keeps
his gallery as it is, the parrot masks it in the same way, with looks of its own, since nobody knows which look a track
will get. Chance is one in the number of people.
"""

import argparse
import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture
from tests.eval.pedestrians import Example, Found, average_precision, channels, pyramid, train
from tests.support.scene_sources import REPOSITORY, SHARED_DATA

PADDING = 0.15
"""What policies have where they say nothing."""
MODES = ("original", "mosaic", "silhouette", "seal")
OUT = REPOSITORY / "out" / "eval"

FOLDS = ((range(7, 421, 7), range(534, 796, 6)), (range(445, 796, 6), range(4, 421, 10)))
"""Numbers of the pictures to train on, and to test on; who is seen in the former does not count in the latter."""

_WARM = 4  # pictures before each one wanted that are masked too: the outlines of figures follow their people that fast
_ONCE = ("mosaic", "silhouette")  # trained with one seed only: that they are far off needs no error
SHORT: Mapping[str, Any] = {"modes": ("original", "seal"), "seeds": 1, "folds": (0,)}
"""What the short form measures: one training of each."""

_RATIOS = {"seal": "map_ratio", "mosaic": "mosaic_ratio", "silhouette": "silhouette_ratio"}
_SIZE = 32, 64  # of the crops that are compared
_CROPS = 15  # of one person in the gallery, and as many probes
_PART = 0.4  # of a person's walk that is the gallery, and that is probed
_WALK_MIN = 80  # frames


@dataclass(frozen=True)
class Frame:
    """One picture of the camera; `people` says whose each of the boxes is."""

    number: int
    picture: Picture
    boxes: NDArray[np.float64]
    people: tuple[int, ...]


@lru_cache(maxsize=1)
def street() -> tuple[Frame, ...]:
    """All pictures of the street camera with the people that MOT15 lists (PETS 2009 S2L1)."""
    rows = np.loadtxt(SHARED_DATA / "video" / "vtest.mot15-gt.txt", delimiter=",")
    frames = []
    with av.open(str(SHARED_DATA / "video" / "vtest.avi")) as video:
        for number, frame in enumerate(video.decode(video=0), start=1):
            here = rows[rows[:, 0] == number]
            boxes = np.hstack((here[:, 2:4], here[:, 2:4] + here[:, 4:6]))
            picture = Picture(np.ascontiguousarray(frame.reformat(format="yuv420p").to_ndarray()))
            frames.append(Frame(number, picture, boxes, tuple(int(person) for person in here[:, 1])))
    return tuple(frames)


def masked(frames: Sequence[Frame], mode: str, seed: int, wanted: Container[int]) -> Iterator[Frame]:
    """The frames whose numbers are wanted, with everybody masked as in a stream; another seed gives other looks."""
    shades = Shades(seed=seed)
    for frame in frames:
        if mode == "original" or not any(frame.number + ahead in wanted for ahead in range(_WARM + 1)):
            if frame.number in wanted:
                yield frame
            continue
        picture = frame.picture.copy()
        count = len(frame.boxes)
        bounds = outer_bounds(frame.boxes, np.full(count, PADDING), picture.width, picture.height)
        mask(picture, bounds, frame.people, [mode] * count, 1.0, shades, frame.boxes)
        if frame.number in wanted:
            yield Frame(frame.number, picture, frame.boxes, frame.people)


@lru_cache(maxsize=len(FOLDS))
def _tested(fold: int) -> list[tuple[list[NDArray[np.uint8]], Frame]]:
    return [(pyramid(frame.picture), frame) for frame in street() if frame.number in FOLDS[fold][1]]


def precision(mode: str, fold: int, seed: int) -> float:
    """AP on untouched pictures, at an IoU of .5, of a detector trained on pictures masked so."""
    numbers = FOLDS[fold][0]
    known = {person for frame in street() if numbers[0] <= frame.number <= numbers[-1] for person in frame.people}
    detector = train([Example(frame.picture, frame.boxes) for frame in masked(street(), mode, seed, numbers)], seed)
    found: list[Found] = []
    truth, ignored = [], []
    for levels, frame in _tested(fold):
        old = np.array([person in known for person in frame.people], np.bool_)
        found.append(detector.detect(levels, least=-3.0))
        truth.append(frame.boxes[~old])
        ignored.append(frame.boxes[old])
    return average_precision(found, truth, ignored)


def ratio(runs: Sequence[float], whole: Sequence[float]) -> tuple[float, float]:
    """The mean of runs over the mean of those with the same folds and seeds, and the standard error of that."""
    ours, theirs = np.array(runs), np.array(whole[: len(runs)])
    found = float(ours.mean() / theirs.mean())
    apart = ours - found * theirs
    return found, float(apart.std(ddof=1) / np.sqrt(len(apart)) / theirs.mean()) if len(apart) > 1 else float("nan")


def _walks() -> dict[int, list[int]]:
    """Numbers of the frames that show each person wholly, of those who are seen long enough."""
    seen: dict[int, list[int]] = {}
    for frame in street():
        for person, (x1, y1, x2, y2) in zip(frame.people, frame.boxes, strict=True):
            if min(x1, y1) >= 0 and x2 <= frame.picture.width and y2 <= frame.picture.height:
                seen.setdefault(person, []).append(frame.number)
    return {person: numbers for person, numbers in sorted(seen.items()) if len(numbers) >= _WALK_MIN}


@dataclass(frozen=True)
class Crops:
    """What an attacker has of some pictures of everybody: features by name, (n, length) each, and whose they are."""

    features: Mapping[str, NDArray[np.float64]]
    people: NDArray[np.int64]


def _crops(mode: str, seed: int, chosen: Sequence[Mapping[int, Set[int]]]) -> list[Crops]:
    """Of one stream, each choice of pictures by person."""
    width, height = _SIZE
    found: list[list[tuple[int, Picture]]] = [[] for _ in chosen]
    wanted = frozenset(number for choice in chosen for numbers in choice.values() for number in numbers)
    for frame in masked(street(), mode, seed, wanted):
        for person, box in zip(frame.people, frame.boxes, strict=True):
            for own, choice in zip(found, chosen, strict=True):
                if frame.number not in choice.get(person, ()):
                    continue
                crop = Picture(np.empty((height * 3 // 2, width), np.uint8))
                for scale, target, plane in (
                    (1, crop.y, frame.picture.y),
                    (2, crop.u, frame.picture.u),
                    (2, crop.v, frame.picture.v),
                ):
                    x1, y1, x2, y2 = (round(float(value) / scale) for value in box)
                    target[:] = cv2.resize(plane[y1:y2, x1:x2], target.shape[::-1], interpolation=cv2.INTER_AREA)
                own.append((person, crop))
    return [
        Crops(
            {name: np.stack([feature(crop) for _, crop in own]) for name, feature in FEATURES.items()},
            np.array([person for person, _ in own]),
        )
        for own in found
    ]


def _pixels(crop: Picture) -> NDArray[np.float64]:
    small = cv2.resize(crop.y, (16, 32), interpolation=cv2.INTER_AREA).astype(float).ravel()
    return (small - small.mean()) / (small.std() + 1)


def _colours(crop: Picture) -> NDArray[np.float64]:
    """Histograms of luma and chroma in four stripes from head to foot."""
    found = []
    for plane, bins in ((crop.y, 16), (crop.u, 32), (crop.v, 32)):
        for stripe in np.array_split(plane, 4):
            counted = np.histogram(stripe, bins, (0, 256))[0]
            found.append(np.sqrt(counted / counted.sum()))
    return np.concatenate(found)


def _gradients(crop: Picture) -> NDArray[np.float64]:
    values = channels(crop.y).astype(float).ravel()
    return values / (np.linalg.norm(values) + 1)


FEATURES: Mapping[str, Callable[[Picture], NDArray[np.float64]]] = {
    "pixels": _pixels,
    "colours": _colours,
    "gradients": _gradients,
}


def rank1(gallery: Crops, probes: Crops) -> dict[str, float]:
    """Share of probes whose nearest picture of the gallery is of the same person, by kind of feature."""
    found = {}
    for name, asked in probes.features.items():
        known = gallery.features[name]
        nearest = ((known**2).sum(axis=1) - 2 * asked @ known.T).argmin(axis=1)
        found[name] = float((gallery.people[nearest] == probes.people).mean())
    return found


def _choices() -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """The pictures of everybody that an attacker has, and those whose people he wants to name."""
    first, last = {}, {}
    for person, numbers in _walks().items():
        part = int(len(numbers) * _PART)
        picks = np.linspace(0, part - 1, _CROPS).round().astype(int)
        first[person] = {numbers[pick] for pick in picks}
        last[person] = {numbers[-1 - pick] for pick in picks}
    return first, last


def attacks(modes: Sequence[str], seeds: int) -> tuple[float, dict[str, dict[str, float]]]:
    """Chance, and for each mode the best rank-1 of the naive and of the parrot attack.

    So many streams are masked; the naive attacker asks about each, the parrot about each with every other's gallery.
    """
    choices = _choices()
    clean = _crops("original", 0, choices)
    results = {}
    for mode in modes:
        streams = [_crops(mode, seed, choices) for seed in range(seeds)] if mode != "original" else [clean, clean]
        rounds = {
            "naive": [rank1(clean[0], probes) for _, probes in streams],
            "parrot": [rank1(gallery, probes) for (gallery, _), (_, probes) in permutations(streams, 2)],
        }
        results[mode] = figures = {
            f"{attacker}_{name}": round(float(np.mean([each[name] for each in found])), 4)
            for attacker, found in rounds.items()
            for name in FEATURES
        }
        for attacker in rounds:
            figures[f"{attacker}_rank1"] = max(figures[f"{attacker}_{name}"] for name in FEATURES)
    return round(1 / len(choices[0]), 4), results


def measure(
    say: Callable[[str], None] = print,
    modes: Sequence[str] = MODES,
    seeds: int = 3,
    *,
    folds: Sequence[int] = range(len(FOLDS)),
    trainings: bool = True,
) -> dict[str, object]:
    """The section `seal` of eval.json; empty where the street's pictures are absent."""
    if not (SHARED_DATA / "video" / "vtest.avi").is_file():
        say("seal: the shared data is absent")
        return {}
    chance, told = attacks(modes, max(seeds, 2))
    section: dict[str, object] = {"reid_chance": chance, "attacks": told}
    for mode, figures in told.items():
        say(f"seal: {mode}, naive rank-1 {figures['naive_rank1']}, parrot {figures['parrot_rank1']}, chance {chance}")
    if "seal" in told:
        section |= {f"{attacker}_rank1": told["seal"][f"{attacker}_rank1"] for attacker in ("parrot", "naive")}
    worth: dict[str, list[float]] = {}
    for mode in modes if trainings else ():
        count = 1 if mode in _ONCE else seeds
        runs = [precision(mode, fold, seed) for seed in range(count) for fold in folds]
        worth[mode] = runs
        section |= {f"map_{mode}": round(float(np.mean(runs)), 4), f"map_{mode}_runs": np.round(runs, 4).tolist()}
        say(f"seal: trained on {mode}, AP {np.mean(runs):.4f} of {np.round(runs, 4).tolist()}")
    for mode, name in _RATIOS.items():
        if mode in worth and "original" in worth:
            share, error = ratio(worth[mode], worth["original"])
            section |= {name: round(share, 4)} | ({f"{name}_error": round(error, 4)} if len(worth[mode]) > 1 else {})
    return section


def table(section: Mapping[str, Any]) -> Table:
    """One row for each mode."""
    caption = f"rank-1 by the best of {', '.join(FEATURES)}; chance {section['reid_chance']:.3f}"
    made = Table(title="Seal", caption=caption)
    for title in ("trained on", "AP on originals", "naive rank-1", "parrot rank-1"):
        made.add_column(title, justify="right")
    for mode, figures in section["attacks"].items():
        value = f"{section[f'map_{mode}']:.3f}" if f"map_{mode}" in section else "–"
        made.add_row(mode, value, f"{figures['naive_rank1']:.3f}", f"{figures['parrot_rank1']:.3f}")
    return made


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measures, prints, and keeps the section without touching the others."""
    parser = argparse.ArgumentParser(prog="python -m tests.eval.seal", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="trainings and attacks that each figure is the mean of")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=("original", "solid", "blur", *MODES[1:]))
    parser.add_argument("--attack-only", action="store_true", help="leave out the trainings")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of eval.json")
    options = parser.parse_args(arguments)
    console = Console(width=120)
    section = measure(console.print, options.modes, options.seeds, trainings=not options.attack_only)
    if section:
        console.print(table(section))
        path = options.out / "eval.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**whole, "seal": section}, indent=2, ensure_ascii=False) + "\n")
    return section


if __name__ == "__main__":
    main()
