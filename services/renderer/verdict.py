"""Invariant I1: the one place that decides whether a frame's own pixels may leave."""

from dataclasses import dataclass
from enum import StrEnum

from services.renderer.rules import Rules
from services.renderer.spans import Span
from services.schema import pb


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


CODES = {
    Reason.NO_POLICY: pb.Closing.NO_POLICY,
    Reason.NO_SPAN: pb.Closing.NO_SPAN,
    Reason.DEADLINE: pb.Closing.SPAN_LATE,
    Reason.REDACTIONS_ENDED: pb.Closing.SPANS_ENDED,
    Reason.INVALID_SPAN: pb.Closing.SPAN_INVALID,
    Reason.INCOMPLETE: pb.Closing.REASON_UNSPECIFIED,
    Reason.OTHER_POLICY: pb.Closing.OTHER_POLICY,
    Reason.NO_PICTURE: pb.Closing.NO_PICTURE,
    Reason.SEALED: pb.Closing.SEALED,
    Reason.CORRUPT: pb.Closing.CORRUPT,
    Reason.WRONG_SIZE: pb.Closing.WRONG_SIZE,
    Reason.OVERFLOW: pb.Closing.OVERFLOW,
    Reason.MASK_FAILED: pb.Closing.MASK_FAILED,
}


@dataclass(frozen=True, slots=True)
class Closure:
    """A frame stays closed, and why: for metrics, in one sentence, and as the code that goes out."""

    reason: Reason
    why: str
    closing: pb.Closing

    @classmethod
    def of(cls, reason: Reason) -> "Closure":
        """The closure with the reason's own sentence."""
        return cls(reason, SENTENCES[reason], pb.Closing(reason=CODES[reason]))


def judge(span: Span | None, rules: Rules) -> Closure | None:
    """None if the frame that `span` holds may leave, masked as it says; otherwise why not."""
    if span is None:
        return Closure.of(Reason.NO_SPAN)
    if not span.valid:
        return Closure.of(Reason.INVALID_SPAN)
    if not span.complete:
        return Closure(Reason.INCOMPLETE, span.why or SENTENCES[Reason.INCOMPLETE], span.closing)
    if span.policy != rules.label:
        return Closure.of(Reason.OTHER_POLICY)
    return None
