"""Who looks at the console: what the pages need to know of an account, whoever keeps the accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from fastapi import APIRouter
from starlette.requests import HTTPConnection


@dataclass(frozen=True, slots=True)
class Viewer:
    """An account as the console sees it.

    Attributes:
        name: of the account.
        roles: viewer, officer, approver, auditor, admin.
        cameras: ids of those it may see; None for all.
    """

    name: str
    roles: frozenset[str]
    cameras: frozenset[str] | None = None

    def may_see(self, camera_id: str) -> bool:
        """Whether it may look at this camera."""
        return self.cameras is None or camera_id in self.cameras


class NotLoggedIn(Exception):
    """There is no session, or it has ended."""


class Access(Protocol):
    """Accounts and sessions."""

    @property
    def router(self) -> APIRouter:
        """The endpoints /api/v1/session: GET says who is logged in, POST logs in, DELETE logs out."""

    def viewer_of(self, connection: HTTPConnection) -> Viewer:
        """Whose request or WebSocket this is, by its cookie; may wait for a database. Raises NotLoggedIn."""

    def check_change(self, connection: HTTPConnection) -> None:
        """Refuses a change without the session's CSRF token. Raises PermissionError."""


class Tell(Protocol):
    """Writes down what was done, for the audit. May wait; is called in threads."""

    def __call__(self, action: str, who: Viewer, details: Mapping[str, str]) -> None:
        """Writes that `who` did `action`, a word of the audit topic such as view."""
