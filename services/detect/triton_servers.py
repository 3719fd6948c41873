"""Which Triton servers there are and whose turn it is: names are looked up again and again, and who fails waits."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic

import grpc  # type: ignore[import-untyped] # carries no types
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from services.bus.certificates import read_authorities

PORT = 8001
_LOOK_UP_EVERY_S = 30.0
_LOOK_UP_FAILED_S = 2.0
"""A server that fails may have come back under another address."""
_FIRST_LOOK_UP_S = 2.0
_PAUSES_S = (0.5, 4.0)
"""First and longest pause of a server that fails. Its return is tried with a small question, not with pictures."""
_OPTIONS: Sequence[tuple[str, int]] = (
    # The largest answer is that to 8 square pictures of 1920 pixels for text, 118 MB.
    ("grpc.max_receive_message_length", 128 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A machine that lost its power answers nothing at all: without this, TCP hopes for a quarter of an hour.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Pictures go to the server itself, whatever proxy the environment names.
    ("grpc.enable_http_proxy", 0),
)


class Server:
    """One server: its connection, and when it may be asked again.

    Attributes:
        address: host:port, the host a number.
        stub: its calls.
        checked: model → when its stamp was last seen to be right.
        out_until: end of its pause; 0 while it works.
    """

    def __init__(self, address: str, name: str, ca: bytes | None) -> None:
        self.address = address
        self.checked: dict[str, float] = {}
        self.out_until = 0.0
        self._pause_s = _PAUSES_S[0]
        if ca is None:
            channel = grpc.insecure_channel(address, _OPTIONS)
        else:
            # The certificate bears the name that was looked up, not the address.
            options = (*_OPTIONS, ("grpc.ssl_target_name_override", name))
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options)
        self.stub = GRPCInferenceServiceStub(channel)

    def answered(self) -> None:
        """It works: it is in the round again."""
        self.out_until = 0.0
        self._pause_s = _PAUSES_S[0]

    def failed(self, now: float) -> None:
        """Leaves it out for a while, twice as long each time."""
        self.checked.clear()
        self.out_until = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, _PAUSES_S[1])

    def rank(self, now: float) -> float:
        """Lower is asked sooner: those to be tried, those that work, those that pause."""
        if self.to_be_tried(now):
            return -1.0
        return self.out_until

    def to_be_tried(self, now: float) -> bool:
        """Its pause is over, and nobody has tried it since."""
        return 0 < self.out_until <= now

    def tried(self, now: float) -> None:
        """Somebody tries it: others need not."""
        self.out_until = now + self._pause_s


class TritonServers:
    """All servers behind a list of host:port. May be used from several threads at once.

    Args:
        urls: host:port or host; a name that stands for several addresses, such as that of a headless service, means
            one server at each.
        ca_file: certificate that signs the servers' own, PEM; without one the connection is not encrypted.
        clock: seconds, monotonic.

    Raises:
        OSError: the certificate can't be read.
    """

    def __init__(
        self, urls: Sequence[str], ca_file: Path | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._names = [_split(url) for url in urls]
        self._ca = ca_file.read_bytes() if ca_file else None
        if ca_file is not None:
            read_authorities("triton authority", ca_file)
        self._clock = clock
        self._lock = threading.Lock()
        self._servers: dict[str, Server] = {}
        self._turn = 0
        self._looked_up = 0.0
        self._looking: threading.Thread | None = None
        self._look_up_again(first=True)

    def in_turn(self) -> Iterator[Server]:
        """The servers to ask for one call, best first.

        One whose pause is over is tried, by one call. Then those that work come in turn, then those that pause: where
        none works they are asked all the same.
        """
        self._look_up_again()
        now = self._clock()
        with self._lock:
            servers = list(self._servers.values())
            self._turn += 1
            turn = self._turn % len(servers) if servers else 0
            servers = servers[turn:] + servers[:turn]
            servers.sort(key=lambda server: server.rank(now))
            if servers and servers[0].to_be_tried(now):
                servers[0].tried(now)
        yield from servers

    def failed(self, server: Server) -> None:
        """Leaves a server out for a while."""
        with self._lock:
            server.failed(self._clock())

    def answered(self, server: Server) -> None:
        """Takes a server that was left out into the round again."""
        with self._lock:
            server.answered()

    def _look_up_again(self, *, first: bool = False) -> None:
        """Looks the names up where that is due, in a thread of its own: it may take many seconds."""
        now = self._clock()
        with self._lock:
            healthy = self._servers and not any(server.out_until for server in self._servers.values())
            due = now - self._looked_up >= (_LOOK_UP_EVERY_S if healthy else _LOOK_UP_FAILED_S)
            if not first and (not due or (self._looking and self._looking.is_alive())):
                return
            self._looked_up = now
            self._looking = looking = threading.Thread(target=self._look_up, name="triton-names", daemon=True)
        looking.start()
        if first:
            looking.join(_FIRST_LOOK_UP_S)

    def _look_up(self) -> None:
        found = {address: host for host, port in self._names for address in _addresses(host, port)}
        if not found:
            return
        with self._lock:
            self._servers = {
                address: self._servers.get(address) or Server(address, host, self._ca)
                for address, host in found.items()
            }


def _split(url: str) -> tuple[str, int]:
    host, colon, port = url.rpartition(":")
    return (host, int(port)) if colon else (url, PORT)


def _addresses(host: str, port: int) -> Sequence[str]:
    """Where the name leads, as gRPC takes it; nowhere if it can't be looked up now."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    addresses = sorted({ipaddress.ip_address(entry[4][0]) for entry in found}, key=str)
    # A name with addresses of both kinds stands for the same servers twice.
    wanted = [address for address in addresses if address.version == 4] or addresses
    return [f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}" for address in wanted]
