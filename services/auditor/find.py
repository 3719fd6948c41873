"""A find: something in one picture that looks like a subject."""

from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


@dataclass(frozen=True, slots=True)
class Find:
    """Something in one picture that looks like a face or a plate; `score` is from 0 to 1."""

    kind: str
    score: float
    box: Box
