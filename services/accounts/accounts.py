"""All about accounts in one place: logging in and out, and every change, each of which is told first."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from services.accounts.book import WORDS, AccountBook
from services.accounts.errors import Conflict, Invalid, NotAllowed, Refused
from services.accounts.events import CHAIN, Act
from services.accounts.model import Account, Role, checked_name, checked_places, checked_roles
from services.accounts.passwords import Passwords
from services.accounts.sessions import Sessions, Token, Tokens
from services.accounts.settings import AccountSettings
from services.accounts.tries import Tries
from services.audit.log import AuditLog, Tell
from services.bus.clock import Clock, now_us
from services.sql import Database, parsed

_MINUTE_US = 60 * 1_000_000
_PERSON_MAX = 200
_LABEL_MAX = 100
_WRONG = "Name and password don't go together."


class Accounts:
    """The accounts of a house. Every method raises AccountError. Safe to share between threads.

    Args:
        settings: say where they are, and how long things last.
        tell: is told of every login and change before it counts, and where it raises, nothing is done; the audit log
            beside the accounts if left out.
        clock: microseconds since 1970.
        passwords: hashes them; as the settings say if left out.
    """

    def __init__(
        self,
        settings: AccountSettings,
        tell: Tell | None = None,
        clock: Clock = now_us,
        passwords: Passwords | None = None,
    ) -> None:
        self.settings = settings
        self.database = Database(parsed(settings.database, WORDS, settings.database_password_file), WORDS)
        self.clock = clock
        self.log = AuditLog(self.database, CHAIN, clock)
        self._tell = tell or self.log.tell
        self.book = AccountBook(self.database, clock)
        self.sessions = Sessions(
            self.database, settings.idle_minutes * _MINUTE_US, settings.session_hours * 60 * _MINUTE_US, clock
        )
        self.tokens = Tokens(self.database, settings.token_days_max, clock)
        self._tries = Tries(self.database, (settings.tries, settings.tries_from_address), settings.pause_max_s, clock)
        self._passwords = passwords or Passwords(settings.password_least)

    def log_in(self, name: str, password: str, address: str) -> tuple[Account, str]:
        """Checks a password and begins a session.

        Args:
            name: of the account.
            password: as it was typed.
            address: from which; counts tries.

        Returns:
            The account, and the session's token.

        Raises Refused in one sentence whatever is wrong, after the same work; TooMany.
        """
        account = self._proven(name, password, address)
        self._tell(Act.LOGIN, account.who, {"object": account.name, "from": address, "by": "password"})
        return account, self.sessions.begin(account)

    def log_out(self, account: Account, token: str) -> None:
        """Ends a session."""
        self.sessions.end(token)
        self._tell(Act.LOGOUT, account.who, {"object": account.name})

    def add(
        self,
        by: str,
        name: str,
        password: str,
        roles: Iterable[str],
        *,
        person: str = "",
        sites: Iterable[str] = (),
        cameras: Iterable[str] = (),
    ) -> Account:
        """Makes an account with a password. Raises Invalid, Conflict."""
        account = Account(
            id="",
            name=checked_name(name),
            person=_checked_person(person),
            roles=checked_roles(roles),
            sites=checked_places(sites),
            cameras=checked_places(cameras),
        )
        kept = self._passwords.hash(self._passwords.checked(password, account.name, account.person))
        self._tell(Act.ADD, by, _told(account))
        return self.book.add(account, password=kept)

    def change(
        self,
        by: str,
        name: str,
        *,
        roles: Iterable[str] | None = None,
        person: str | None = None,
        sites: Iterable[str] | None = None,
        cameras: Iterable[str] | None = None,
        version: int | None = None,
    ) -> Account:
        """Changes what an account may do or see, or whose it is; what is None stays. Ends its sessions.

        Raises Unknown, Invalid, Conflict where `version` is not its own any more, or it is the last admin.
        """
        fields: dict[str, Any] = {}
        if roles is not None:
            fields["roles"] = checked_roles(roles)
        if person is not None:
            fields["person"] = _checked_person(person)
        if sites is not None:
            fields["sites"] = checked_places(sites)
        if cameras is not None:
            fields["cameras"] = checked_places(cameras)
        if not fields:
            raise Invalid("Nothing is to be changed.")
        before = self.book.get(name)
        if version is not None and version != before.version:
            raise Conflict("The account was changed meanwhile: look at it again.")
        self._tell(Act.CHANGE, by, _told(replace(before, **fields)))
        return self.book.change(name, lambda _: fields, version)

    def set_password(self, by: str, name: str, password: str) -> Account:
        """Gives an account a new password; its sessions and tokens end. Raises Unknown, Invalid, NotAllowed."""
        account = self.book.get(name)
        if account.single_sign_on:
            raise NotAllowed("The account logs in through the identity provider and has no password here.")
        kept = self._passwords.hash(self._passwords.checked(password, account.name, account.person))
        self._tell(Act.PASSWORD, by, {"object": account.name})
        return self.book.change(name, lambda _: {"password": kept})

    def change_own_password(self, account: Account, old: str, new: str, address: str) -> tuple[Account, str]:
        """As `set_password`, for who knows the old one. Returns a new session's token. Raises Refused, TooMany."""
        self._proven(account.name, old, address)
        changed = self.set_password(account.who, account.name, new)
        return changed, self.sessions.begin(changed)

    def lock(self, by: str, name: str) -> Account:
        """Keeps an account out until it is unlocked; its sessions and tokens end."""
        self._tell(Act.LOCK, by, {"object": self.book.get(name).name})
        return self.book.change(name, lambda _: {"locked": True})

    def unlock(self, by: str, name: str) -> Account:
        """Lets an account in again, and forgets its wrong passwords."""
        self._tell(Act.UNLOCK, by, {"object": self.book.get(name).name})
        self._tries.forget(name)
        return self.book.change(name, lambda _: {"locked": False})

    def make_token(self, by: str, account: Account, label: str, roles: Iterable[str], days: int) -> tuple[Token, str]:
        """A token for a script, with some of the account's roles. Raises Invalid, Conflict."""
        label = label.strip()
        if not 1 <= len(label) <= _LABEL_MAX or not label.isprintable():
            raise Invalid("Say what the token is for, in up to 100 characters.")
        named = checked_roles(roles)
        self._tell(
            Act.TOKEN_MADE,
            by,
            {"object": account.name, "for": label, "roles": ",".join(sorted(named)), "days": str(days)},
        )
        return self.tokens.make(account, label, named, days)

    def revoke_token(self, by: str, account: Account, token_id: str) -> None:
        """Ends a token. Raises Unknown."""
        self._tell(Act.TOKEN_REVOKED, by, {"object": account.name, "token": token_id})
        self.tokens.revoke(account, token_id)

    def welcome(
        self, subject: str, name: str, person: str, roles: frozenset[Role], cameras: tuple[str, ...], address: str
    ) -> tuple[Account, str]:
        """Lets somebody in whom the identity provider has shown, with what their groups allow now.

        Args:
            subject: issuer and subject, the same for ever.
            name: by which the provider calls them.
            person: whose account it is.
            roles: what their groups allow.
            cameras: what their groups may see.
            address: from which.

        Raises Refused where their groups allow nothing, or an admin has locked the account; Conflict where a local
        account has the name.
        """
        account = self.book.of_subject(subject)
        if not roles or (account is not None and account.locked):
            self._tell(Act.LOGIN_FAILED, person or name, {"from": address, "by": "single sign-on"})
            raise Refused("The identity provider knows you, but nothing here is allowed to you.")
        sites = ("*",) if "*" in cameras else ()
        cameras = () if sites else checked_places(cameras)
        if account is None:
            made = Account("", checked_name(name), _checked_person(person), roles, sites, cameras)
            self._tell(Act.ADD, made.who, {**_told(made), "by": "single sign-on"})
            account = self.book.add(made, subject=subject)
        elif (account.roles, account.sites, account.cameras, account.person) != (roles, sites, cameras, person):
            fields: dict[str, Any] = {
                "roles": roles,
                "sites": sites,
                "cameras": cameras,
                "person": _checked_person(person),
            }
            self._tell(Act.CHANGE, account.who, {**_told(replace(account, **fields)), "by": "single sign-on"})
            account = self.book.change(account.name, lambda _: fields)
        self._tell(Act.LOGIN, account.who, {"object": account.name, "from": address, "by": "single sign-on"})
        return account, self.sessions.begin(account)

    def needs_person(self, account: Account) -> bool:
        """Whether nobody knows whose account it is, though the same person may have another by single sign-on."""
        return bool(self.settings.oidc_issuer) and not account.person

    def close(self) -> None:
        """Ends all connections."""
        self.database.close()

    def _proven(self, name: str, password: str, address: str) -> Account:
        pauses = self._tries.begin(name, address)
        account = self.book.find(name)
        kept = self.book.password_of(account)
        if not self._passwords.matches(kept, password) or account is None or account.locked:
            # What was typed as a name may be a password: only names that exist are told.
            who = "somebody unknown" if account is None else account.who
            self._tell(Act.LOGIN_FAILED, who, {"from": address, "by": "password"})
            if pauses:
                self._tell(Act.LOCKED_OUT, who, {"from": address})
            raise Refused(_WRONG)
        self._tries.succeeded(name, address)
        if kept is not None and self._passwords.is_old(kept):
            self.book.rehash(account, self._passwords.hash(password))
        return account


def _checked_person(person: str) -> str:
    person = person.strip()
    if len(person) > _PERSON_MAX or not person.isprintable():
        raise Invalid("A person is named by up to 200 characters, such as an address.")
    return person


def _told(account: Account) -> dict[str, str]:
    return {
        "object": account.name,
        "person": account.person,
        "roles": ",".join(sorted(account.roles)),
        "sites": ",".join(account.sites),
        "cameras": ",".join(account.cameras),
    }
