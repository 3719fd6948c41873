"""Tables of requests and of what was done with them, the same on SQLite and PostgreSQL.

Times are microseconds since 1970.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA = 1
"""Version of these tables; a database of another one is refused."""

METADATA = MetaData()

# SQLite numbers rows by itself only where the column is called INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

VERSION = Table(
    "disclosure_schema",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
"""One row: the version of these tables."""

REQUESTS = Table(
    "disclosure_requests",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("due", Text, nullable=False),  # a day, ISO 8601
    Column("expires_us", BigInteger),
    Column("body", Text, nullable=False),  # the whole request as JSON
    Index("ix_disclosure_requests_state_due", "state", "due"),
)

EVENTS = Table(
    "disclosure_events",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("request", Text, nullable=False, index=True),
    Column("event", LargeBinary, nullable=False),  # a veil.v1 AuditEvent
    Column("hash", LargeBinary, nullable=False),
    Column("published", Integer, nullable=False, default=0),
)
