"""Finds TCP ports for servers on this machine."""

import os
import socket
from collections.abc import Iterator

FIRST = 18_000
"""Below the ports that outgoing connections get (32768 and up): a server that restarts finds its own free again."""

_LAST = 32_000
_PLACES, _PLACE = 40, 20


def free_ports(first: int = FIRST) -> Iterator[int]:
    """Ports above `first` that nobody listens on, each once. Raises RuntimeError when there are no more.

    Every process looks from another place on: two that start servers at the same time would find the same ports free.
    """
    for port in range(first + os.getpid() % _PLACES * _PLACE, _LAST):
        with socket.socket() as probe:
            # As servers do, so that connections of an ended one do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
    raise RuntimeError(f"no free port between {first} and {_LAST}")


def answers(port: int, timeout_s: float = 1.0) -> bool:
    """True if something accepts connections on this port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout_s).close()
    except OSError:
        return False
    return True
