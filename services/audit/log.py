"""The log itself: append an event in the caller's transaction, or in one of its own."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection

from services.audit.acts import needs_purpose
from services.audit.errors import NoPurpose
from services.audit.policies import CHANGE, PolicyWatch
from services.audit.rows import EventRows, Head, Unpublished, lock
from services.audit.tables import EVENTS, METADATA
from services.bus.clock import Clock, now_us
from services.policy.model import PolicyBook
from services.schema import pb

EVERYWHERE = "*"
"""Key of what is about no single camera."""

_LONGEST = 500
_DETAILS_MAX = 32

Tell = Callable[[str, str, Mapping[str, str]], object]
"""`tell(action, who, details)`: how a room that doesn't know the log says what was done; `AuditLog.tell` is one."""


class Transactions(Protocol):
    """A database, as far as the log needs it."""

    def read(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction, durable when the block has ended; on SQLite it begins with BEGIN IMMEDIATE."""


class AuditLog:
    """Append-only: there is no verb that changes or removes an event. Safe to share between threads.

    Methods raise what the database raises.

    Args:
        database: where the table `audit_events` is, and is made if it isn't there.
        chain: name of this log's chains; no other log of the house has the same one.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Transactions, chain: str, clock: Clock = now_us) -> None:
        self._database, self._clock = database, clock
        self.rows = EventRows(EVENTS, chain, "key")
        with database.write() as connection:
            # Two that start together don't both make the table.
            lock(connection)
            METADATA.create_all(connection)

    def append(
        self,
        action: str,
        who: str,
        *,
        purpose: str = "",
        role: str = "operator",
        thing: str = "",
        camera_id: str = EVERYWHERE,
        details: Mapping[str, str] | None = None,
        connection: Connection | None = None,
    ) -> pb.AuditEvent:
        """Writes an event; it is durable when this returns, or with the caller's transaction.

        Args:
            action: what was done, such as `account.create`; services/audit/README.md lists them.
            who: an account's name.
            purpose: one sentence; may only be left out where nothing is opened (`needs_purpose`).
            role: officer, approver, service, …
            thing: what it was done to.
            camera_id: the camera it is about; whatever is about none is chained under `*`.
            details: more; never a picture, a password, a key or whom a picture shows.
            connection: of a transaction that writes, so that the event is there exactly if what it tells of is.

        Raises NoPurpose.
        """
        event = self._event(action, who, purpose, role, thing, details or {})
        columns = {"key": camera_id or EVERYWHERE}
        if connection is not None:
            return self.rows.append(connection, event, columns)
        with self._database.write() as own:
            return self.rows.append(own, event, columns)

    def watch(self, book: PolicyBook, who: str = "veil", role: str = "service", purpose: str = "") -> PolicyWatch:
        """What compares policies with this log; see `look`."""

        def append(connection: Connection, camera_id: str, details: Mapping[str, str]) -> pb.AuditEvent:
            given = {"purpose": purpose, "role": role, "camera_id": camera_id, "thing": camera_id}
            return self.append(CHANGE, who, **given, details=details, connection=connection)

        return PolicyWatch(self.rows, append, book)

    def look(self, watch: PolicyWatch, cameras: Iterable[str]) -> list[str]:
        """Writes an event for each camera whose policy has changed since the log last heard of it; which these are."""
        told = []
        for camera_id in watch.changed(cameras):
            with self._database.write() as connection:
                if watch.tell(connection, camera_id):
                    told.append(camera_id)
        return told

    def tell(self, action: str, who: str, details: Mapping[str, str], connection: Connection | None = None) -> None:
        """`append` for who knows nothing of the log: purpose, role, object and camera are taken out of `details`."""
        rest = dict(details)
        self.append(
            action,
            who,
            purpose=rest.pop("purpose", ""),
            role=rest.pop("role", "operator"),
            thing=rest.pop("object", ""),
            camera_id=rest.pop("camera", EVERYWHERE),
            details=rest,
            connection=connection,
        )

    def unpublished(self, after: int = 0) -> Sequence[Unpublished]:
        """The oldest events behind row `after` that are not on the bus yet."""
        with self._database.read() as connection:
            return self.rows.unpublished(connection, after)

    def mark_published(self, numbers: Sequence[int]) -> None:
        """They are on the bus."""
        with self._database.write() as connection:
            self.rows.mark_published(connection, numbers)

    def events(self, camera_id: str | None = None) -> list[pb.AuditEvent]:
        """All events, or those of one chain, oldest first."""
        with self._database.read() as connection:
            return self.rows.events(connection, camera_id)

    def heads(self) -> list[Head]:
        """How far every chain has come."""
        with self._database.read() as connection:
            return self.rows.heads(connection)

    def _event(
        self, action: str, who: str, purpose: str, role: str, thing: str, details: Mapping[str, str]
    ) -> pb.AuditEvent:
        if not who.strip():
            raise NoPurpose("Who are you? Nothing is done without a name.")
        if not purpose.strip() and needs_purpose(action):
            raise NoPurpose(f"What for? {action} needs a purpose.")
        if len(details) > _DETAILS_MAX:
            raise ValueError(f"an event has at most {_DETAILS_MAX} details")
        short = {name: value[:_LONGEST] for name, value in details.items()}
        return pb.AuditEvent(
            event_id=str(uuid.uuid4()),
            at_us=self._clock(),
            actor=who[:_LONGEST],
            role=role[:_LONGEST],
            action=action,
            object=thing[:_LONGEST],
            purpose=purpose[:_LONGEST],
            details=short,
        )
