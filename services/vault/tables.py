"""The index's tables, the same on SQLite and PostgreSQL; migrations/ makes them, and a test holds the two together.

Times are microseconds since 1970.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the column is called INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

LOCK = Table(
    "vault_lock",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
)
"""One row: who decides what goes and what stays holds it, so that a hold and a purge can't pass each other."""

KEYS = Table(
    "vault_keys",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("camera_id", Text, nullable=False),
    Column("hour_us", BigInteger, nullable=False),
    Column("key_id", Text, nullable=False, unique=True),
    Column("wrapped", LargeBinary),  # NULL: destroyed
    Column("wrapped_by", Text, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("gone_us", BigInteger),
)
# Of one camera and hour only one key is alive.
Index(
    "uq_vault_keys_alive",
    KEYS.c.camera_id,
    KEYS.c.hour_us,
    unique=True,
    sqlite_where=KEYS.c.gone_us.is_(None),
    postgresql_where=KEYS.c.gone_us.is_(None),
)

PURGES = Table(
    "vault_purges",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("camera_id", Text, nullable=False, index=True),
    Column("at_us", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("done_us", BigInteger),
)

SEGMENTS = Table(
    "vault_segments",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("camera_id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # video, spans
    Column("epoch", BigInteger, nullable=False),
    Column("number", BigInteger),  # within camera, kind and epoch, from 0; NULL until it is live
    Column("key", _Id, ForeignKey("vault_keys.id"), nullable=False, index=True),
    Column("salt", LargeBinary),  # NULL: not written yet, or its key is gone
    Column("state", Text, nullable=False),  # writing, live, purging, gone
    Column("writer", Text, nullable=False),
    Column("begun_us", BigInteger, nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("marks", LargeBinary, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("keyframe", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("purge", Text, ForeignKey("vault_purges.id"), index=True),
    Column("gone_us", BigInteger),
    UniqueConstraint("camera_id", "kind", "epoch", "number"),
    Index("ix_vault_segments_time", "camera_id", "kind", "start_us"),
    Index("ix_vault_segments_seq", "camera_id", "kind", "epoch", "last_seq"),
    Index("ix_vault_segments_due", "state", "due_us"),
)

EPOCHS = Table(
    "vault_epochs",
    METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("ended_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("frames", BigInteger, nullable=False),
)

USAGE = Table(
    "vault_usage",
    METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
)

HOLDS = Table(
    "vault_holds",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("camera_id", Text, nullable=False, index=True),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("released_us", BigInteger),
    Column("released_by", Text),
    Column("released_why", Text),
)

EVENTS = Table(
    "vault_events",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("camera_id", Text, nullable=False, index=True),
    Column("event", LargeBinary, nullable=False),  # a veil.v1 AuditEvent
    Column("hash", LargeBinary, nullable=False),
    Column("published", Boolean, nullable=False, server_default=text("false")),
)
Index(
    "ix_vault_events_unpublished",
    EVENTS.c.id,
    sqlite_where=text("NOT published"),
    postgresql_where=text("NOT published"),
)
