"""Zones and lines of a policy in one picture's pixels."""

from collections.abc import Iterator, Sequence

from services.policy.model import Line, Policy, Zone

XY = tuple[float, float]


class Places:
    """What is counted in a picture of a given size. Zones that are only there to be masked are left out."""

    def __init__(self, policy: Policy | None, width: int, height: int) -> None:
        zones: Sequence[Zone] = policy.zones if policy is not None else ()
        lines: Sequence[Line] = policy.lines if policy is not None else ()
        self._zones = [
            (zone.name, [(x * width, y * height) for x, y in zone.polygon]) for zone in zones if zone.use == "count"
        ]
        self._lines = [
            (line.name, (line.start[0] * width, line.start[1] * height), (line.end[0] * width, line.end[1] * height))
            for line in lines
        ]

    def __bool__(self) -> bool:
        """False if nothing is counted."""
        return bool(self._zones or self._lines)

    def zones_at(self, point: XY) -> Iterator[str]:
        """Names of the zones that hold a point."""
        for name, polygon in self._zones:
            if _inside(point, polygon):
                yield name

    def crossed(self, a: XY, b: XY) -> Iterator[tuple[str, bool]]:
        """Names of the lines that the step from `a` to `b` crosses, and True where from their left to their right.

        A step that ends on a line has not crossed it yet; the one that leads away from it does.
        """
        for name, start, end in self._lines:
            before, after = _right_of(start, end, a), _right_of(start, end, b)
            if before == after:
                continue
            if _right_of(a, b, start) != _right_of(a, b, end):
                yield name, after


def _right_of(start: XY, end: XY, point: XY) -> bool:
    """True where a point lies to the right of a line, seen along it; y points down."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0]) > 0


def _inside(point: XY, polygon: Sequence[XY]) -> bool:
    """Even-odd rule: counts the sides that a ray to the right crosses."""
    x, y = point
    inside = False
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside
