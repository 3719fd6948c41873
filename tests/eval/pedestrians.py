"""A small pedestrian detector that trains in a minute: aggregated channel features and boosted trees.

Seven channels at a quarter of the size (the gradient's normalised magnitude, and its share in six orientations), a
window of 20 x 10 cells around a body of 16 cells, trees of depth two chosen by real AdaBoost with short steps, and hard
negatives from the training pictures themselves. After Dollár et al., Fast Feature Pyramids for Object Detection, 2014,
without the colours: with them, a detector of a street learns what its passers-by wore, and finds other people less
surely.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.picture import Picture

Boxes = NDArray[np.float64]
"""(n, 4) x1, y1, x2, y2 in pixels."""
Box = tuple[float, float, float, float]
Plane = NDArray[np.uint8]
Channels = NDArray[np.uint8]
"""(7, rows, columns) of one scale."""
Place = tuple[int, int, int]
"""Level of the pyramid, row and column of a window's first cell."""
Found = list[tuple[float, Box, Place]]
"""Score, box and window of each answer."""

_CELL = 4
_ROWS, _COLUMNS = 20, 10
_BODY = 16  # cells that a body is high
_MARGIN = 16  # pixels around a window, so that its edge has gradients
_BINS = 32
SCALES = tuple(1.15 * 0.87**step for step in range(8))
"""Of the pictures that are searched: bodies of 55 to 150 pixels."""
_ORIENTATION = np.array([value % 6 for value in range(256)], np.uint8)
_TRIED = 100  # features that one tree chooses from
_ROUNDS = (32, 80)  # trees after each round of negatives
_SHARE = 0.2  # of a leaf's log odds; real AdaBoost takes half, and its late trees learn what only masks have
_FIRST = 32  # trees that look at every window
_HOPELESS = -2.0  # score after the first trees from which a window is given up
_SEARCHED = 3  # of so many pictures, one is searched for negatives: a street is the same from one to the next
_NEGATIVES = 3000
_HARD = 2500  # added per round, at most
_PER_PICTURE = 120
_OVERLAP = 0.3  # a window that overlaps a body by less is a negative
_SUPPRESS = 0.4


@dataclass(frozen=True)
class Example:
    """One picture with the bodies in it."""

    picture: Picture
    boxes: Boxes


@dataclass(frozen=True)
class _Tree:
    """Features and thresholds of root, left and right; scores of the four leaves."""

    features: tuple[int, int, int]
    thresholds: tuple[int, int, int]
    leaves: tuple[float, float, float, float]

    def scores(self, columns: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        root, left, right = (column > bar for column, bar in zip(columns, self.thresholds, strict=True))
        ll, lr, rl, rr = (np.float32(leaf) for leaf in self.leaves)
        return np.where(root, np.where(right, rr, rl), np.where(left, lr, ll))


def channels(luma: Plane) -> Channels:
    """(7, rows, columns) of a plane whose sides are multiples of the cell."""
    size = luma.shape[1] // _CELL, luma.shape[0] // _CELL
    smooth = cv2.GaussianBlur(luma, (3, 3), 0)
    dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=1) for order in ((1, 0), (0, 1)))
    magnitude, angle = cv2.cartToPolar(dx, dy)
    strength = cv2.divide(magnitude, cv2.blur(magnitude, (31, 31)) + 4.0, scale=60, dtype=cv2.CV_8U)
    turn = cv2.LUT(cv2.convertScaleAbs(angle, alpha=6 / np.pi), _ORIENTATION)
    parts = [strength]
    parts += [cv2.bitwise_and(strength, cv2.compare(turn, orientation, cv2.CMP_EQ)) for orientation in range(6)]
    return np.stack([cv2.blur(cv2.resize(part, size, interpolation=cv2.INTER_AREA), (3, 3)) for part in parts])


def pyramid(picture: Picture) -> list[Channels]:
    """The channels of a picture at each scale that is searched."""
    found = []
    for scale in SCALES:
        size = tuple(max(1, round(side * scale / _CELL)) * _CELL for side in (picture.width, picture.height))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        found.append(channels(cv2.resize(picture.y, size, interpolation=how)))
    return found


@dataclass
class Detector:
    """Boosted trees over channels; `aspect` is width over height of the boxes it answers with."""

    aspect: float
    trees: list[_Tree] = field(default_factory=list)

    def detect(self, levels: Sequence[Channels], least: float, most: int = 200) -> Found:
        """What is found in a pyramid from a score of `least`, best first."""
        found: list[tuple[float, Box, Place]] = []
        for level, planes in enumerate(levels):
            score = self._score_map(planes)
            peak = (score >= least) & (score >= cv2.dilate(score, np.ones((3, 3), np.uint8)))
            for row, column in np.argwhere(peak).tolist():
                found.append((float(score[row, column]), self._box(level, row, column), (level, row, column)))
        found.sort(key=lambda one: -one[0])
        return _suppressed(found[:1000])[:most]

    def _box(self, level: int, row: float, column: float) -> Box:
        step = _CELL / SCALES[level]
        x, y, half = (column + _COLUMNS / 2) * step, (row + _ROWS / 2) * step, _BODY * step / 2
        return x - half * self.aspect, y - half, x + half * self.aspect, y + half

    def _score_map(self, planes: Channels) -> NDArray[np.float32]:
        """The score of every window; the first trees look at all of them, the others only where these see a chance."""
        rows, columns = planes.shape[1] - _ROWS + 1, planes.shape[2] - _COLUMNS + 1
        total = np.zeros((rows, columns), np.float32)
        for tree in self.trees[:_FIRST]:
            parts = []
            for feature in tree.features:
                channel, row, column = _place(feature)
                parts.append(planes[channel, row : row + rows, column : column + columns])
            total += tree.scores(parts)
        hopeless = total < _HOPELESS
        places = np.flatnonzero(~hopeless)
        starts = places // columns * planes.shape[2] + places % columns
        flat = planes.reshape(len(planes), -1)
        score = total.ravel()[places]
        for tree in self.trees[_FIRST:]:
            parts = []
            for feature in tree.features:
                channel, row, column = _place(feature)
                parts.append(flat[channel].take(starts + (row * planes.shape[2] + column)))
            score += tree.scores(parts)
        total[hopeless] = -np.inf
        total.ravel()[places] = score
        return total


def _place(feature: int) -> Place:
    """Channel, row and column of a feature of a window."""
    channel, rest = divmod(feature, _ROWS * _COLUMNS)
    return channel, *divmod(rest, _COLUMNS)


def train(examples: Sequence[Example], seed: int) -> Detector:
    """A detector of what the examples' boxes show."""
    random = np.random.default_rng(seed)
    sizes = np.concatenate([example.boxes[:, 2:] - example.boxes[:, :2] for example in examples])
    detector = Detector(float((sizes[:, 0] / sizes[:, 1]).mean()))
    positives = np.stack([window for example in examples for window in _bodies(example, random)])
    pairs = [(example, pyramid(example.picture)) for example in examples[::_SEARCHED]]
    each = -(-_NEGATIVES // len(pairs))
    negatives = [window for example, own in pairs for window in _elsewhere(detector, example, own, each, random)]
    for number, trees in enumerate(_ROUNDS):
        if number:
            hard = [window for example, own in pairs for window in _mistakes(detector, example, own)]
            negatives += [hard[index] for index in random.permutation(len(hard))[:_HARD]]
        detector.trees = _boosted(positives, np.stack(negatives), trees, random)
    return detector


def _bodies(example: Example, random: np.random.Generator) -> Iterator[Plane]:
    for box in example.boxes:
        x, y, height = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[3] - box[1]
        for mirrored in (False, True):
            jitter = random.normal(0, 0.02, 3)
            window = _window(example.picture, x + jitter[0] * height, y + jitter[1] * height, height * (1 + jitter[2]))
            yield _features(window, mirrored=mirrored)


def _elsewhere(
    detector: Detector, example: Example, levels: Sequence[Channels], count: int, random: np.random.Generator
) -> Iterator[Plane]:
    while count:
        level = int(random.integers(len(levels)))
        rows, columns = levels[level].shape[1] - _ROWS, levels[level].shape[2] - _COLUMNS
        place = level, int(random.integers(rows + 1)), int(random.integers(columns + 1))
        if _is_elsewhere(detector._box(*place), example):
            yield _cut(levels, place)
            count -= 1


def _mistakes(detector: Detector, example: Example, levels: Sequence[Channels]) -> Iterator[Plane]:
    for _, box, place in detector.detect(levels, least=-1.0, most=_PER_PICTURE):
        if _is_elsewhere(box, example):
            yield _cut(levels, place)


def _is_elsewhere(box: Box, example: Example) -> bool:
    return not len(example.boxes) or float(overlaps(np.array([box]), example.boxes).max()) < _OVERLAP


def _cut(levels: Sequence[Channels], place: Place) -> Plane:
    level, row, column = place
    return levels[level][:, row : row + _ROWS, column : column + _COLUMNS].reshape(-1)


def _window(picture: Picture, x: float, y: float, height: float) -> Plane:
    """The luma around a body of this height, at the window's size and a margin more, reduced as the pyramid is."""
    size = _COLUMNS * _CELL + 2 * _MARGIN, _ROWS * _CELL + 2 * _MARGIN
    step = height / (_BODY * _CELL)
    part = cv2.getRectSubPix(picture.y, (round(size[0] * step), round(size[1] * step)), (x - 0.5, y - 0.5))
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA if step > 1 else cv2.INTER_LINEAR)


def _features(window: Plane, *, mirrored: bool) -> Plane:
    window = np.ascontiguousarray(window[:, ::-1]) if mirrored else window
    margin = _MARGIN // _CELL
    return channels(window)[:, margin:-margin, margin:-margin].reshape(-1)


def _boosted(
    positives: NDArray[np.uint8], negatives: NDArray[np.uint8], count: int, random: np.random.Generator
) -> list[_Tree]:
    columns = np.ascontiguousarray(np.concatenate((positives, negatives)).T)
    true = np.arange(columns.shape[1]) < len(positives)
    sign = np.where(true, 1.0, -1.0)
    weights = np.where(true, 0.5 / len(positives), 0.5 / len(negatives))
    trees = []
    for _ in range(count):
        tried = random.choice(len(columns), _TRIED, replace=False)
        tree = _grown(columns, tried, true, weights)
        score = tree.scores([columns[feature] for feature in tree.features])
        weights *= np.exp(-sign * score)
        weights /= weights.sum()
        trees.append(tree)
    return trees


def _grown(
    columns: NDArray[np.uint8], tried: NDArray[np.int64], true: NDArray[np.bool_], weights: NDArray[np.float64]
) -> _Tree:
    # Samples that weigh next to nothing have no say in where to split.
    order = np.argsort(weights)[::-1]
    said = order[: np.searchsorted(np.cumsum(weights[order]), 0.97) + 1]
    values, true, weights = columns[np.ix_(tried, said)], true[said], weights[said]
    root = _split(values, true, weights)
    right = values[root[0]] > root[1]
    left_split, right_split = (_split(values[:, side], true[side], weights[side]) for side in (~right, right))
    leaves = []
    for side, split in ((~right, left_split), (right, right_split)):
        above = values[split[0]] > split[1]
        for part in (side & ~above, side & above):
            good, bad = weights[part & true].sum(), weights[part & ~true].sum()
            leaves.append(_SHARE * float(np.log((good + 1e-3) / (bad + 1e-3))))
    splits = (root, left_split, right_split)
    first, second, third = (int(tried[index]) for index, _ in splits)
    a, b, c, d = leaves
    return _Tree((first, second, third), (root[1], left_split[1], right_split[1]), (a, b, c, d))


def _split(values: NDArray[np.uint8], true: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[int, int]:
    """Feature and threshold with the lowest bound of the error, from histograms of the weights."""
    if not values.shape[1]:
        return 0, 0
    shift = 256 // _BINS
    cells = len(values) * _BINS
    places = (values // shift).astype(np.intp) + (np.arange(len(values)) * _BINS)[:, None] + true * cells
    counted = np.bincount(places.ravel(), np.broadcast_to(weights, values.shape).ravel(), 2 * cells)
    bad, good = counted.reshape(2, len(values), _BINS).cumsum(axis=2)
    bound = np.sqrt(good * bad) + np.sqrt((good[:, -1:] - good).clip(0) * (bad[:, -1:] - bad).clip(0))
    feature, edge = np.unravel_index(int(bound.argmin()), bound.shape)
    return int(feature), int(edge) * shift + shift - 1


def overlaps(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """(n, m) intersection over union."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod((high - low).clip(0), axis=2)
    first, second = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (boxes, others))
    return common / (first[:, None] + second[None] - common)


def _suppressed(found: Found) -> Found:
    boxes = np.array([box for _, box, _ in found]).reshape(-1, 4)
    common = overlaps(boxes, boxes)
    keep: list[int] = []
    for index in range(len(found)):
        if not keep or common[index, keep].max() < _SUPPRESS:
            keep.append(index)
    return [found[index] for index in keep]


def average_precision(
    found: Sequence[Found],
    truth: Sequence[Boxes],
    ignored: Sequence[Boxes],
    least: float = 0.5,
) -> float:
    """Area under precision over recall at an IoU of `least`, all pictures together.

    What overlaps an ignored box at least so much and no other counts neither way.
    """
    rows: list[tuple[float, bool]] = []
    for answers, true, ignore in zip(found, truth, ignored, strict=True):
        taken = np.zeros(len(true), np.bool_)
        for score, corners, _ in answers:
            box = np.array(corners)
            match = np.where(taken, 0, overlaps(box[None], true)[0]) if len(true) else np.zeros(0)
            if len(match) and match.max() >= least:
                taken[match.argmax()] = True
                rows.append((score, True))
            elif not len(ignore) or overlaps(box[None], ignore).max() < least:
                rows.append((score, False))
    rows.sort(key=lambda row: -row[0])
    hits = np.cumsum([hit for _, hit in rows])
    total = sum(len(true) for true in truth)
    precision = hits / np.arange(1, len(rows) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(hits, prepend=0) * envelope).sum() / total)
