"""Invariant I1: the one place that decides whether a frame's own pixels may leave."""

from dataclasses import dataclass
from enum import StrEnum

from services.renderer.rules import Rules
from services.renderer.spans import Span


class Reason(StrEnum):
    """Why a frame is closed. The values are metric labels."""

    NO_POLICY = "no_policy"
    NO_SPAN = "no_span"
    DEADLINE = "deadline"
    REDACTIONS_ENDED = "redactions_ended"
    INVALID_SPAN = "invalid_span"
    INCOMPLETE = "incomplete"
    OTHER_POLICY = "other_policy"
    NO_PICTURE = "no_picture"
    SEALED = "sealed"
    CORRUPT = "corrupt"
    WRONG_SIZE = "wrong_size"
    OVERFLOW = "overflow"
    MASK_FAILED = "mask_failed"


SENTENCES = {
    Reason.NO_POLICY: "The camera has no readable policy.",
    Reason.NO_SPAN: "No span holds this frame.",
    Reason.DEADLINE: "No span came in time.",
    Reason.REDACTIONS_ENDED: "The redactions ended before this frame.",
    Reason.INVALID_SPAN: "The span of this frame can't be read.",
    Reason.INCOMPLETE: "Coverage is not complete.",
    Reason.OTHER_POLICY: "The span was made under another policy.",
    Reason.NO_PICTURE: "There is no picture of this frame.",
    Reason.SEALED: "The sealed payload can't be opened.",
    Reason.CORRUPT: "The access unit is corrupt.",
    Reason.WRONG_SIZE: "The picture's size is not the stream's.",
    Reason.OVERFLOW: "hold overflow",
    Reason.MASK_FAILED: "The mask could not be drawn.",
}


@dataclass(frozen=True, slots=True)
class Closure:
    """A frame stays closed, and why, in one sentence."""

    reason: Reason
    why: str

    @classmethod
    def of(cls, reason: Reason) -> "Closure":
        """The closure with the reason's own sentence."""
        return cls(reason, SENTENCES[reason])


def judge(span: Span | None, rules: Rules) -> Closure | None:
    """None if the frame that `span` holds may leave, masked as it says; otherwise why not."""
    if span is None:
        return Closure.of(Reason.NO_SPAN)
    if not span.valid:
        return Closure.of(Reason.INVALID_SPAN)
    if not span.complete:
        return Closure(Reason.INCOMPLETE, span.why or SENTENCES[Reason.INCOMPLETE])
    if span.policy != rules.label:
        return Closure.of(Reason.OTHER_POLICY)
    return None
