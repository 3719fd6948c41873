"""The table of audit events, the same on SQLite and PostgreSQL, for whoever has no table of their own."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

METADATA = MetaData()

EVENTS = Table(
    "audit_events",
    METADATA,
    # SQLite numbers rows by itself only where the column is called INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("chain", Text, nullable=False),
    Column("key", Text, nullable=False),  # a camera, or *
    Column("event", LargeBinary, nullable=False),  # a veil.v1 AuditEvent
    Column("hash", LargeBinary, nullable=False),
    Column("published", Boolean, nullable=False, server_default=text("false")),
    Index("ix_audit_events_chain", "chain", "key", "id"),
)
Index(
    "ix_audit_events_unpublished",
    EVENTS.c.id,
    sqlite_where=text("NOT published"),
    postgresql_where=text("NOT published"),
)
