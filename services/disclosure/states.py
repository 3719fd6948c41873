"""Where a request can be, and what may be done with it there: nothing skips the approval."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a request is."""

    FILED = "filed"
    FOUND = "found"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RENDERED = "rendered"
    REVIEWED = "reviewed"
    PACKAGED = "packaged"
    HANDED_OVER = "handed_over"
    EXPIRED = "expired"
    POSTPONED = "postponed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


ENDED = frozenset({State.EXPIRED, State.REFUSED, State.WITHDRAWN})
"""Nothing comes after these."""

ANSWERED = ENDED | {State.HANDED_OVER}
"""No deadline runs any more."""

_UNDECIDED = frozenset({State.FILED, State.FOUND, State.SUBMITTED})
_OPEN = frozenset(State) - ANSWERED


class Action(StrEnum):
    """What can be done with a request. The values are the actions of audit events, behind `disclosure.`."""

    FILE = "file"
    FIND = "find"
    SUGGEST = "suggest"
    CHOOSE = "choose"
    SUBMIT = "submit"
    RETURN = "return"
    APPROVE = "approve"
    RENDER = "render"
    LOOK = "look"
    CORRECT = "correct"
    REVIEW = "review"
    PACKAGE = "package"
    HAND_OVER = "hand_over"
    DOWNLOAD = "download"
    EXPIRE = "expire"
    POSTPONE = "postpone"
    RESUME = "resume"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Move:
    """From which states an action is possible, and where it leads; None: the state stays, or is the one before."""

    before: frozenset[State]
    after: State | None


MOVES: Mapping[Action, Move] = {
    Action.FIND: Move(frozenset({State.FILED, State.FOUND}), State.FOUND),
    Action.SUGGEST: Move(frozenset({State.FOUND}), State.FOUND),
    Action.CHOOSE: Move(frozenset({State.FOUND}), State.FOUND),
    Action.SUBMIT: Move(frozenset({State.FOUND}), State.SUBMITTED),
    # Whatever was approved is void once it is changed: it has to be approved again.
    Action.RETURN: Move(
        frozenset({State.SUBMITTED, State.APPROVED, State.RENDERED, State.REVIEWED, State.PACKAGED}), State.FOUND
    ),
    Action.APPROVE: Move(frozenset({State.SUBMITTED}), State.APPROVED),
    Action.RENDER: Move(frozenset({State.APPROVED}), State.RENDERED),
    Action.LOOK: Move(frozenset({State.RENDERED, State.REVIEWED, State.PACKAGED}), None),
    # Corrections only mask more: what was approved still holds.
    Action.CORRECT: Move(frozenset({State.RENDERED, State.REVIEWED}), State.APPROVED),
    Action.REVIEW: Move(frozenset({State.RENDERED}), State.REVIEWED),
    Action.PACKAGE: Move(frozenset({State.RENDERED, State.REVIEWED}), State.PACKAGED),
    Action.HAND_OVER: Move(frozenset({State.PACKAGED}), State.HANDED_OVER),
    Action.DOWNLOAD: Move(frozenset({State.HANDED_OVER}), State.HANDED_OVER),
    Action.EXPIRE: Move(frozenset({State.HANDED_OVER}), State.EXPIRED),
    Action.POSTPONE: Move(_OPEN - {State.POSTPONED}, State.POSTPONED),
    Action.RESUME: Move(frozenset({State.POSTPONED}), None),
    Action.REFUSE: Move(_UNDECIDED | {State.POSTPONED}, State.REFUSED),
    Action.WITHDRAW: Move(_OPEN, State.WITHDRAWN),
}
"""Everything that can be done with a request once it is filed."""
