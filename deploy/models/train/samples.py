"""Samples to train on: crops of up to four pictures, with the boxes of every kind and where none is known."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.models.train.light import seen
from deploy.models.train.pictures import NO_BOXES, Array, Picture, Rgb
from deploy.models.train.plate_styles import STYLES
from deploy.models.train.plates import Draughtsman
from deploy.models.train.warp import Move, inside, paste

SIZE = (416, 256)
"""Width and height of a sample."""

_HEIGHTS: Mapping[str, tuple[float, float]] = {
    "plate": (6, 100),
    "face": (8, 150),
    "person": (24, 240),
}
"""Heights in pixels at which objects appear, spread evenly over their logarithm."""
_STYLE_SHARES = [{"eu": 0.2, "us": 0.25, "kr": 0.2}.get(style, 0.35 / (len(STYLES) - 3)) for style in STYLES]
"""American ones are the smallest on the road, Korean ones are on no real car among the pictures."""
_LEAST: Mapping[str, float] = {"plate": 5, "face": 6, "person": 16}
"""Lower ones are neither wanted nor held against the network."""
_MOST_LAYERS = 2
_DECODED = 1500
"""Pictures kept decoded: 800 MB of the usual size."""
_TILES = ((1, 1), (2, 1), (2, 2), (2, 2))
"""Columns and rows of a sample. Several small pictures hold more objects than a large one, for the same time."""
_BARE, _COVERED = 0.4, 0.6
"""Share of small pictures on plain grey, and of the others the share that has a second one over it."""
_GREY = 114
_SIGNS = 0.2
"""Share of samples with a sign that is no plate."""
_VISIBLE, _GONE = 0.45, 0.05
"""Shares of an object inside the sample: from the first on it is wanted, below the second nothing is seen of it."""


@dataclass(frozen=True)
class Sample:
    """A picture of SIZE and, for each kind, the boxes (n, 4) to find and the areas (m, 4) that count neither way."""

    rgb: Rgb
    boxes: Mapping[str, Array]
    ignored: Mapping[str, Array]


@dataclass(frozen=True)
class Source:
    """Pictures that take part with `weight`; plates of a share `replated` of them are replaced by drawn ones."""

    pictures: Sequence[Picture]
    weight: float
    replated: float = 0.0


class Sampler:
    """Makes samples; the same seed makes the same ones.

    Args:
        kinds: what the network finds.
        sources: where pictures come from.
        draughtsman: of synthetic plates.
        size: width and height of samples.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        sources: Sequence[Source],
        draughtsman: Draughtsman,
        size: tuple[int, int] = SIZE,
    ) -> None:
        self._kinds = kinds
        self._sources = sources
        self._weights = np.array([source.weight for source in sources]) / sum(source.weight for source in sources)
        self._draughtsman = draughtsman
        self._size = size
        self._decoded = lru_cache(maxsize=_DECODED)(Picture.rgb)

    def sample(self, random: np.random.Generator) -> Sample:
        """The next sample."""
        columns, rows = _TILES[int(random.integers(len(_TILES)))]
        if columns * rows == 1:
            sample = self._layered(random)
        else:
            sample = self._beside(random, _cuts(random, self._size[0], columns), _cuts(random, self._size[1], rows))
        scene = sample.rgb
        if "plate" in self._kinds and random.random() < _SIGNS:
            _sign(random, scene, [*sample.boxes.values(), *sample.ignored.values()])
        return Sample(seen(random, scene), sample.boxes, sample.ignored)

    def _layered(self, random: np.random.Generator) -> Sample:
        """One picture that fills the sample, and up to two that lie over it where they are smaller."""
        sample = self._filled(random, self._size)
        for _ in range(int(random.integers(1, _MOST_LAYERS + 1))):
            sample = self._laid_over(random, sample)
        return sample

    def _beside(self, random: np.random.Generator, across: Sequence[int], down: Sequence[int]) -> Sample:
        """Small pictures in the cells of a grid, whose lines are given in pixels."""
        whole = Sample(np.empty((self._size[1], self._size[0], 3), np.uint8), {}, {})
        for top, bottom in pairwise(down):
            for left, right in pairwise(across):
                tile = self._tile(random, (right - left, bottom - top))
                whole.rgb[top:bottom, left:right] = tile.rgb
                whole = Sample(whole.rgb, *(_joined(old, new, left, top) for old, new in _both(whole, tile)))
        return whole

    def _tile(self, random: np.random.Generator, size: tuple[int, int]) -> Sample:
        if random.random() < _BARE:
            return self._laid_over(random, Sample(np.full((size[1], size[0], 3), _GREY, np.uint8), {}, {}))
        ground = self._filled(random, size)
        return self._laid_over(random, ground) if random.random() < _COVERED else ground

    def _filled(self, random: np.random.Generator, size: tuple[int, int]) -> Sample:
        """Any picture, large enough to cover `size`."""
        picture, replate = self._picture(random)
        rgb = self._decoded(picture)
        height, width, _ = rgb.shape
        scale = max(size[0] / width, size[1] / height) * math.exp(random.uniform(0, 0.7))
        matrix = np.diag([scale, scale, 1.0])
        matrix[:2, 2] = [
            random.uniform(side - scale * full, 0) for side, full in zip(size, (width, height), strict=True)
        ]
        empty = np.zeros((size[1], size[0], 3), np.uint8)
        return self._with(random, Sample(empty, {}, {}), picture, rgb, Move(matrix, *size), replate=replate)

    def _laid_over(self, random: np.random.Generator, below: Sample) -> Sample:
        """The sample with one more picture in it, whose object has a random size."""
        picture, replate = self._picture(random)
        rgb = self._decoded(picture)
        height, width, _ = below.rgb.shape
        move = self._move(random, picture, rgb, (width, height), replate=replate)
        return self._with(random, below, picture, rgb, move, replate=replate)

    def _picture(self, random: np.random.Generator) -> tuple[Picture, bool]:
        source = self._sources[int(random.choice(len(self._sources), p=self._weights))]
        return source.pictures[int(random.integers(len(source.pictures)))], bool(random.random() < source.replated)

    def _with(
        self, random: np.random.Generator, below: Sample, picture: Picture, rgb: Rgb, move: Move, *, replate: bool
    ) -> Sample:
        """`below` under the moved picture: what is covered is no longer to be found."""
        cover = np.zeros(below.rgb.shape[:2], np.uint8)
        height, width, _ = rgb.shape
        outline = move.points(np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32))
        cv2.fillConvexPoly(cover, np.round(outline).astype(np.int32), 1)
        scene = move.picture(rgb, below.rgb)
        boxes, ignored = self._labels(picture, rgb, move)
        if replate and "plate" in self._kinds and "plate" in picture.boxes:
            boxes["plate"], ignored["plate"] = self._replate(random, scene, picture.boxes["plate"], move)
        for kind in self._kinds:
            old, unsure = _uncovered(below.boxes.get(kind, NO_BOXES), cover)
            areas, partly = _uncovered(below.ignored.get(kind, NO_BOXES), cover)
            boxes[kind] = np.concatenate([boxes[kind], old])
            ignored[kind] = np.concatenate([ignored[kind], unsure, areas, partly])
        return Sample(scene, boxes, ignored)

    def _move(
        self, random: np.random.Generator, picture: Picture, rgb: Rgb, size: tuple[int, int], *, replate: bool
    ) -> Move:
        """About an object of the picture at a random size, or anywhere if it has none."""
        height, width, _ = rgb.shape
        known = [(kind, box) for kind in self._kinds for box in picture.boxes.get(kind, NO_BOXES)]
        if known and random.random() < 0.95:
            kind, (x1, y1, x2, y2) = known[int(random.integers(len(known)))]
            low, high = _HEIGHTS[kind][0], min(_HEIGHTS[kind][1], 0.9 * size[1])
            wanted = math.exp(random.uniform(math.log(low), math.log(high)))
            scale = wanted / max(float(y2 - y1), 1)
            centre = float(x1 + x2) / 2, float(y1 + y2) / 2
        else:
            scale = math.exp(random.uniform(-1.5, 0.5)) * max(size[0] / width, size[1] / height)
            centre = float(random.uniform(0, width)), float(random.uniform(0, height))
        # Enlarging what is coarse shows blocks and blur that no camera makes.
        scale = min(scale, 5.0)
        degrees, tilt = (6.0, 0.12) if replate else (2.5, 0.05)
        return Move.about(random, centre, scale, size, degrees, tilt)

    def _labels(self, picture: Picture, rgb: Rgb, move: Move) -> tuple[dict[str, Array], dict[str, Array]]:
        """Boxes and areas to leave out, in the sample."""
        height, width, _ = rgb.shape
        everywhere = np.array([[0, 0, width, height]], np.float32)
        boxes, ignored = {}, {}
        for kind in self._kinds:
            if kind in picture.boxes:
                moved = move.boxes(picture.boxes[kind], round_things=kind != "plate")
                boxes[kind], unsure = _sorted_out(kind, moved, move)
                areas = move.boxes(picture.ignored.get(kind, NO_BOXES), round_things=kind != "plate")
                ignored[kind] = np.concatenate([unsure, areas])
            else:
                boxes[kind], ignored[kind] = NO_BOXES, move.boxes(everywhere, round_things=False)
        return boxes, ignored

    def _replate(self, random: np.random.Generator, scene: Rgb, plates: Array, move: Move) -> tuple[Array, Array]:
        """Draws plates over those of the picture; returns the labels."""
        quads = [self._quad(random, box, move) for box in plates]
        for quad, patch in quads:
            paste(scene, patch, quad)
        if not quads:
            return NO_BOXES, NO_BOXES
        moved = np.array([[*quad.min(axis=0), *quad.max(axis=0)] for quad, _ in quads], np.float32)
        return _sorted_out("plate", moved, move)

    def _quad(self, random: np.random.Generator, box: Array, move: Move) -> tuple[Array, Rgb]:
        """A drawn plate lit like the place it takes, and its corners in the sample.

        It covers the old one at least, and is as wide as plates of its kind are.
        """
        patch = self._draughtsman.plate(random, str(random.choice(list(STYLES), p=_STYLE_SHARES)))
        x1, y1, x2, y2 = (float(value) for value in box)
        aspect = patch.shape[1] / patch.shape[0]
        width, height = x2 - x1, y2 - y1
        half_height = max(height, width / aspect) / 2 * 1.02
        half = np.array([half_height * aspect, half_height])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        turn = math.radians(random.normal(0, 4))
        shear = random.normal(0, 0.06)
        linear = np.array([[1, shear], [math.tan(turn), 1]])
        placed = corners @ linear.T + np.array([(x1 + x2) / 2, (y1 + y2) / 2])
        quad = move.points(placed.astype(np.float32))
        order = np.array([0, 1, 2, 3])
        if quad[1, 0] < quad[0, 0]:
            order = np.array([1, 0, 3, 2])  # a mirrored car has a plate that can be read
        light = np.clip(patch * random.uniform(0.55, 1.1), 0, 255).astype(np.uint8)
        return quad[order], light


def _sorted_out(kind: str, moved: Array, move: Move) -> tuple[Array, Array]:
    """Boxes to find, and those too small or cut too much to count."""
    cut, share = inside(moved, move.width, move.height)
    size = moved[:, 3] - moved[:, 1]
    wanted = (share >= _VISIBLE) & (size >= _LEAST[kind])
    unsure = ~wanted & (share > _GONE)
    return cut[wanted], cut[unsure]


def _cuts(random: np.random.Generator, side: int, parts: int) -> list[int]:
    """Where a side is cut into one or two parts, both ends included."""
    return [0, side] if parts == 1 else [0, round(side * random.uniform(0.35, 0.65)), side]


def _both(one: Sample, other: Sample) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    yield one.boxes, other.boxes
    yield one.ignored, other.ignored


def _joined(old: Mapping[str, Array], new: Mapping[str, Array], left: int, top: int) -> dict[str, Array]:
    """The boxes of `old` and those of `new`, moved to where its picture lies."""
    there = np.array([left, top, left, top], np.float32)
    return {kind: np.concatenate([old.get(kind, NO_BOXES), found + there]) for kind, found in new.items()}


def _uncovered(boxes: Array, cover: NDArray[np.uint8]) -> tuple[Array, Array]:
    """The boxes of which hardly anything is covered, and those half covered; the rest is gone."""
    if len(boxes) == 0:
        return NO_BOXES, NO_BOXES
    whole = [
        (int(x1), int(y1), max(math.ceil(x2), int(x1) + 1), max(math.ceil(y2), int(y1) + 1)) for x1, y1, x2, y2 in boxes
    ]
    hidden = np.array([cover[y1:y2, x1:x2].mean() if cover[y1:y2, x1:x2].size else 1.0 for x1, y1, x2, y2 in whole])
    return boxes[hidden < 0.15], boxes[(hidden >= 0.15) & (hidden < 0.95)]


def _sign(random: np.random.Generator, scene: Rgb, taken: Sequence[Array]) -> None:
    """Draws a sign with writing where no object is: not all that is written on is a plate."""
    height, width, _ = scene.shape
    w, h = int(random.integers(20, 160)), int(random.integers(12, 90))
    x, y = int(random.integers(0, width - w)), int(random.integers(0, height - h))
    for found in taken:
        if ((found[:, 0] < x + w) & (found[:, 2] > x) & (found[:, 1] < y + h) & (found[:, 3] > y)).any():
            return
    sign = np.empty((h, w, 3), np.uint8)
    sign[:] = random.integers(0, 256, 3)
    ink = tuple(int(value) for value in random.integers(0, 256, 3))
    lines = int(random.integers(3, 7))
    for line in range(lines):
        text = "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz "), int(random.integers(6, 20))))
        at = (3, round((line + 0.8) * h / lines))
        cv2.putText(sign, text, at, cv2.FONT_HERSHEY_SIMPLEX, h / lines / 36, ink, 1, cv2.LINE_AA)
    scene[y : y + h, x : x + w] = sign


def padded(boxes: Sequence[Array]) -> NDArray[np.float32]:
    """Boxes of several samples as one array (n, most, 4), filled up with zeros."""
    most = max((len(found) for found in boxes), default=0)
    filled = np.zeros((len(boxes), most, 4), np.float32)
    for i, found in enumerate(boxes):
        filled[i, : len(found)] = found
    return filled
