"""An account as a value: its roles, what it may see, and whose it is."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from services.accounts.errors import Invalid

EVERYTHING = "*"
"""As a site: every camera of every site."""

NAMES_MAX = 1000
"""Most sites, and most cameras, that one account names."""

_NAME = re.compile(r"[^\W_][\w.@+-]{0,99}")
_PLACE = re.compile(r"[^\x00-\x1f\x7f]{1,64}")


class Role(StrEnum):
    """What an account may do; one may have several."""

    VIEWER = "viewer"
    """Looks at masked pictures and statistics."""
    OFFICER = "officer"
    """Takes requests in, looks for the subject, renders and hands over."""
    APPROVER = "approver"
    """Approves or returns what officers have made ready."""
    AUDITOR = "auditor"
    """Reads what was done, by whom and why."""
    ADMIN = "admin"
    """Makes accounts and gives roles; sees no pictures by that."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account.

    Attributes:
        id: never used again.
        name: as it logs in and is shown.
        person: whose account it is, as their house knows them, such as an address; "" where nobody said. Accounts of
            one person count as one where two people are asked for.
        roles: those that count now: of a token, only its own.
        sites, cameras: what it may see; cameras may end in *. None means none.
        locked: it can't log in until an admin unlocks it.
        single_sign_on: it logs in through the identity provider, and has no password.
        version: rises with every change.
        made_us: microseconds since 1970.
    """

    id: str
    name: str
    person: str
    roles: frozenset[Role]
    sites: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    locked: bool = False
    single_sign_on: bool = False
    version: int = 0
    made_us: int = 0

    @property
    def who(self) -> str:
        """Who acts, for requests and the audit log: the person, or the account's name where none is known."""
        return self.person or self.name

    @property
    def sees_everything(self) -> bool:
        """Whether no camera is kept from it."""
        return EVERYTHING in self.sites

    def may(self, *roles: Role) -> bool:
        """Whether it has one of these roles."""
        return not self.roles.isdisjoint(roles)

    def sees(self, camera: str, site: str = "") -> bool:
        """Whether it may see a camera, of a site where sites are known."""
        if self.sees_everything or (site and site in self.sites):
            return True
        return any(fnmatchcase(camera, each) if each.endswith("*") else camera == each for each in self.cameras)


def folded(name: str) -> str:
    """What two spellings of one name have in common."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def checked_name(name: str) -> str:
    """A name as it is kept. Raises Invalid."""
    name = unicodedata.normalize("NFKC", name).strip()
    if not _NAME.fullmatch(name):
        raise Invalid("A name has up to 100 letters, digits and . @ + - _, and starts with a letter or digit.")
    return name


def checked_roles(roles: Iterable[str]) -> frozenset[Role]:
    """Raises Invalid."""
    named = list(roles)
    if unknown := [each for each in named if each not in set(Role)]:
        raise Invalid(f"There is no role {unknown[0][:40]!r}; there are {', '.join(Role)}.")
    return frozenset(Role(each) for each in named)


def checked_places(places: Iterable[str]) -> tuple[str, ...]:
    """Names of sites or cameras, each once. Raises Invalid."""
    named = tuple(dict.fromkeys(places))
    if len(named) > NAMES_MAX:
        raise Invalid(f"An account names at most {NAMES_MAX} sites and as many cameras; {EVERYTHING} is all of them.")
    for each in named:
        if not _PLACE.fullmatch(each) or any(mark in each[:-1] for mark in "*?[") or each[-1] in "?[":
            raise Invalid("A site or camera is named by up to 64 characters; only the last may be *.")
    return named
