"""Passwords: which are good enough, and their argon2id hashes."""

import unicodedata
from threading import BoundedSemaphore

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from services.accounts.errors import Invalid
from services.accounts.model import folded

LONGEST = 256
"""Characters; more is no password but an attempt to keep the machine busy."""

_KINDS_LEAST = 5
# What stands at the top of every list of stolen passwords, without the digits and marks people put around it.
_FIRST_TRIED = """
password passwort motdepasse qwerty qwertyuiop azerty azertyuiop qwertz asdfgh asdfghjkl zxcvbnm letmein
welcome iloveyou administrator admin changeme changeit secret dragon monkey football baseball superman
princess sunshine trustno master shadow login default test guest veil camera cctv videosurveillance
"""
_COMMON = frozenset(_FIRST_TRIED.split())
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
)
# Each takes 64 MiB and 4 lanes (RFC 9106, second recommendation): two at a time, the others wait.
_AT_A_TIME = BoundedSemaphore(2)


class Passwords:
    """Hashes and checks passwords.

    Args:
        least: fewest characters.
        cost: of one hash, in memory and time.
    """

    def __init__(self, least: int = 12, cost: Parameters = RFC_9106_LOW_MEMORY) -> None:
        self._least = least
        self._hasher = PasswordHasher.from_parameters(cost)
        with _AT_A_TIME:
            self._nobody = self._hasher.hash("nobody has this password")

    def checked(self, password: str, *names: str) -> str:
        """A password that is good enough for an account of these names, as it is hashed. Raises Invalid."""
        password = _plain(password)
        if len(password) < self._least:
            raise Invalid(f"A password has at least {self._least} characters; several words make a good one.")
        if len(password) > LONGEST:
            raise Invalid(f"A password has at most {LONGEST} characters.")
        small = password.casefold()
        if len(set(small)) < _KINDS_LEAST or _is_row(small):
            raise Invalid("That password repeats itself or follows a row of keys: take several words.")
        if small.strip("0123456789!?.,;:-_+*#$%&@ ") in _COMMON:
            raise Invalid("That is one of the first passwords that are tried: take several words.")
        for name in names:
            # What is in front of an @ is a name as well.
            parts = {folded(name), folded(name).partition("@")[0]}
            if any(len(part) >= 3 and part in small for part in parts):
                raise Invalid("A password must not hold the name of its account.")
        return password

    def hash(self, password: str) -> str:
        """The argon2id hash of a password that was `checked`."""
        with _AT_A_TIME:
            return self._hasher.hash(_plain(password))

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether it is the password behind a hash; takes as long where there is none."""
        password = _plain(password)[: LONGEST + 1]
        with _AT_A_TIME:
            try:
                good = self._hasher.verify(kept or self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False
        return good and kept is not None

    def is_old(self, kept: str) -> bool:
        """Whether a hash was made with weaker parameters than are used now."""
        return self._hasher.check_needs_rehash(kept)


def _plain(password: str) -> str:
    """One form of what two keyboards may write differently (NFKC, as NIST SP 800-63B asks for)."""
    return unicodedata.normalize("NFKC", password)


def _is_row(password: str) -> bool:
    return any(password in row * 2 or password in row[::-1] * 2 for row in _ROWS)
