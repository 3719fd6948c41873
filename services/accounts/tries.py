"""Growing pauses after wrong passwords, for each name that is tried and each address that tries."""

from ipaddress import ip_address, ip_network

from sqlalchemy import Connection, delete, insert, select, update

from services.accounts.errors import TooMany
from services.accounts.model import folded
from services.accounts.secrets import hash_of
from services.accounts.tables import TRIES
from services.bus.clock import Clock
from services.sql import Database

_FORGOTTEN_US = 24 * 3600 * 1_000_000
_SECOND_US = 1_000_000
# 2 ** 20 s is longer than any pause may be.
_DOUBLINGS_MAX = 20


class Tries:
    """Counts tries before they are made, so that many at once are no way around a pause.

    Names count whether or not there is such an account: a pause tells nothing.

    Args:
        database: of accounts.
        free: tries of a name without a pause, and from one address.
        pause_max_s: longest pause.
        clock: microseconds since 1970.
    """

    def __init__(self, database: Database, free: tuple[int, int], pause_max_s: int, clock: Clock) -> None:
        self._database, self._free, self._pause_max_s, self._clock = database, free, pause_max_s, clock

    def begin(self, name: str, address: str) -> bool:
        """Counts a try of `name` from `address`. Raises TooMany, without counting, while there is a pause.

        Returns:
            Whether a pause follows this try, should it fail.
        """
        now_us = self._clock()
        keys = _keys(name, address)
        with self._database.write() as connection:
            connection.execute(delete(TRIES).where(TRIES.c.last_us < now_us - _FORGOTTEN_US))
            rows = connection.execute(select(TRIES).where(TRIES.c.key.in_(keys)).with_for_update()).mappings()
            known = {row["key"]: row for row in rows}
            waits_us = max((row["until_us"] - now_us for row in known.values()), default=0)
            if waits_us > 0:
                seconds = -(-waits_us // _SECOND_US)
                raise TooMany(f"Too many tries: wait {seconds} s.", seconds)
            pauses = [
                self._count(connection, key, known[key]["count"] if key in known else None, free, now_us)
                for key, free in zip(keys, self._free, strict=True)
            ]
        return any(pauses)

    def succeeded(self, name: str, address: str) -> None:
        """The try was good: the name begins anew, and the address is given it back."""
        of_name, of_address = _keys(name, address)
        with self._database.write() as connection:
            connection.execute(delete(TRIES).where(TRIES.c.key == of_name))
            mine = (TRIES.c.key == of_address) & (TRIES.c.count > 0)
            connection.execute(update(TRIES).where(mine).values(count=TRIES.c.count - 1, until_us=0))

    def forget(self, name: str) -> None:
        """An admin has unlocked the account."""
        with self._database.write() as connection:
            connection.execute(delete(TRIES).where(TRIES.c.key == _keys(name, "")[0]))

    def _count(self, connection: Connection, key: str, before: int | None, free: int, now_us: int) -> bool:
        count = (before or 0) + 1
        beyond = count - free
        pause_s = min(2 ** min(beyond, _DOUBLINGS_MAX), self._pause_max_s) if beyond >= 0 else 0
        values = {"count": count, "last_us": now_us, "until_us": now_us + pause_s * _SECOND_US}
        if before is None:
            connection.execute(insert(TRIES).values(key=key, **values))
        else:
            connection.execute(update(TRIES).where(TRIES.c.key == key).values(**values))
        return pause_s > 0


def network_of(address: str) -> str:
    """The address that counts: of IPv6 the network of 64 bits, which one customer has to themselves."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)


def _keys(name: str, address: str) -> tuple[str, str]:
    return hash_of(f"name {folded(name)}"), hash_of(f"from {network_of(address)}")
