"""Sessions of browsers and tokens of scripts; both are random, and only their hashes are kept."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, RowMapping, delete, insert, select, update

from services.accounts.book import account_of, roles_of, stored_roles
from services.accounts.errors import Conflict, Invalid, Unknown
from services.accounts.model import Account, Role
from services.accounts.secrets import BEARER, TOKEN_LENGTH, hash_of, new_token
from services.accounts.tables import ACCOUNTS, SESSIONS, TOKENS
from services.bus.clock import Clock
from services.sql import Database

SESSIONS_MAX = 20
"""Sessions of one account; the one that was silent for longest goes."""
TOKENS_MAX = 20

_DAY_US = 24 * 3600 * 1_000_000
# How exactly it is known when a session was last used: not each request is a write.
_SEEN_EVERY_US = 60 * 1_000_000
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_LENGTH}}}")


class Sessions:
    """Sessions of browsers.

    Args:
        database: of accounts.
        idle_us: a session ends after so long without a request.
        lasts_us: a session ends after so long.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Database, idle_us: int, lasts_us: int, clock: Clock) -> None:
        self._database, self._idle_us, self._lasts_us, self._clock = database, idle_us, lasts_us, clock

    def begin(self, account: Account) -> str:
        """The token of a new session; the only copy."""
        token, now_us = new_token(), self._clock()
        with self._database.write() as connection:
            connection.execute(delete(SESSIONS).where(self._is_over(now_us)))
            mine = select(SESSIONS.c.hash).where(SESSIONS.c.account == account.id).order_by(SESSIONS.c.seen_us.desc())
            too_many = connection.execute(mine.offset(SESSIONS_MAX - 1)).scalars().all()
            connection.execute(delete(SESSIONS).where(SESSIONS.c.hash.in_(too_many)))
            connection.execute(
                insert(SESSIONS).values(
                    hash=hash_of(token),
                    account=account.id,
                    made_us=now_us,
                    seen_us=now_us,
                    ends_us=now_us + self._lasts_us,
                )
            )
        return token

    def find(self, token: str) -> Account | None:
        """Whose session it is; None where it is nobody's, is over, or its account is locked."""
        if not _TOKEN.fullmatch(token):
            return None
        now_us, kept = self._clock(), hash_of(token)
        alive = (SESSIONS.c.hash == kept) & ~self._is_over(now_us) & ACCOUNTS.c.locked.is_(False)
        wanted = select(ACCOUNTS, SESSIONS.c.seen_us).join(SESSIONS, SESSIONS.c.account == ACCOUNTS.c.id).where(alive)
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            return None
        if now_us - row["seen_us"] > _SEEN_EVERY_US:
            with self._database.write() as connection:
                connection.execute(update(SESSIONS).where(SESSIONS.c.hash == kept).values(seen_us=now_us))
        return account_of(row)

    def end(self, token: str) -> None:
        """Ends one; does nothing where there is none."""
        with self._database.write() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.hash == hash_of(token)))

    def _is_over(self, now_us: int) -> ColumnElement[bool]:
        return (SESSIONS.c.ends_us <= now_us) | (SESSIONS.c.seen_us <= now_us - self._idle_us)


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a script's token; never the token itself.

    Attributes:
        id: to revoke it by.
        label: what it is for.
        roles: of its account, those that it has.
        made_us, ends_us: microseconds since 1970.
    """

    id: str
    label: str
    roles: frozenset[Role]
    made_us: int
    ends_us: int


class Tokens:
    """Tokens of scripts.

    Args:
        database: of accounts.
        days_max: longest life.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Database, days_max: int, clock: Clock) -> None:
        self._database, self._days_max, self._clock = database, days_max, clock

    def make(self, account: Account, label: str, roles: frozenset[Role], days: int) -> tuple[Token, str]:
        """A token with some roles of an account. Returns what is kept, and the token itself, the only copy.

        Raises Invalid, Conflict where the account has too many.
        """
        if not 1 <= days <= self._days_max:
            raise Invalid(f"A token lasts from 1 to {self._days_max} days.")
        if not roles or not roles <= account.roles:
            raise Invalid("A token has at least one role, and none that its account has not.")
        secret, now_us = BEARER + new_token(), self._clock()
        token = Token(f"t{secrets.token_hex(6)}", label, roles, now_us, now_us + days * _DAY_US)
        with self._database.write() as connection:
            connection.execute(delete(TOKENS).where(TOKENS.c.ends_us <= now_us))
            mine = select(TOKENS.c.id).where(TOKENS.c.account == account.id)
            if len(connection.execute(mine).all()) >= TOKENS_MAX:
                raise Conflict(f"The account has {TOKENS_MAX} tokens: revoke one first.")
            connection.execute(
                insert(TOKENS).values(
                    id=token.id,
                    hash=hash_of(secret),
                    account=account.id,
                    label=label,
                    roles=stored_roles(roles),
                    made_us=now_us,
                    ends_us=token.ends_us,
                )
            )
        return token, secret

    def find(self, secret: str) -> Account | None:
        """Whose token it is, with the roles that both have; None where it is nobody's, or over."""
        if not secret.startswith(BEARER) or not _TOKEN.fullmatch(secret.removeprefix(BEARER)):
            return None
        alive = (TOKENS.c.hash == hash_of(secret)) & (TOKENS.c.ends_us > self._clock()) & ACCOUNTS.c.locked.is_(False)
        both = select(ACCOUNTS, TOKENS.c.roles.label("token_roles")).join(TOKENS, TOKENS.c.account == ACCOUNTS.c.id)
        with self._database.read() as connection:
            row = connection.execute(both.where(alive)).mappings().first()
        if row is None:
            return None
        account = account_of(row)
        return replace(account, roles=account.roles & roles_of(row["token_roles"]))

    def list(self, account: Account) -> Sequence[Token]:
        """Those of an account that are not over, newest first."""
        alive = (TOKENS.c.account == account.id) & (TOKENS.c.ends_us > self._clock())
        with self._database.read() as connection:
            rows = connection.execute(select(TOKENS).where(alive).order_by(TOKENS.c.made_us.desc())).mappings()
            return [_token_of(row) for row in rows]

    def revoke(self, account: Account, token_id: str) -> None:
        """Ends one of an account. Raises Unknown."""
        with self._database.write() as connection:
            mine = (TOKENS.c.account == account.id) & (TOKENS.c.id == token_id)
            if not connection.execute(delete(TOKENS).where(mine)).rowcount:
                raise Unknown("The account has no token of that id.")


def _token_of(row: RowMapping) -> Token:
    return Token(row["id"], row["label"], roles_of(row["roles"]), row["made_us"], row["ends_us"])
