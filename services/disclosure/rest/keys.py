"""Keys by which a script can file a request again without filing it twice."""

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, delete, insert, select, update

from services.accounts.secrets import hash_of
from services.bus.clock import Clock, now_us
from services.disclosure.errors import Conflict, Unavailable
from services.sql import Database, Words

_METADATA = MetaData()
_KEYS = Table(
    "accounts_filing_keys",
    _METADATA,
    Column("key", Text, primary_key=True),  # SHA-256 of account and key
    Column("content", Text, nullable=False),  # SHA-256 of what was sent
    Column("request", Text, nullable=False),  # empty while it is being filed
    Column("made_us", BigInteger, nullable=False, index=True),
)
_DAY_US = 24 * 3600 * 1_000_000
_FILING_US = 60 * 1_000_000
WORDS = Words("the database of accounts", Unavailable, Conflict, "That request is being filed already: wait for it.")


class FilingKeys:
    """Keys of the last day, in the database of accounts.

    Args:
        database: with these errors: `WORDS`.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Database, clock: Clock = now_us) -> None:
        self._database, self._clock = database, clock
        with database.alone() as connection:
            _METADATA.create_all(connection)

    def take(self, account: str, key: str, content: str) -> str:
        """The request that was filed with a key; "" where it has to be filed now. Raises Conflict.

        Args:
            account: id of who files.
            key: as they chose it.
            content: what they sent; another one under the same key is a mistake.
        """
        now_us_, kept = self._clock(), hash_of(f"{account} {key}")
        with self._database.write() as connection:
            connection.execute(delete(_KEYS).where(_KEYS.c.made_us < now_us_ - _DAY_US))
            abandoned = (_KEYS.c.request == "") & (_KEYS.c.made_us < now_us_ - _FILING_US)
            connection.execute(delete(_KEYS).where(abandoned))
            row = connection.execute(select(_KEYS).where(_KEYS.c.key == kept)).mappings().first()
            if row is None:
                values = {"key": kept, "content": hash_of(content), "request": "", "made_us": now_us_}
                connection.execute(insert(_KEYS).values(**values))
                return ""
        if row["content"] != hash_of(content):
            raise Conflict("Something else was filed under that Idempotency-Key.")
        if not row["request"]:
            raise Conflict(WORDS.taken)
        return str(row["request"])

    def keep(self, account: str, key: str, request: str) -> None:
        """It was filed."""
        with self._database.write() as connection:
            mine = _KEYS.c.key == hash_of(f"{account} {key}")
            connection.execute(update(_KEYS).where(mine).values(request=request))

    def drop(self, account: str, key: str) -> None:
        """It could not be filed."""
        with self._database.write() as connection:
            connection.execute(delete(_KEYS).where(_KEYS.c.key == hash_of(f"{account} {key}")))
