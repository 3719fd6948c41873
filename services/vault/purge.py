"""What goes: the key first, then the bytes, then the row becomes a tombstone. And what stays: legal holds."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from services.bus.clock import Clock
from services.vault.database import Database
from services.vault.errors import Expired, Held, Missing, VaultError
from services.vault.events import SERVICE, Actor, Events
from services.vault.hours import HourKeys, WrappedKey
from services.vault.index import GONE, LIVE, PURGING, WRITING, not_held, overlapping, use
from services.vault.segment import HOUR_US
from services.vault.store import Store
from services.vault.tables import EPOCHS, HOLDS, KEYS, PURGES, SEGMENTS

_AT_ONCE = 1000
_FILES_AT_ONCE = 100
_DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class Purge:
    """A purge as the index remembers it.

    Attributes:
        why: expired, or ordered.
        digest: SHA-256 over its tombstones.
        done_us: when the last file was removed; None while that goes on. The keys were gone at `at_us`.
    """

    id: str
    camera_id: str
    at_us: int
    who: str
    why: str
    start_us: int
    end_us: int
    segments: int
    size: int
    digest: bytes
    done_us: int | None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: what it covers doesn't expire and can't be purged until it is released."""

    id: str
    camera_id: str
    start_us: int
    end_us: int
    why: str
    who: str
    at_us: int
    released_us: int | None
    released_by: str | None
    released_why: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence of a proof, and whether it is so."""

    says: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """That what a purge names is gone.

    Attributes:
        tombstones: of each segment: what, when, where, and the SHA-256 of the file that was.
        event_hash: of the audit event that tells of the purge.
        checks: what was looked at for this proof, now.
    """

    purge: Purge
    tombstones: tuple[dict[str, Any], ...]
    event_hash: bytes
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every check does."""
        return all(check.holds for check in self.checks)

    def as_plain_data(self) -> dict[str, Any]:
        """For JSON; bytes as hexadecimal digits."""
        purge = asdict(self.purge) | {"digest": self.purge.digest.hex()}
        return {
            "purge": purge,
            "segments": list(self.tombstones),
            "audit_event": self.event_hash.hex(),
            "checks": [asdict(check) for check in self.checks],
            "proven": self.holds,
        }


class Purger:
    """Decides on what goes and what stays, one at a time on an index. Methods raise Unavailable."""

    def __init__(self, database: Database, store: Store, events: Events, hours: HourKeys, clock: Clock) -> None:
        self._database, self._store, self._events = database, store, events
        self._hours, self._clock = hours, clock

    def expire(self) -> int:
        """Purges what is due and not held; how many segments."""
        count, now = 0, self._clock()
        due = SEGMENTS.c.state == LIVE, SEGMENTS.c.due_us <= now, not_held()
        with self._database.read() as connection:
            cameras = connection.execute(select(SEGMENTS.c.camera_id).where(*due).distinct()).scalars().all()
        for camera_id in cameras:
            while purge := self._begin(camera_id, (SEGMENTS.c.due_us <= now,), SERVICE, "expired"):
                count += purge.segments
        self.resume()
        return count

    def shorten(self, camera_id: str, retention_us: int) -> None:
        """A policy that keeps less than it did counts for what is stored too; one that keeps more does not."""
        later = SEGMENTS.c.camera_id == camera_id, SEGMENTS.c.state == LIVE
        sooner = SEGMENTS.c.start_us + retention_us
        with self._database.read() as connection:
            if (
                connection.execute(select(SEGMENTS.c.id).where(*later, SEGMENTS.c.due_us > sooner).limit(1)).first()
                is None
            ):
                return
        with self._database.write() as connection:
            connection.execute(update(SEGMENTS).where(*later, SEGMENTS.c.due_us > sooner).values(due_us=sooner))

    def order(self, camera_id: str, start_us: int, end_us: int, actor: Actor) -> list[Purge]:
        """Purges every segment that touches a range, whole. Raises Held, Missing, NoPurpose."""
        within = overlapping(camera_id, start_us, end_us)
        with self._database.read() as connection:
            live = connection.execute(select(func.count()).where(*within, SEGMENTS.c.state == LIVE)).scalar_one()
            free = connection.execute(
                select(func.count()).where(*within, SEGMENTS.c.state == LIVE, not_held())
            ).scalar_one()
        if free < live:
            raise Held(f"A legal hold keeps {live - free} of {live} segments: nothing was purged.")
        purges = []
        while purge := self._begin(camera_id, within, actor, "ordered"):
            purges.append(purge)
        if not purges:
            raise Missing(f"There is nothing of {camera_id} in that range.")
        self.resume()
        return purges

    def resume(self) -> None:
        """Removes the files of what was purged, and finishes what a crash or an outage left half done."""
        unfinished = select(SEGMENTS.c.id, SEGMENTS.c.name, SEGMENTS.c.camera_id, SEGMENTS.c.size)
        unfinished = unfinished.where(SEGMENTS.c.state == PURGING).order_by(SEGMENTS.c.id).limit(_FILES_AT_ONCE)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(unfinished).all()
            if not rows:
                break
            for row in rows:
                self._store.delete(row.name)
            self._bury([row.id for row in rows])
        self._close()

    def bury_tombstones(self, days: int) -> None:
        """Forgets tombstones, epochs and events that are older than any question about them."""
        before = self._clock() - days * _DAY_US
        with self._database.write() as connection:
            connection.execute(delete(SEGMENTS).where(SEGMENTS.c.state == GONE, SEGMENTS.c.gone_us < before))
            connection.execute(delete(EPOCHS).where(EPOCHS.c.ended_us < before))
            unused = ~select(SEGMENTS.c.id).where(SEGMENTS.c.key == KEYS.c.id).exists()
            connection.execute(delete(KEYS).where(KEYS.c.gone_us < before, unused))

    def hold(self, camera_id: str, start_us: int, end_us: int, actor: Actor) -> tuple[Hold, int]:
        """Keeps a range until it is released, and what will still come into it. The hold, and how many segments."""
        hold = Hold(
            str(uuid.uuid4()), camera_id, start_us, end_us, actor.purpose, actor.who, self._clock(), None, None, None
        )
        with self._database.decide() as connection:
            connection.execute(insert(HOLDS).values(asdict(hold)))
            kept = select(func.count()).where(*overlapping(camera_id, start_us, end_us), SEGMENTS.c.state == LIVE)
            count = connection.execute(kept).scalar_one()
            details = {"hold": hold.id, "segments": str(count)}
            self._events.add(connection, actor, "vault.hold", camera_id, _range(camera_id, start_us, end_us), details)
        return hold, count

    def release(self, hold_id: str, actor: Actor) -> Hold:
        """Ends a hold: what is due goes at the next look. Raises Missing."""
        with self._database.decide() as connection:
            row = connection.execute(select(HOLDS).where(HOLDS.c.id == hold_id)).one_or_none()
            if row is None or row.released_us is not None:
                raise Missing(f"There is no hold {hold_id} that could be released.")
            values = {"released_us": self._clock(), "released_by": actor.who, "released_why": actor.purpose}
            connection.execute(update(HOLDS).where(HOLDS.c.id == hold_id).values(values))
            self._events.add(
                connection,
                actor,
                "vault.release",
                row.camera_id,
                _range(row.camera_id, row.start_us, row.end_us),
                {"hold": hold_id},
            )
        return Hold(**{**row._mapping, **values})

    def holds(self, camera_id: str | None = None) -> list[Hold]:
        """All holds that are not released, of one camera or of all."""
        active = select(HOLDS).where(HOLDS.c.released_us.is_(None)).order_by(HOLDS.c.at_us)
        if camera_id is not None:
            active = active.where(HOLDS.c.camera_id == camera_id)
        with self._database.read() as connection:
            return [Hold(**row._mapping) for row in connection.execute(active)]

    def purges(self, camera_id: str | None = None, limit: int = 100) -> list[Purge]:
        """The newest purges, of one camera or of all."""
        newest = select(PURGES).order_by(PURGES.c.at_us.desc()).limit(limit)
        if camera_id is not None:
            newest = newest.where(PURGES.c.camera_id == camera_id)
        with self._database.read() as connection:
            return [Purge(**row._mapping) for row in connection.execute(newest)]

    def prove(self, purge_id: str, actor: Actor) -> Proof:
        """Looks at everything that a purge should have taken away. Raises Missing, NoPurpose."""
        with self._database.read() as connection:
            row = connection.execute(select(PURGES).where(PURGES.c.id == purge_id)).one_or_none()
            if row is None:
                raise Missing(f"There is no purge {purge_id}.")
            purge = Purge(**row._mapping)
            of_purge = select(SEGMENTS).where(SEGMENTS.c.purge == purge_id).order_by(SEGMENTS.c.id)
            rows = connection.execute(of_purge).all()
            keys = connection.execute(select(KEYS).where(KEYS.c.id.in_({each.key for each in rows}))).all()
        tombstones = [_tombstone(each) for each in rows]
        event_hash = self._event_of(purge)
        checks = (
            Check(
                f"the record names {len(rows)} segments, and its digest is theirs",
                len(rows) == purge.segments and _digest(tombstones) == purge.digest,
            ),
            Check(
                "no segment has a salt left that its key could be derived from", all(each.salt is None for each in rows)
            ),
            *(self._key_check(WrappedKey(*_wrapped(each))) for each in keys),
            Check("no file is left in the store", not any(self._store.exists(each.name) for each in rows)),
            Check("the audit event of the purge carries the digest", bool(event_hash)),
            Check("the camera's chain of audit events is unbroken", self._events.unbroken(purge.camera_id)),
        )
        proof = Proof(purge, tuple(tombstones), event_hash, checks)
        details = {"purge": purge_id, "proven": str(proof.holds).lower()}
        self._events.tell(actor, "vault.prove", purge.camera_id, purge_id, details)
        return proof

    def _begin(self, camera_id: str, condition: Sequence[Any], actor: Actor, why: str) -> Purge | None:
        """Erases the keys of some segments for good; None where no segment is left."""
        chosen = select(SEGMENTS).where(SEGMENTS.c.camera_id == camera_id, SEGMENTS.c.state == LIVE, *condition)
        with self._database.decide() as connection:
            rows = connection.execute(chosen.where(not_held()).order_by(SEGMENTS.c.id).limit(_AT_ONCE)).all()
            if not rows:
                return None
            purge = Purge(
                id=str(uuid.uuid4()),
                camera_id=camera_id,
                at_us=self._clock(),
                who=actor.who,
                why=why,
                start_us=min(row.start_us for row in rows),
                end_us=max(row.end_us for row in rows),
                segments=len(rows),
                size=sum(row.size for row in rows),
                digest=_digest([_tombstone(row) for row in rows]),
                done_us=None,
            )
            connection.execute(insert(PURGES).values(asdict(purge)))
            ids = [row.id for row in rows]
            erased = {"state": PURGING, "salt": None, "purge": purge.id}
            connection.execute(update(SEGMENTS).where(SEGMENTS.c.id.in_(ids)).values(erased))
            self._destroy_keys(connection, {row.key for row in rows})
            details = {"purge": purge.id, "why": why, "segments": str(len(rows)), "digest": purge.digest.hex()}
            thing = _range(camera_id, purge.start_us, purge.end_us)
            self._events.add(connection, actor, "vault.purge", camera_id, thing, details)
        self._database.forget_erased()
        return purge

    def _destroy_keys(self, connection: Connection, keys: set[int]) -> None:
        """Destroys those under which nothing is left."""
        # Locked first: who begins a segment under one of them either did so before, and is seen now, or finds it gone.
        connection.execute(select(KEYS.c.id).where(KEYS.c.id.in_(keys)).with_for_update()).all()
        used = select(SEGMENTS.c.id).where(SEGMENTS.c.key == KEYS.c.id, SEGMENTS.c.state.in_((LIVE, WRITING)))
        connection.execute(
            update(KEYS)
            .where(KEYS.c.id.in_(keys), KEYS.c.gone_us.is_(None), ~used.exists())
            .values(wrapped=None, gone_us=self._clock())
        )

    def _bury(self, ids: Sequence[int]) -> None:
        mine = SEGMENTS.c.id.in_(ids), SEGMENTS.c.state == PURGING
        with self._database.write() as connection:
            # Another replica may be at it too: what is counted is what this one turned into tombstones.
            rows = connection.execute(
                update(SEGMENTS)
                .where(*mine)
                .values(state=GONE, gone_us=self._clock())
                .returning(SEGMENTS.c.camera_id, SEGMENTS.c.size)
            ).all()
            freed: dict[str, int] = {}
            for row in rows:
                freed[row.camera_id] = freed.get(row.camera_id, 0) + row.size
            for camera_id in sorted(freed):
                use(connection, camera_id, -freed[camera_id])

    def _close(self) -> None:
        left = select(SEGMENTS.c.id).where(SEGMENTS.c.purge == PURGES.c.id, SEGMENTS.c.state == PURGING)
        with self._database.write() as connection:
            connection.execute(
                update(PURGES).where(PURGES.c.done_us.is_(None), ~left.exists()).values(done_us=self._clock())
            )
        self._database.forget_erased()

    def _key_check(self, key: WrappedKey) -> Check:
        try:
            self._hours.open(key)
        except Expired:
            return Check(f"key {key.key_id} is destroyed and unwraps no more", holds=True)
        except VaultError as error:
            return Check(f"key {key.key_id} can't be tried: {error}", holds=False)
        with self._database.read() as connection:
            used = select(func.count()).where(SEGMENTS.c.key == key.row, SEGMENTS.c.state.in_((LIVE, WRITING)))
            count = connection.execute(used).scalar_one()
        return Check(f"key {key.key_id} is left for {count} other segments of its hour", count > 0)

    def _event_of(self, purge: Purge) -> bytes:
        """Hash of the audit event that carries the purge's digest; empty where there is none."""
        for event in self._events.of(purge.camera_id):
            if event.action == "vault.purge" and event.details.get("purge") == purge.id:
                return event.hash if event.details.get("digest") == purge.digest.hex() else b""
        return b""


def _wrapped(row: Any) -> tuple[int, str, str, bytes | None, str]:
    return row.id, row.camera_id, row.key_id, row.wrapped, row.wrapped_by


def _tombstone(row: Any) -> dict[str, Any]:
    plain = (
        "id",
        "name",
        "camera_id",
        "kind",
        "epoch",
        "number",
        "start_us",
        "end_us",
        "first_seq",
        "last_seq",
        "size",
    )
    return {name: getattr(row, name) for name in plain} | {"sha256": row.sha256.hex()}


def _digest(tombstones: Sequence[dict[str, Any]]) -> bytes:
    text = json.dumps(sorted(tombstones, key=lambda each: each["id"]), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _range(camera_id: str, start_us: int, end_us: int) -> str:
    return f"{camera_id}/{start_us}/{end_us}"
