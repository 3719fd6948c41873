"""What was done with the vault, by whom and what for: a hash chain for each camera, kept in the index.

An event is written in the transaction of what it tells, so that neither is there without the other. The stage publishes
them on the topic `audit` afterwards.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from services.audit.policies import CHANGE, PolicyWatch
from services.audit.rows import EventRows, Unpublished
from services.audit_chain import first_break
from services.bus.clock import Clock
from services.policy.model import PolicyBook
from services.schema import pb
from services.vault.database import Database
from services.vault.errors import NoPurpose
from services.vault.tables import EVENTS

_LONGEST = 500
CHAIN = "vault"
"""Value of the detail `chain`: events of one camera with it follow each other, whoever acted."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and what for. Raises NoPurpose where either is left out.

    Attributes:
        who: an account's name.
        purpose: one sentence.
        role: officer, approver, service, …
    """

    who: str
    purpose: str
    role: str = "operator"

    def __post_init__(self) -> None:
        if not self.who.strip():
            raise NoPurpose("Who are you? Nothing of the vault is touched without a name.")
        if not self.purpose.strip():
            raise NoPurpose("What for? Nothing of the vault is touched without a purpose.")
        if max(map(len, (self.who, self.purpose, self.role))) > _LONGEST:
            raise NoPurpose(f"Name and purpose have at most {_LONGEST} characters each.")


SERVICE = Actor("vault", "retention", "service")
"""The vault itself, when it lets expire what is due."""

WATCH = Actor("vault", "watches policies", "service")
"""The vault, when it sees a policy that has changed: who changed it, and why, is for `veil policy record` to say."""

ROWS = EventRows(EVENTS, CHAIN, "camera_id")
"""Events as the index has them."""


class Events:
    """The chain in the index."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add(
        self, connection: Connection, actor: Actor, action: str, camera_id: str, thing: str, details: Mapping[str, str]
    ) -> pb.AuditEvent:
        """Writes the next event of a camera's chain; within a `decide` transaction."""
        event = pb.AuditEvent(
            event_id=str(uuid.uuid4()),
            at_us=self._clock(),
            actor=actor.who,
            role=actor.role,
            action=action,
            object=thing,
            purpose=actor.purpose,
            details=details,
        )
        return ROWS.append(connection, event, {"camera_id": camera_id})

    def tell(
        self, actor: Actor, action: str, camera_id: str, thing: str, details: Mapping[str, str] | None = None
    ) -> pb.AuditEvent:
        """Writes one by itself; it is durable when this returns. Raises Unavailable."""
        with self._database.decide() as connection:
            return self.add(connection, actor, action, camera_id, thing, details or {})

    def watch(self, book: PolicyBook) -> PolicyWatch:
        """What compares policies with the chains; see `look`."""

        def append(connection: Connection, camera_id: str, details: Mapping[str, str]) -> pb.AuditEvent:
            return self.add(connection, WATCH, CHANGE, camera_id, camera_id, details)

        return PolicyWatch(ROWS, append, book)

    def look(self, watch: PolicyWatch, cameras: Iterable[str]) -> None:
        """Writes an event for each camera whose policy is not the one that its chain heard of last."""
        for camera_id in watch.changed(cameras):
            with self._database.decide() as connection:
                watch.tell(connection, camera_id)

    def unpublished(self, after: int) -> Sequence[Unpublished]:
        """The oldest events behind number `after` that are not on the bus yet."""
        with self._database.read() as connection:
            return ROWS.unpublished(connection, after)

    def mark_published(self, numbers: Sequence[int]) -> None:
        """They are on the bus."""
        with self._database.write() as connection:
            ROWS.mark_published(connection, numbers)

    def of(self, camera_id: str) -> list[pb.AuditEvent]:
        """A camera's whole chain, oldest first."""
        with self._database.read() as connection:
            return ROWS.events(connection, camera_id)

    def unbroken(self, camera_id: str) -> bool:
        """Whether no event of a camera was changed, removed from within or reordered."""
        return first_break(self.of(camera_id)) is None
