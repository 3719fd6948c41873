"""Draws one stream's frames: masks on a copy, closed pictures in place of what may not be seen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.media.badge import draw_badge
from services.media.masks import DRAWN, Shades, Zone, close_picture, mask, outer_bounds
from services.media.picture import Picture
from services.renderer.rules import Rules
from services.renderer.spans import Boxes, Span
from services.schema import pb


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What the rules mask of one span: the arrays of its chosen segments."""

    span: Span
    rules: Rules
    start: Boxes
    step: Boxes
    padding: NDArray[np.float64]
    kinds: tuple[pb.Kind, ...]
    tracks: tuple[int, ...]
    modes: tuple[str, ...]
    drawn: bool

    @classmethod
    def of(cls, span: Span, rules: Rules) -> "_Plan":
        chosen = [index for index, kind in enumerate(span.kinds) if kind in rules.kinds]
        kinds = tuple(span.kinds[index] for index in chosen)
        modes = tuple(span.modes[index] or rules.kinds[span.kinds[index]].mode for index in chosen)
        start = span.start[chosen]
        return cls(
            span=span,
            rules=rules,
            start=start,
            step=span.end[chosen] - start,
            padding=np.array([rules.kinds[kind].padding for kind in kinds]),
            kinds=kinds,
            tracks=tuple(span.tracks[index] for index in chosen),
            modes=modes,
            drawn=not DRAWN.isdisjoint(modes),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """A picture that may leave, and how many masks of each kind it has."""

    picture: Picture
    masks: Mapping[pb.Kind, int]


class Painter:
    """Keeps what is held over time in one epoch: shades of tracks, raster of zones, the picture of a closed run."""

    def __init__(self) -> None:
        self._shades = Shades()
        self._plan: _Plan | None = None
        self._zones: tuple[Zone, ...] = ()
        self._zones_for: tuple[Rules, int, int] | None = None
        self._closed: Picture | None = None
        self._blank = False  # the closed run began without any picture

    def masked(self, picture: Picture, span: Span, seq: int, rules: Rules) -> Masked:
        """The picture with everything masked that the span and the policy's zones say.

        The picture itself is never written to; it comes back as it is where there is nothing to draw.
        """
        self._closed, self._blank = None, False
        plan = self._plan_for(span, rules)
        zones = self._zones_of(rules, picture)
        drawn: Counter[pb.Kind] = Counter()
        if not (zones or rules.badge or plan.kinds):
            return Masked(picture, drawn)
        picture = picture.copy()
        boxes = plan.start + plan.step * span.progress(seq)
        bounds = outer_bounds(boxes, plan.padding, picture.width, picture.height)
        if plan.drawn:  # figures stand before what is around them: that must not be what a zone hides
            _draw(zones, picture)
        visible = mask(picture, bounds, plan.tracks, plan.modes, rules.strength, self._shades, boxes)
        drawn.update(plan.kinds[index] for index in visible)
        _draw(zones, picture)
        if rules.badge:
            draw_badge(picture)
        return Masked(picture, drawn)

    def closed(self, own: Picture | None, stream: pb.StreamInfo, *, badge: bool) -> Picture:
        """What stands for a closed picture: the same one for as long as a run of closed frames lasts.

        Args:
            own: the frame's own picture, where it is known and of the stream's size.
            stream: says the size.
            badge: mark it as redacted.
        """
        held = self._closed
        if held is not None and (held.width, held.height) == (stream.width, stream.height):
            return held
        if own is None or self._blank:
            self._blank = True
            return _blank(stream.width, stream.height, stream.full_range, badge)
        self._closed = own.copy()
        _close(self._closed, badge)
        return self._closed

    def _plan_for(self, span: Span, rules: Rules) -> _Plan:
        plan = self._plan
        if plan is None or plan.span is not span or plan.rules is not rules:
            plan = self._plan = _Plan.of(span, rules)
        return plan

    def _zones_of(self, rules: Rules, picture: Picture) -> tuple[Zone, ...]:
        if not rules.zones:
            return ()
        wanted = (rules, picture.width, picture.height)
        if self._zones_for != wanted:
            self._zones = tuple(Zone(polygon, picture.width, picture.height) for polygon in rules.zones)
            self._zones_for = wanted
        return self._zones


def _draw(zones: Sequence[Zone], picture: Picture) -> None:
    for zone in zones:
        zone.draw(picture)


def _close(picture: Picture, badge: bool) -> None:
    close_picture(picture)
    if badge:
        draw_badge(picture)


@lru_cache(maxsize=8)
def _blank(width: int, height: int, full_range: bool, badge: bool) -> Picture:
    """A closed picture of a frame that nobody has decoded, shared by all cameras of its size."""
    picture = Picture(np.full((height * 3 // 2, width), 128, np.uint8), full_range)
    _close(picture, badge)
    picture.data.flags.writeable = False
    return picture
