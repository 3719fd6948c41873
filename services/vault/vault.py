"""The vault as a whole: store, index, keys, and what may be asked of it by whoever says their name and purpose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import func, select

from services.bus.clock import Clock, now_us
from services.envelope import KeyEncryption, KeyFolder, KeySettings
from services.schema import pb
from services.vault.database import Database, database_of
from services.vault.errors import Expired, Missing, NoPurpose, Unavailable, VaultError
from services.vault.events import Actor, Events
from services.vault.hours import HourKeys
from services.vault.index import LIVE, SegmentIndex, not_held, overlapping
from services.vault.outline import Outlined
from services.vault.purge import Purger
from services.vault.reader import Opened
from services.vault.settings import VaultSettings
from services.vault.store import folder_of, make_store
from services.vault.tables import SEGMENTS
from services.vault.unsealing import SegmentReader

_CACHE_S = 300.0
EVERYWHERE = "*"
"""What events that are about no single camera are chained under."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What is kept of a camera.

    Attributes:
        start_us, end_us: of the oldest and the newest picture.
        segments, size: of video and spans.
        due_us: when the next of it expires; None where a hold keeps all.
    """

    camera_id: str
    start_us: int
    end_us: int
    segments: int
    size: int
    due_us: int | None


class Vault:
    """Reads and keeps; `stage.VaultStage` writes. Safe to share between threads. Methods raise VaultError.

    Args:
        settings: of the vault.
        keys: wrap the keys of hours.
        cache_s: how long an hour's key is kept in memory.
        clock: microseconds since 1970.
    """

    def __init__(
        self, settings: VaultSettings, keys: KeyEncryption, cache_s: float = _CACHE_S, clock: Clock = now_us
    ) -> None:
        self.settings, self._clock = settings, clock
        self.store = make_store(settings)
        self.database: Database = database_of(settings)
        self.database.migrate()
        self.index = SegmentIndex(self.database, settings.writer, clock)
        self.events = Events(self.database, clock)
        self.hours = HourKeys(self.database, keys, cache_s, clock)
        self._reader = SegmentReader(self.index, self.store, self.hours)
        self.purger = Purger(self.database, self.store, self.events, self.hours, clock)

    def open(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str = "operator"
    ) -> Opened:
        """Opens a camera's originals from `start_us` until before `end_us`, microseconds since 1970.

        The audit event is durable before anything is read. A refusal is an event too. Raises NoPurpose, Missing where
        nothing of the range was ever kept, Expired where nothing of it is kept any more.
        """
        event = self._told("vault.open", camera_id, start_us, end_us, Actor(who, purpose, role))
        return Opened(self.index, self._reader, self._clock, camera_id, start_us, end_us, event)

    def outline(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str = "operator"
    ) -> Outlined:
        """What is known of a range without a picture: frames, times and spans, epoch by epoch. As `open` otherwise."""
        event = self._told("vault.search", camera_id, start_us, end_us, Actor(who, purpose, role))
        return Outlined(self.index, self._reader, self._clock, camera_id, start_us, end_us, event)

    def stock(self, actor: Actor, camera_id: str | None = None) -> Sequence[Stock]:
        """What is kept of each camera, or of one."""
        live = select(
            SEGMENTS.c.camera_id,
            func.min(SEGMENTS.c.start_us),
            func.max(SEGMENTS.c.end_us),
            func.count(),
            func.sum(SEGMENTS.c.size),
        ).where(SEGMENTS.c.state == LIVE)
        due = select(SEGMENTS.c.camera_id, func.min(SEGMENTS.c.due_us)).where(SEGMENTS.c.state == LIVE, not_held())
        if camera_id is not None:
            live, due = live.where(SEGMENTS.c.camera_id == camera_id), due.where(SEGMENTS.c.camera_id == camera_id)
        self.events.tell(actor, "vault.list", camera_id or EVERYWHERE, camera_id or EVERYWHERE)
        by_camera = SEGMENTS.c.camera_id
        with self.database.read() as connection:
            first = {row[0]: row[1] for row in connection.execute(due.group_by(by_camera))}
            rows = connection.execute(live.group_by(by_camera).order_by(by_camera)).all()
        return [Stock(row[0], row[1], row[2], row[3], int(row[4]), first.get(row[0])) for row in rows]

    def close(self) -> None:
        """Lets go of the index."""
        self.database.close()

    def _told(self, action: str, camera_id: str, start_us: int, end_us: int, actor: Actor) -> pb.AuditEvent:
        """The event of an access, durable; of its refusal where there is nothing, which is raised."""
        thing = f"{camera_id}/{start_us}/{end_us}"
        if start_us >= end_us:
            raise Missing("The range ends before it begins.")
        try:
            segments = self._readable(camera_id, start_us, end_us)
        except (Missing, Expired) as refusal:
            self.events.tell(actor, "vault.refused", camera_id, thing, {"why": str(refusal)})
            raise
        return self.events.tell(actor, action, camera_id, thing, {"segments": str(segments)})

    def _readable(self, camera_id: str, start_us: int, end_us: int) -> int:
        """How many segments of a range may be read. Raises Missing, Expired."""
        within = (*overlapping(camera_id, start_us, end_us), SEGMENTS.c.kind == "video", SEGMENTS.c.number.is_not(None))
        may = SEGMENTS.c.state == LIVE, (SEGMENTS.c.due_us > self._clock()) | ~not_held()
        with self.database.read() as connection:
            known = connection.execute(select(func.count()).where(*within)).scalar_one()
            readable = connection.execute(select(func.count()).where(*within, *may)).scalar_one()
        if readable:
            return int(readable)
        if known:
            raise Expired(f"Nothing of {camera_id} in that range is kept any more: it has expired, or was purged.")
        raise Missing(f"Nothing of {camera_id} in that range was ever kept.")


def open_vault(settings: VaultSettings | None = None, keys: KeyEncryption | None = None) -> Vault:
    """The vault of VEIL_VAULT_… with the keys of VEIL_KEYS_…. Raises VaultError with one sentence."""
    cache_s = _CACHE_S
    try:
        # The address of the store comes from the environment.
        settings = settings or VaultSettings()  # type: ignore[call-arg, unused-ignore]
        if keys is None:
            of_keys = KeySettings()
            keys, cache_s = KeyFolder(of_keys.folder), of_keys.cache_s
            _keep_apart(settings, of_keys.folder)
    except ValidationError as error:
        fields = ", ".join(f"VEIL_{error.title[:-8].upper()}_{str(each['loc'][0]).upper()}" for each in error.errors())
        raise Unavailable(f"The vault is not set up: see {fields.replace('KEY_', 'KEYS_')}.") from None
    return Vault(settings, keys, cache_s)


def _keep_apart(settings: VaultSettings, keys: Path) -> None:
    """Keys beside what they open would be copied and stolen together with it."""
    folder = folder_of(settings.store)
    if folder is not None and keys.resolve().is_relative_to(folder.resolve()):
        raise Unavailable(f"{keys}: the keys lie in the vault's own folder; put them elsewhere.")


__all__ = ["Actor", "NoPurpose", "Stock", "Vault", "VaultError", "open_vault"]
