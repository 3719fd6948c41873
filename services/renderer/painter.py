"""Draws one stream's frames: masks on a copy, closed pictures in place of what may not be seen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.media.badge import draw_badge
from services.media.masks import Shades, Zone, close_picture, mask, outer_bounds
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

    @classmethod
    def of(cls, span: Span, rules: Rules) -> "_Plan":
        chosen = [index for index, kind in enumerate(span.kinds) if kind in rules.kinds]
        kinds = tuple(span.kinds[index] for index in chosen)
        start = span.start[chosen]
        return cls(
            span=span,
            rules=rules,
            start=start,
            step=span.end[chosen] - start,
            padding=np.array([rules.kinds[kind].padding for kind in kinds]),
            kinds=kinds,
            tracks=tuple(span.tracks[index] for index in chosen),
            modes=tuple(rules.kinds[kind].mode for kind in kinds),
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
        self._plans: list[_Plan] = []
        self._zones: tuple[Zone, ...] = ()
        self._zones_for: tuple[Rules, int, int] | None = None
        self._closed: Picture | None = None

    def masked(self, picture: Picture, spans: Sequence[Span], seq: int, rules: Rules) -> Masked:
        """The picture with everything masked that the spans and the policy's zones say.

        The picture itself is never written to; it comes back as it is where there is nothing to draw.
        """
        self._closed = None
        plans = self._plans_for(spans, rules)
        zones = self._zones_of(rules, picture)
        drawn: Counter[pb.Kind] = Counter()
        if not (zones or rules.badge or any(plan.kinds for plan in plans)):
            return Masked(picture, drawn)
        picture = picture.copy()
        for plan in plans:
            boxes = plan.start + plan.step * plan.span.progress(seq)
            bounds = outer_bounds(boxes, plan.padding, picture.width, picture.height)
            visible = mask(picture, bounds, plan.tracks, plan.modes, rules.strength, self._shades)
            drawn.update(plan.kinds[index] for index in visible)
        for zone in zones:
            zone.draw(picture)
        if rules.badge:
            draw_badge(picture)
        return Masked(picture, drawn)

    def closed(self, picture: Picture, *, badge: bool) -> Picture:
        """What stands for a closed picture: the same one for as long as a run of closed frames lasts."""
        closed = self._closed
        if closed is None or closed.data.shape != picture.data.shape:
            closed = picture.copy()
            close_picture(closed)
            if badge:
                draw_badge(closed)
            self._closed = closed
        return closed

    def _plans_for(self, spans: Sequence[Span], rules: Rules) -> list[_Plan]:
        known = self._plans
        if len(known) != len(spans) or any(
            plan.span is not span or plan.rules is not rules for plan, span in zip(known, spans, strict=True)
        ):
            self._plans = [_Plan.of(span, rules) for span in spans]
        return self._plans

    def _zones_of(self, rules: Rules, picture: Picture) -> tuple[Zone, ...]:
        if not rules.zones:
            return ()
        wanted = (rules, picture.width, picture.height)
        if self._zones_for != wanted:
            self._zones = tuple(Zone(polygon, picture.width, picture.height) for polygon in rules.zones)
            self._zones_for = wanted
        return self._zones
