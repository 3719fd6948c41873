"""Every privileged act and the event that tells of it; a test holds the table in README.md against this one."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """What an action means.

    Attributes:
        says: what was done.
        where: name of the chains in which its events are.
        purpose: whether it is refused without a purpose.
    """

    says: str
    where: str
    purpose: bool = True


ACTS: Mapping[str, Act] = {
    # Filled in from README.md's table.
}

_FREE = ("account.", "login.", "session.", "oidc.")
"""Beginnings of acts that open nothing: whoever logs in has no purpose to tell yet."""


def needs_purpose(action: str) -> bool:
    """Whether an act is refused without a purpose; one that nobody has described is."""
    act = ACTS.get(action)
    return not action.startswith(_FREE) if act is None else act.purpose
