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


def _acts(where: str, prefix: str, said: Mapping[str, str], *, purpose: bool = True) -> dict[str, Act]:
    return {f"{prefix}.{name}": Act(says, where, purpose) for name, says in said.items()}


ACTS: Mapping[str, Act] = {
    **_acts(
        "vault",
        "vault",
        {
            "open": "originals of a camera were opened, for a disclosure or by an operator",
            "search": "what is known of a range was looked through, without a picture",
            "refused": "originals were asked for that are not kept",
            "list": "somebody looked at what is kept",
            "hold": "a legal hold began",
            "release": "a legal hold ended",
            "purge": "originals were destroyed: by order, or because their time was over",
            "prove": "somebody had a purge proven",
        },
    ),
    **_acts(
        "disclosure",
        "disclosure",
        {
            "file": "a request came in",
            "find": "footage was searched for the tracks in it",
            "suggest": "tracks that may go with it were suggested",
            "choose": "somebody said which tracks show the subject",
            "submit": "it was put before a second person",
            "return": "it was opened to changes again",
            "approve": "a second person agreed",
            "render": "the subject was shown: unmasked in the videos that were made",
            "correct": "more is to be masked",
            "look": "somebody looked at a result frame by frame",
            "review": "somebody has nothing against the videos",
            "package": "it was packed and signed",
            "hand_over": "it may be taken from now on",
            "download": "somebody took it",
            "expire": "it was taken back, as its time is over",
            "postpone": "the answer was put off",
            "resume": "it went on",
            "refuse": "it was refused",
            "withdraw": "whoever asked changed their mind",
        },
    ),
    **_acts("auditor", "leak", {"suspected": "the leak check saw what looks like a face or a plate"}),
    **_acts("house, vault", "policy", {"change": "what a camera masks or keeps has changed"}, purpose=False),
    **_acts(
        "house",
        "key",
        {
            "create": "a folder of keys that wrap data keys was begun",
            "rotate": "a key was added, which counts from then on",
            "destroy": "a key was destroyed, and with it all that was sealed under it",
            "signing": "a key that signs packages, checkpoints and exports was made",
        },
        purpose=False,
    ),
    **_acts("house", "audit", {"show": "somebody looked at the log", "export": "a part of the log was handed out"}),
    **_acts(
        "house",
        "audit",
        {"verify": "the log was checked", "checkpoint": "how far the log has come was signed"},
        purpose=False,
    ),
    **_acts("house", "compliance", {"report": "a report for the regulator was made"}),
    **_acts("console", "live", {"view": "somebody watched a camera's masked picture"}),
    **_acts("console", "live", {"refused": "somebody asked for a camera they may not see"}, purpose=False),
    **_acts("insight", "insight", {"export": "statistics were handed out"}),
    **_acts(
        "accounts",
        "login",
        {
            "good": "somebody logged in",
            "failed": "a login failed",
            "locked_out": "an account has to wait after too many tries",
        },
        purpose=False,
    ),
    **_acts("accounts", "session", {"end": "somebody logged out"}, purpose=False),
    **_acts(
        "accounts",
        "account",
        {
            "create": "an account was made",
            "change": "its roles or cameras were changed",
            "password": "it got another password",
            "lock": "it was locked",
            "unlock": "it was opened again",
            "token_create": "it got a token for scripts",
            "token_revoke": "a token was taken back",
        },
        purpose=False,
    ),
}

_FREE = ("account.", "login.", "session.", "oidc.")
"""Beginnings of acts that open nothing: whoever logs in has no purpose to tell yet."""


def needs_purpose(action: str) -> bool:
    """Whether an act is refused without a purpose; one that nobody has described is."""
    act = ACTS.get(action)
    return not action.startswith(_FREE) if act is None else act.purpose
