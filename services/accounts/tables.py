"""Tables of accounts, the same on SQLite and PostgreSQL; secrets are in them as hashes only.

Times are microseconds since 1970.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text

SCHEMA = 1
"""Version of these tables; a database of another one is refused."""

METADATA = MetaData()

VERSION = Table(
    "accounts_schema",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
"""One row. Who changes roles or locks holds it, so that the last admin can't go by two changes at once."""

ACCOUNTS = Table(
    "accounts_accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("folded", Text, nullable=False, unique=True),
    Column("person", Text, nullable=False),
    Column("roles", Text, nullable=False),  # names, with commas between them
    Column("sites", Text, nullable=False),  # a JSON list
    Column("cameras", Text, nullable=False),
    Column("password", Text),  # argon2id; NULL: none, it logs in elsewhere
    Column("subject", Text, unique=True),  # issuer and subject at the identity provider
    Column("locked", Boolean, nullable=False),
    Column("made_us", BigInteger, nullable=False),
)

NAMES = Table(
    "accounts_names",
    METADATA,
    Column("account", Text, ForeignKey("accounts_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("folded", Text, primary_key=True, index=True),
)
"""Every name and person that an account ever had: who changes theirs is nobody else by that."""

SESSIONS = Table(
    "accounts_sessions",
    METADATA,
    Column("hash", Text, primary_key=True),  # SHA-256 of the token, hex
    Column("account", Text, ForeignKey("accounts_accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("made_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("ends_us", BigInteger, nullable=False),
)

TOKENS = Table(
    "accounts_tokens",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("account", Text, ForeignKey("accounts_accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("ends_us", BigInteger, nullable=False),
)

TRIES = Table(
    "accounts_tries",
    METADATA,
    Column("key", Text, primary_key=True),  # SHA-256 of a name or an address: no list of who tried
    Column("count", Integer, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Index("ix_accounts_tries_last", "last_us"),
)

LOGINS = Table(
    "accounts_logins",
    METADATA,
    Column("hash", Text, primary_key=True),  # SHA-256 of the state that went to the identity provider
    Column("browser", Text, nullable=False),  # SHA-256 of what the browser keeps of it
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("made_us", BigInteger, nullable=False, index=True),
)
"""Single sign-ons under way."""
