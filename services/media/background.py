"""What moves in front of a camera, found without any model: what differs from how the view looks otherwise."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.media.alignment import Aligner, Luma, likeness, shifted
from services.media.background_layer import Difference, Layer
from services.media.blobs import Mask, above, boxes_of, cleaned, without_left
from services.schema.veil.v1.veil_pb2 import DetectorResult

SIDE = 320
"""Points of the longer side at which pictures are compared: scaling averages noise, rain and snow away."""

LEARN_S = 1.0
"""How long the picture must have been the same, apart from what moves in it, to be learnt."""

LEARN_LOOKS = 4
"""Looks in which it must have been: of three, a walker of even speed may hide a point in two."""

LEARN_OTHER_S = 10.0
"""The same where a known view has gone without a cut: whoever stands close to the camera fills the picture too, and
does not stand that still that long."""

ABSORB_S = 600.0
"""How long something that came must stand still to become background. People wait for a bus or a friend for minutes,
and then must still be masked; cars park for hours, and need not be."""

_SAMPLES_MAX = 8

_STEADY = 0.35
"""Share of points that may differ between two looks of a picture that is to be learnt."""

_STEADY_LEVEL = 15

_GLOBAL = 0.3
"""Share of changed points from which on the light may have changed, and not things in it."""

_GONE = 0.75
"""Share of changed points at which there is nothing left of the view; a fifth looks alike by chance."""

_SAME_VIEW = 0.4
"""Likeness of edges in another light; people in front of them leave none."""

_MAYBE_SAME_VIEW = 0.15
"""Likeness from which on this may still be the view, and what was masked stays so: of what has changed, in another
light; of the whole picture only, behind something that hides most of it."""

_AROUND = np.ones((5, 5), np.uint8)
"""Points around what was masked that are held with it."""

_JUMP_MAX = 0.02
"""Share of the longer side by which a view may be shifted from one look to the next, and twice that in all."""

_BOXES_MAX = 200

_GROW = 2
"""Points added on each side: edges may look like their neighbours, and what moves has soft ones."""

_ELAPSED_MAX_S = 2.0

_LEARNING = "The background is being learnt."
_OTHER_LIGHT = "The light of the whole picture has changed."
_OTHER_VIEW = "The view has changed."
_SHAKEN = "The camera is shaken too much."
_NOISY = "There is too much noise in the picture to tell what moves."
_TOO_MANY = f"More than {_BOXES_MAX} things move."


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look found.

    Attributes:
        status: only RAN says that what has no box does not move.
        reason: one sentence where it is not RAN.
        boxes: (n, 4) float32, x1, y1, x2, y2 in pixels of the picture that was given.
    """

    status: DetectorResult.Status
    reason: str
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Match:
    """How a picture fits a background that is known.

    Attributes:
        layer: the background.
        shift: points by which the picture lies to the right of and below it.
        luma: the picture moved onto it.
        difference: what differs there.
        fault: why it does not fit, empty where it does.
        carried: what may hide something should this view be learnt anew, not 0 there; None where it is another view.
    """

    layer: Layer
    shift: tuple[int, int]
    luma: Luma
    difference: Difference
    fault: str
    carried: Mask | None


class Background:
    """The background of one camera, learnt as it looks, and what moves in front of it.

    A look at a picture that does not fit the background fails, until that has been learnt anew: `LEARN_S` and
    `LEARN_LOOKS` looks after a scene begins or the light has changed. What was masked when the light changed stays so.
    The background before is kept as well: a light that goes on and off costs that time once. Memory is bounded by two
    backgrounds and 8 small pictures.

    Args:
        absorb_s: how long something that came must stand still to become background.
    """

    def __init__(self, absorb_s: float = ABSORB_S) -> None:
        self._absorb_s = absorb_s
        self._aligner = Aligner()
        self._layers: list[Layer] = []
        self._looked_s: float | None = None
        self._fault = ""
        self._learn_s = LEARN_S
        self._samples: list[tuple[float, Luma]] = []
        self._carried: Mask | None = None

    def look(self, luma: Luma, time_s: float, *, cut: bool = False) -> Sight:
        """Takes the next picture.

        Args:
            luma: (height, width).
            time_s: when it is shown.
            cut: it is the first of another scene, or of the same in another light.
        """
        small = shrunk(luma)
        if self._layers and self._layers[0].held.shape != small.shape:
            self._layers.clear()
            self._samples.clear()
        elapsed_s = 0.0 if self._looked_s is None else min(max(time_s - self._looked_s, 0.0), _ELAPSED_MAX_S)
        self._looked_s = time_s
        found = self._find(small, time_s, cut=cut)
        if found is None:
            status = DetectorResult.FAILED if self._layers else DetectorResult.SKIPPED
            return Sight(status, self._fault, np.zeros((0, 4), np.float32))
        self._samples.clear()
        self._layers = [found.layer, *(layer for layer in self._layers if layer is not found.layer)][:2]
        found.layer.learn(found.luma, found.difference, _shown(small, found.shift), elapsed_s)
        boxes = _boxes(found)
        if len(boxes) > _BOXES_MAX:
            return Sight(DetectorResult.FAILED, _TOO_MANY, np.zeros((0, 4), np.float32))
        return Sight(DetectorResult.RAN, "", _enlarged(boxes, luma, small))

    def _find(self, small: Luma, time_s: float, *, cut: bool) -> _Match | None:
        """The background that the picture fits, one just learnt at last; None where it fits none."""
        newest = None
        for layer in self._layers:
            match = self._match(layer, small, cut=cut)
            if not match.fault:
                return match
            newest = newest or match
        return self._learn(newest, small, time_s, cut=cut)

    def _match(self, layer: Layer, small: Luma, *, cut: bool) -> _Match:
        base = layer.luma
        shift = self._aligner.shift(base, small)
        luma = shifted(small, *shift)
        difference = layer.compare(luma)
        jump = max(abs(now - before) for now, before in zip(shift, layer.shift, strict=True))
        layer.shift = shift
        fault = ""
        carried: Mask | None = layer.moved
        if max(map(abs, shift)) > 2 * _jump_max(small) or jump > _jump_max(small):
            fault = _SHAKEN
        elif difference.share > _GLOBAL:
            alike, whole = likeness(base, luma, difference.changed), likeness(base, luma, None)
            if alike >= _SAME_VIEW:
                fault = _OTHER_LIGHT
            elif cut or difference.share > _GONE or whole < _SAME_VIEW / 2:
                fault = _OTHER_VIEW
                if alike < _MAYBE_SAME_VIEW:
                    carried = cv2.bitwise_or(layer.moved, difference.moved) if whole >= _MAYBE_SAME_VIEW else None
        if not fault and layer.is_noisy:
            fault = _NOISY
        return _Match(layer, shift, luma, difference, fault, carried)

    def _learn(self, match: _Match | None, small: Luma, time_s: float, *, cut: bool) -> _Match | None:
        """Adds a sample of a view that is not known, and gives its match once it is.

        Args:
            match: with the background known so far, None where there is none.
            small: the picture.
            time_s: when it is shown.
            cut: it begins another scene.
        """
        self._fault = match.fault if match else _LEARNING
        if cut or not self._samples:
            self._carried = None
            self._learn_s = LEARN_OTHER_S if self._fault == _OTHER_VIEW and not cut else LEARN_S
            self._samples.clear()
        if match is not None and match.carried is not None:
            self._carry(match.carried, match.shift)
        self._sample(small, time_s)
        if len(self._samples) < LEARN_LOOKS or time_s - self._samples[0][0] < self._learn_s:
            return None
        layer = self._learnt()
        if layer.is_noisy:
            self._fault = _NOISY
            return None
        match = self._match(layer, small, cut=False)
        return None if match.fault else match

    def _carry(self, hidden: Mask, shift: tuple[int, int]) -> None:
        """Holds what may hide something in the view that is being learnt."""
        dx, dy = shift
        hidden = shifted(cv2.dilate(hidden, _AROUND), -dx, -dy)
        self._carried = hidden if self._carried is None else cv2.bitwise_or(self._carried, hidden)

    def _sample(self, small: Luma, time_s: float) -> None:
        """Adds a sample; where it differs from the one before all over, it is the first."""
        if self._samples:
            before = self._samples[-1][1]
            shift = self._aligner.shift(before, small)
            off = above(cv2.absdiff(shifted(small, *shift), before), _STEADY_LEVEL)
            if max(map(abs, shift)) > _jump_max(small) or cv2.countNonZero(off) > _STEADY * off.size:
                self._samples.clear()
        self._samples.append((time_s, small))
        if len(self._samples) > _SAMPLES_MAX:
            del self._samples[1:-1:2]

    def _learnt(self) -> Layer:
        """The background from the samples. What came while it was learnt is held: it hides what is behind it."""
        last = self._samples[-1][1]
        pictures = [shifted(luma, *self._aligner.shift(last, luma)) for _, luma in self._samples[:-1]] + [last]
        background = np.median(np.stack(pictures), axis=0).astype(np.uint8)
        first = pictures[0]
        noise = cv2.mean(cv2.min(cv2.absdiff(last, background), np.full(last.shape, _STEADY_LEVEL, np.uint8)))[0]
        passing = above(cv2.absdiff(last, background), _STEADY_LEVEL)
        off = cv2.subtract(cv2.absdiff(first, last), passing)
        came = cleaned(above(off, _STEADY_LEVEL), above(off, 2 * _STEADY_LEVEL))
        held = without_left(came, first, last)
        if self._carried is not None:
            held = cv2.bitwise_or(held, self._carried)
        return Layer(background, held, noise, self._absorb_s)


def shrunk(luma: Luma) -> Luma:
    """The picture at about `SIDE` points, noise smoothed: blocks of whole pixels, which is five times as fast.

    At the right and at the lower edge up to a block less one pixel is left out.
    """
    height, width = luma.shape
    block = _block(luma)
    rows, columns = height // block, width // block
    small = luma
    if block > 1:
        small = cv2.resize(luma[: rows * block, : columns * block], (columns, rows), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (3, 3), 0)


def _enlarged(boxes: NDArray[np.float32], luma: Luma, small: Luma) -> NDArray[np.float32]:
    """Boxes in pixels of the picture; those that reach the edge of the small one reach its own."""
    (height, width), (rows, columns) = luma.shape, small.shape
    boxes = boxes.copy()
    far_x, far_y = boxes[:, 2] >= columns, boxes[:, 3] >= rows
    boxes *= _block(luma)
    boxes[far_x, 2], boxes[far_y, 3] = width, height
    return boxes


def _block(luma: Luma) -> int:
    height, width = luma.shape
    block: int = min(round(max(height, width) / SIDE), height, width)
    return max(1, block)


def _jump_max(small: Luma) -> float:
    return float(_JUMP_MAX * max(small.shape))


def _shown(small: Luma, shift: tuple[int, int]) -> Mask:
    """Where the background lies within the picture: 255, elsewhere 0."""
    height, width = small.shape
    dx, dy = shift
    shown = np.zeros((height, width), np.uint8)
    shown[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)] = 255
    return shown


def _boxes(match: _Match) -> NDArray[np.float32]:
    """Boxes of what moves, and of what the background does not show, in points of the picture."""
    height, width = match.luma.shape
    dx, dy = match.shift
    boxes = boxes_of(match.difference.moved) + np.array([dx - _GROW, dy - _GROW, dx + _GROW, dy + _GROW], np.float32)
    strips = []
    if abs(dx) > 1:
        strips.append((0, 0, dx, height) if dx > 0 else (width + dx, 0, width, height))
    if abs(dy) > 1:
        strips.append((0, 0, width, dy) if dy > 0 else (0, height + dy, width, height))
    boxes = np.concatenate([boxes, np.array(strips, np.float32).reshape(-1, 4)])
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
