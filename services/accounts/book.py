"""The accounts themselves: made, changed and found; no passwords are checked here."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from services.accounts.errors import Conflict, Unavailable, Unknown
from services.accounts.model import Account, Role, folded
from services.accounts.tables import ACCOUNTS, METADATA, NAMES, SCHEMA, SESSIONS, TOKENS, VERSION
from services.bus.clock import Clock
from services.sql import Database, Words

LISTED_MAX = 10_000
WORDS = Words(
    "the database of accounts",
    Unavailable,
    Conflict,
    "There is an account of that name already.",
    "VEIL_ACCOUNTS_DATABASE",
)

Change = Callable[[Account], Mapping[str, object]]
"""Given an account as it is, the fields that become others. May raise."""


class AccountBook:
    """All accounts of a house. Safe to share between threads.

    Args:
        database: whose tables are made here where they are missing.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        with database.alone() as connection:
            METADATA.create_all(connection)
            known = connection.execute(select(VERSION.c.version)).scalar()
            if known is None:
                connection.execute(insert(VERSION).values(id=1, version=SCHEMA))
            elif known != SCHEMA:
                raise Unavailable(f"The accounts are of version {known}; this Veil knows {SCHEMA}.")

    def add(self, account: Account, password: str | None = None, subject: str | None = None) -> Account:
        """Keeps a new account, with the hash of its password or its subject elsewhere. Raises Conflict."""
        account_id = f"a{secrets.token_hex(8)}"
        kept = {"id": account_id, "version": 1, "made_us": self._clock()}
        row = _row(account) | kept | {"password": password, "subject": subject}
        with self._database.write() as connection:
            connection.execute(insert(ACCOUNTS).values(**row))
            _remember(connection, account_id, account.name, account.person)
        return self.get(account.name)

    def get(self, name: str) -> Account:
        """By name. Raises Unknown."""
        found = self.find(name)
        if found is None:
            raise Unknown("There is no account of that name.")
        return found

    def find(self, name: str) -> Account | None:
        """By name, however it is spelled."""
        return self._one(ACCOUNTS.c.folded == folded(name))

    def of_subject(self, subject: str) -> Account | None:
        """By issuer and subject at the identity provider."""
        return self._one(ACCOUNTS.c.subject == subject)

    def password_of(self, account: Account | None) -> str | None:
        """The hash of its password; None where it has none."""
        wanted = select(ACCOUNTS.c.password).where(ACCOUNTS.c.id == (account.id if account else ""))
        with self._database.read() as connection:
            return connection.execute(wanted).scalar()

    def list(self) -> Sequence[Account]:
        """All accounts, by name."""
        wanted = select(ACCOUNTS).order_by(ACCOUNTS.c.folded).limit(LISTED_MAX)
        with self._database.read() as connection:
            return [account_of(row) for row in connection.execute(wanted).mappings()]

    def names_of(self, account: Account) -> frozenset[str]:
        """Every name, folded, under which the person of an account may have acted, by this or another one of theirs."""
        mine = select(NAMES.c.folded).where(NAMES.c.account == account.id)
        persons = select(NAMES.c.account).where(NAMES.c.folded.in_(mine))
        with self._database.read() as connection:
            names = connection.execute(select(NAMES.c.folded).where(NAMES.c.account.in_(persons))).scalars()
            return frozenset(names)

    def change(self, name: str, change: Change, version: int | None = None) -> Account:
        """Changes an account and ends its sessions. At least one admin stays who can log in.

        Args:
            name: whose.
            change: gives the fields that become others; also `password`, a hash.
            version: that must still be its own.

        Raises Unknown, Conflict, and what `change` raises.
        """
        with self._database.write() as connection:
            connection.execute(select(VERSION.c.id).with_for_update()).all()
            row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.folded == folded(name))).mappings().first()
            if row is None:
                raise Unknown("There is no account of that name.")
            before = account_of(row)
            if version is not None and version != before.version:
                raise Conflict("The account was changed meanwhile: look at it again.")
            fields = dict(change(before))
            _remember(connection, before.id, str(fields.get("person", "")))
            values = {key: _stored(value) for key, value in fields.items()} | {"version": before.version + 1}
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == before.id).values(**values))
            if Role.ADMIN in before.roles and not before.locked:
                _keep_an_admin(connection)
            connection.execute(SESSIONS.delete().where(SESSIONS.c.account == before.id))
            if "password" in values or values.get("locked"):
                connection.execute(TOKENS.delete().where(TOKENS.c.account == before.id))
            return account_of(connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.id == before.id)).mappings().one())

    def rehash(self, account: Account, password: str) -> None:
        """Puts a newer hash of the same password in place; nothing else changes."""
        with self._database.write() as connection:
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(password=password))

    def is_empty(self) -> bool:
        """Whether there is no account yet."""
        with self._database.read() as connection:
            return connection.execute(select(ACCOUNTS.c.id).limit(1)).first() is None

    def _one(self, condition: Any) -> Account | None:
        with self._database.read() as connection:
            row = connection.execute(select(ACCOUNTS).where(condition)).mappings().first()
        return None if row is None else account_of(row)


def account_of(row: RowMapping) -> Account:
    """The account of a row of its table."""
    return Account(
        id=row["id"],
        name=row["name"],
        person=row["person"],
        roles=roles_of(row["roles"]),
        sites=tuple(json.loads(row["sites"])),
        cameras=tuple(json.loads(row["cameras"])),
        locked=row["locked"],
        single_sign_on=row["subject"] is not None,
        version=row["version"],
        made_us=row["made_us"],
    )


def roles_of(stored: str) -> frozenset[Role]:
    """Roles as tables keep them; those of a newer Veil don't count."""
    return frozenset(Role(each) for each in stored.split(",") if each in set(Role))


def stored_roles(roles: Iterable[Role]) -> str:
    """Roles for a table."""
    return ",".join(sorted(roles))


def _row(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "folded": folded(account.name),
        "person": account.person,
        "roles": stored_roles(account.roles),
        "sites": json.dumps(account.sites),
        "cameras": json.dumps(account.cameras),
        "locked": account.locked,
    }


def _stored(value: object) -> object:
    if isinstance(value, frozenset):
        return stored_roles(value)
    return json.dumps(value) if isinstance(value, tuple) else value


def _remember(connection: Connection, account: str, *names: str) -> None:
    known = set(connection.execute(select(NAMES.c.folded).where(NAMES.c.account == account)).scalars())
    for name in {folded(each) for each in names if each} - known:
        connection.execute(insert(NAMES).values(account=account, folded=name))


def _keep_an_admin(connection: Connection) -> None:
    rest = connection.execute(select(ACCOUNTS.c.roles).where(ACCOUNTS.c.locked.is_(False))).scalars()
    if not any(Role.ADMIN in roles_of(roles) for roles in rest):
        raise Conflict("It is the last admin: make another one first.")
