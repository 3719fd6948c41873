"""What the index knows of segments: which are being written, which are there, which are gone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from services.bus.clock import Clock
from services.schema import pb
from services.vault.database import Database
from services.vault.errors import Conflict
from services.vault.hours import WrappedKey
from services.vault.segment import Kind, Place, unpack_marks
from services.vault.settings import LONGEST_SEGMENT_S
from services.vault.tables import EPOCHS, HOLDS, KEYS, SEGMENTS, USAGE

WRITING, LIVE, PURGING, GONE = "writing", "live", "purging", "gone"
_PAGE = 500
_BACK_US = 2 * LONGEST_SEGMENT_S * 1_000_000

_Segments = Select[Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment that is about to be written.

    Attributes:
        marks: identities of its messages, packed.
        due_us: when it expires.
    """

    name: str
    camera_id: str
    kind: Kind
    epoch: int
    key: int
    start_us: int
    end_us: int
    first_seq: int
    last_seq: int
    marks: bytes
    messages: int
    keyframe: bool
    size: int
    sha256: bytes
    due_us: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as the index has it."""

    id: int
    name: str
    kind: Kind
    camera_id: str
    epoch: int
    number: int
    state: str
    start_us: int
    end_us: int
    first_seq: int
    last_seq: int
    messages: int
    keyframe: bool
    size: int
    sha256: bytes
    due_us: int
    salt: bytes | None
    hour_us: int
    key: WrappedKey

    @property
    def place(self) -> Place:
        """Where it belongs."""
        return Place(self.camera_id, self.hour_us, self.kind, self.epoch, self.number, self.key.key_id)


def overlapping(camera_id: str, start_us: int, end_us: int) -> tuple[Any, ...]:
    """The condition on segments of a camera that hold something from `start_us` until before `end_us`."""
    return (
        SEGMENTS.c.camera_id == camera_id,
        SEGMENTS.c.start_us < end_us,
        SEGMENTS.c.start_us >= start_us - _BACK_US,
        SEGMENTS.c.end_us >= start_us,
    )


def not_held() -> Any:
    """The condition on segments that no legal hold keeps."""
    held = select(HOLDS.c.id).where(
        HOLDS.c.camera_id == SEGMENTS.c.camera_id,
        HOLDS.c.released_us.is_(None),
        HOLDS.c.start_us <= SEGMENTS.c.end_us,
        HOLDS.c.end_us > SEGMENTS.c.start_us,
    )
    return ~held.exists()


class SegmentIndex:
    """Reads and writes rows of segments. Safe to share between threads; all raise Unavailable.

    Args:
        database: the index.
        writer: name under which this process writes.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Database, writer: str, clock: Clock) -> None:
        self._database, self._writer, self._clock = database, writer, clock

    def stored(self, camera_id: str, kind: Kind, epoch: int, first_seq: int, last_seq: int) -> set[int]:
        """Marks of all messages that are stored, or were, and touch these frames."""
        found = select(SEGMENTS.c.marks).where(
            SEGMENTS.c.camera_id == camera_id,
            SEGMENTS.c.kind == kind,
            SEGMENTS.c.epoch == epoch,
            SEGMENTS.c.state != WRITING,
            SEGMENTS.c.last_seq >= first_seq,
            SEGMENTS.c.first_seq <= last_seq,
        )
        with self._database.read() as connection:
            return {mark for packed in connection.execute(found).scalars() for mark in unpack_marks(packed)}

    def next_number(self, camera_id: str, kind: Kind, epoch: int) -> int:
        """The number of the next segment of an epoch, unless another writer is faster."""
        newest = select(func.max(SEGMENTS.c.number)).where(
            SEGMENTS.c.camera_id == camera_id, SEGMENTS.c.kind == kind, SEGMENTS.c.epoch == epoch
        )
        with self._database.read() as connection:
            number = connection.execute(newest).scalar()
        return 0 if number is None else number + 1

    def begin(self, draft: Draft) -> None:
        """Notes a file before it is written, so that a crash leaves none that nobody knows of."""
        row = {field: getattr(draft, field) for field in draft.__dataclass_fields__}
        row |= {"state": WRITING, "writer": self._writer, "begun_us": self._clock()}
        alive = select(KEYS.c.id).where(KEYS.c.id == draft.key, KEYS.c.gone_us.is_(None))
        with self._database.write() as connection:
            if connection.execute(alive.with_for_update(read=True)).first() is None:
                raise Conflict("The key of the hour was destroyed meanwhile.")
            connection.execute(insert(SEGMENTS).values(row))

    def finish(self, draft: Draft, number: int, salt: bytes) -> None:
        """The file is durable: from now on it is there. Raises Conflict where another writer has the number."""
        mine = SEGMENTS.c.name == draft.name, SEGMENTS.c.state == WRITING
        with self._database.write() as connection:
            done = connection.execute(update(SEGMENTS).where(*mine).values(state=LIVE, number=number, salt=salt))
            if done.rowcount != 1:
                raise Conflict("Another process has cleared a segment away while it was written.")
            use(connection, draft.camera_id, draft.size)

    def forget(self, name: str) -> None:
        """A file that was begun is not there."""
        with self._database.write() as connection:
            connection.execute(delete(SEGMENTS).where(SEGMENTS.c.name == name, SEGMENTS.c.state == WRITING))

    def orphans(self, older_us: int, *, mine: bool) -> Sequence[str]:
        """Names of what was begun before `older_us` and never finished; with `mine`, all of this writer's."""
        of_whom = SEGMENTS.c.begun_us < older_us
        if mine:
            of_whom |= SEGMENTS.c.writer == self._writer
        begun = select(SEGMENTS.c.name).where(SEGMENTS.c.state == WRITING, of_whom)
        with self._database.read() as connection:
            return connection.execute(begun).scalars().all()

    def end_epoch(self, end: pb.EndOfStream) -> None:
        """Notes why an epoch ended."""
        place = EPOCHS.c.camera_id == end.camera_id, EPOCHS.c.epoch == end.epoch
        row = {
            "camera_id": end.camera_id,
            "epoch": end.epoch,
            "ended_us": self._clock(),
            "reason": pb.EndOfStream.Reason.Name(end.reason).lower(),
            "frames": min(end.frames, 1 << 40),
        }
        with self._database.write() as connection:
            if connection.execute(select(EPOCHS.c.epoch).where(*place)).first() is None:
                connection.execute(insert(EPOCHS).values(row))

    def endings(self, camera_id: str, epochs: Sequence[int]) -> dict[int, str]:
        """Epoch → why it ended, of those that did."""
        ended = select(EPOCHS.c.epoch, EPOCHS.c.reason).where(
            EPOCHS.c.camera_id == camera_id, EPOCHS.c.epoch.in_(epochs)
        )
        with self._database.read() as connection:
            return {row.epoch: row.reason for row in connection.execute(ended)}

    def used_bytes(self) -> int:
        """Of all segments together."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(USAGE.c.size), 0))).scalar_one())

    def newest_us(self) -> int | None:
        """When the newest segment was begun; None in an empty index."""
        newest = select(SEGMENTS.c.begun_us).order_by(SEGMENTS.c.id.desc()).limit(1)
        with self._database.read() as connection:
            begun: int | None = connection.execute(newest).scalar()
        return begun

    def oldest_due_us(self) -> int | None:
        """When the segment that expires first is due; None where nothing expires. Held ones don't count."""
        first = select(func.min(SEGMENTS.c.due_us)).where(SEGMENTS.c.state == LIVE, not_held())
        with self._database.read() as connection:
            due: int | None = connection.execute(first).scalar()
        return due

    def in_time(self, camera_id: str, start_us: int, end_us: int) -> Iterator[Segment]:
        """Video segments that touch a range, in order of epoch and number, tombstones too; some at a time.

        Where the range begins in the middle of a group of pictures, those before it come first, back to the keyframe.
        """
        for epoch, first in self._epochs(camera_id, start_us, end_us):
            number = self._back_to_keyframe(camera_id, epoch, first)
            while True:
                page = self._page(camera_id, epoch, number, end_us)
                yield from page
                if len(page) < _PAGE:
                    break
                number = page[-1].number + 1

    def spans_of(self, camera_id: str, epoch: int, first_seq: int, last_seq: int) -> list[Segment]:
        """Segments of spans that touch these frames, in the order in which their spans came."""
        return list(self.spans_within(camera_id, epoch, first_seq, last_seq))

    def spans_within(self, camera_id: str, epoch: int, first_seq: int, last_seq: int) -> Iterator[Segment]:
        """The same for many frames; some at a time."""
        touching = _joined().where(
            SEGMENTS.c.camera_id == camera_id,
            SEGMENTS.c.kind == "spans",
            SEGMENTS.c.epoch == epoch,
            SEGMENTS.c.state == LIVE,
            SEGMENTS.c.last_seq >= first_seq,
            SEGMENTS.c.first_seq <= last_seq,
        )
        number = -1
        while True:
            page = touching.where(SEGMENTS.c.number > number).order_by(SEGMENTS.c.number).limit(_PAGE)
            with self._database.read() as connection:
                found = [_segment(row) for row in connection.execute(page)]
            yield from found
            if len(found) < _PAGE:
                break
            number = found[-1].number

    def again(self, segment: Segment) -> Segment | None:
        """The same segment as it is now."""
        with self._database.read() as connection:
            row = connection.execute(_joined().where(SEGMENTS.c.id == segment.id)).one_or_none()
        return None if row is None else _segment(row)

    def is_held(self, segment: Segment) -> bool:
        """Whether a legal hold keeps it."""
        free = select(SEGMENTS.c.id).where(SEGMENTS.c.id == segment.id, not_held())
        with self._database.read() as connection:
            return connection.execute(free).first() is None

    def _epochs(self, camera_id: str, start_us: int, end_us: int) -> list[tuple[int, int]]:
        """Epochs that touch a range and the number of the first segment of each in it, oldest first."""
        touched = (
            select(SEGMENTS.c.epoch, func.min(SEGMENTS.c.number))
            .where(
                *overlapping(camera_id, start_us, end_us),
                SEGMENTS.c.kind == "video",
                SEGMENTS.c.state != WRITING,
            )
            .group_by(SEGMENTS.c.epoch)
            .order_by(SEGMENTS.c.epoch)
        )
        with self._database.read() as connection:
            return [(epoch, number) for epoch, number in connection.execute(touched)]

    def _back_to_keyframe(self, camera_id: str, epoch: int, number: int) -> int:
        before = select(func.max(SEGMENTS.c.number)).where(
            SEGMENTS.c.camera_id == camera_id,
            SEGMENTS.c.kind == "video",
            SEGMENTS.c.epoch == epoch,
            SEGMENTS.c.number <= number,
            SEGMENTS.c.keyframe,
        )
        with self._database.read() as connection:
            found = connection.execute(before).scalar()
        return number if found is None else int(found)

    def _page(self, camera_id: str, epoch: int, number: int, end_us: int) -> list[Segment]:
        following = _joined().where(
            SEGMENTS.c.camera_id == camera_id,
            SEGMENTS.c.kind == "video",
            SEGMENTS.c.epoch == epoch,
            SEGMENTS.c.number >= number,
            SEGMENTS.c.start_us < end_us,
            SEGMENTS.c.state != WRITING,
        )
        with self._database.read() as connection:
            rows = connection.execute(following.order_by(SEGMENTS.c.number).limit(_PAGE)).all()
        return [_segment(row) for row in rows]


def use(connection: Connection, camera_id: str, more: int) -> None:
    """Counts bytes that a camera takes up now, or fewer where `more` is negative."""
    mine = USAGE.c.camera_id == camera_id
    done = connection.execute(update(USAGE).where(mine).values(size=USAGE.c.size + more))
    if done.rowcount == 0:
        connection.execute(insert(USAGE).values(camera_id=camera_id, size=more))


_COLUMNS = ("name", "kind", "camera_id", "epoch", "number", "state", "start_us", "end_us", "first_seq", "last_seq")
_MORE = ("messages", "keyframe", "size", "sha256", "due_us", "salt")


def _joined() -> _Segments:
    columns = [SEGMENTS.c.id, *(SEGMENTS.c[name] for name in (*_COLUMNS, *_MORE))]
    key = (KEYS.c.id.label("key_row"), KEYS.c.key_id, KEYS.c.wrapped, KEYS.c.wrapped_by, KEYS.c.hour_us)
    return select(*columns, *key).join(KEYS, SEGMENTS.c.key == KEYS.c.id)


def _segment(row: Row[Any]) -> Segment:
    values = {name: getattr(row, name) for name in (*_COLUMNS, *_MORE)}
    key = WrappedKey(row.key_row, row.camera_id, row.key_id, row.wrapped, row.wrapped_by)
    return Segment(id=row.id, hour_us=row.hour_us, key=key, **values)
