"""Changes of policies as events: what a camera masked before and masks now, by the fingerprints of its policies."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from services.audit.rows import EventRows
from services.policy.model import Policy, PolicyBook, PolicyUnavailable
from services.schema import pb

CHANGE = "policy.change"
UNREADABLE = "unreadable"
"""In place of a fingerprint while a camera's policy can't be read: it stays closed."""

Append = Callable[[Connection, str, Mapping[str, str]], pb.AuditEvent]
"""Writes the event of a change: `append(connection, camera_id, details)`."""


@dataclass(slots=True)
class _Known:
    fingerprint: str
    policy: Policy | None


class PolicyWatch:
    """Compares policies with what a log heard of them last; a restart, or another process, forgets and doubles nothing.

    Args:
        rows: the log's.
        append: writes into it.
        book: of the policies.
    """

    def __init__(self, rows: EventRows, append: Append, book: PolicyBook) -> None:
        self._rows, self._append, self._book = rows, append, book
        self._known: dict[str, _Known] = {}

    def changed(self, cameras: Iterable[str]) -> list[str]:
        """Cameras whose policies are not those last heard of by this process, or that it has never looked at."""
        return [camera for camera in cameras if self._now(camera).fingerprint != self._last_seen(camera)]

    def tell(self, connection: Connection, camera_id: str, details: Mapping[str, str] | None = None) -> bool:
        """Writes the event of a camera's change, in a transaction that writes. False where the log knows of it."""
        now, before = self._now(camera_id), self._known.get(camera_id)
        last = self._rows.newest(connection, camera_id, CHANGE)
        self._known[camera_id] = now
        logged = "" if last is None else last.details["after"]
        if logged == now.fingerprint:
            return False
        told = {"before": logged, "after": now.fingerprint, **(details or {})}
        if before is not None and before.fingerprint == logged and before.policy and now.policy:
            told["changed"] = ", ".join(_changed(before.policy, now.policy))
        self._append(connection, camera_id, told)
        return True

    def _last_seen(self, camera_id: str) -> str:
        known = self._known.get(camera_id)
        return "" if known is None else known.fingerprint

    def _now(self, camera_id: str) -> _Known:
        try:
            policy = self._book.policy_for(camera_id)
        except PolicyUnavailable:
            return _Known(UNREADABLE, None)
        return _Known(policy.fingerprint, policy)


def _changed(before: Policy, after: Policy) -> list[str]:
    """Keys with other values; with both of them where they are short."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return [
        f"{key} {old[key]} → {new[key]}" if isinstance(new[key], bool | int | float | str) else key
        for key in new
        if old[key] != new[key]
    ]
