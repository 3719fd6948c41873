"""What accounts tell the audit log: failed and good logins, lockouts, every change of who may do what."""

from enum import StrEnum

CHAIN = "accounts"
"""Name of the audit log's chain beside the accounts."""


class Act(StrEnum):
    """Actions of the audit events of accounts; nobody needs a purpose for them yet."""

    LOGIN = "login.good"
    LOGIN_FAILED = "login.failed"
    LOCKED_OUT = "login.locked_out"
    LOGOUT = "session.end"
    ADD = "account.create"
    CHANGE = "account.change"
    PASSWORD = "account.password"  # noqa: S105, the name of an act
    LOCK = "account.lock"
    UNLOCK = "account.unlock"
    TOKEN_MADE = "account.token_create"  # noqa: S105
    TOKEN_REVOKED = "account.token_revoke"  # noqa: S105
