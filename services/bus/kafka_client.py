"""What every Kafka client here has in common: its options, the check at the start, and errors as sentences."""

import logging
import socket
import ssl
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final

import kafka
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailedError,
)
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.record import util as record_util

from services.bus.certificates import read_authorities, saw_peer
from services.bus.interface import BusLost
from services.bus.kafka_settings import KafkaSettings

# Refused logins and missing rights: waiting mends neither.
DENIED: Final = (AuthorizationError, SaslAuthenticationFailedError)

_CHECK_S = 8.0
_TOPIC_S = 5.0
_SOCKET_BYTES = 1 << 20
_TLS_RECORD_BYTES = 16 << 10


class BusUnreachable(BusLost):
    """No broker can be used as things are set up: none answers, or it refuses this client. One clear sentence."""


class _TlsSocket(ssl.SSLSocket):
    """Makes up for how the library receives.

    It asks for 4 KB at a time, and fights for the interpreter lock each time: here it gets a whole TLS record. And it
    throws away what came together with the end of the connection, which is why a broker refuses a login: here the end
    comes by itself.
    """

    _ended = False

    def do_handshake(self, block: bool = False) -> None:
        """Notes when the broker's certificate ends: it is renewed while this process goes on."""
        super().do_handshake(block)
        saw_peer(f"kafka {self.server_hostname}", self)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        data = super().recv(max(buflen, _TLS_RECORD_BYTES), flags)
        if not data and not self._ended:
            self._ended = True
            raise ssl.SSLWantReadError
        return data


def prepare_process() -> None:
    """Makes the library fit to carry pictures. Raises RuntimeError where it would be a thousand times too slow.

    At DEBUG the library logs what it sends and receives; its parser logs a response that it can't read at ERROR.
    """
    if record_util.crc32c_c is None:
        raise RuntimeError("Kafka needs the package crc32c: without it checksums take 109 ms per MB; install crc32c")
    log = logging.getLogger("kafka")
    if log.getEffectiveLevel() < logging.INFO:
        log.setLevel(logging.INFO)
    logging.getLogger("kafka.protocol.parser").setLevel(logging.CRITICAL)


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that producers, consumers and administrators share. Raises BusUnreachable if a file can't be read."""
    return {
        "bootstrap_servers": settings.bootstrap.split(","),
        "bootstrap_timeout_ms": milliseconds(_CHECK_S),
        "request_timeout_ms": milliseconds(settings.request_timeout_s),
        # A broker that comes back is found within a second, not within the library's thirty.
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 1000,
    } | _security(settings)


def data_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options of the clients that carry records."""
    return client_options(settings) | {
        "metrics_enabled": False,
        # A topic or partition that is made later is seen within this time.
        "metadata_max_age_ms": 30_000,
        "socket_options": [
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES),
            (socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES),
            # A host that vanished answers nothing; left to the system it would be believed in for a quarter of an hour.
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds(settings.request_timeout_s)),
        ],
    }


def check_broker(settings: KafkaSettings) -> None:
    """Connects and logs in once. Raises BusUnreachable within about ten seconds.

    The library's own clients only say that they timed out, whatever the reason.
    """
    options = client_options(settings)
    net = NetworkSelector()
    manager = KafkaConnectionManager(net, **options)
    refusals: list[str] = []
    try:
        # In an order that changes from run to run: the library shuffles them.
        brokers = manager.cluster.bootstrap_brokers()
        for broker in brokers:
            error = _connect(net, manager, broker, _CHECK_S / len(brokers))
            if error is None:
                return
            refusals.append(_refusal(error, settings))
    finally:
        manager.close()
        net.close()
    raise BusUnreachable(f"Kafka at {settings.bootstrap} can't be used: {'; '.join(sorted(set(refusals)))}")


def _connect(net: NetworkSelector, manager: KafkaConnectionManager, broker: Any, timeout_s: float) -> Exception | None:
    """Logs in to one broker; returns what kept it from that."""
    context = manager.config["ssl_context"]
    try:
        # First without the library, which leaves the sockets of failed connections to the garbage collector.
        with socket.create_connection((broker.host, broker.port), timeout_s) as connection:
            if context is not None:
                context.wrap_socket(connection, server_hostname=broker.host).close()
    except OSError as error:
        return error
    login = manager.get_connection(
        broker.node_id, timeout_ms=milliseconds(timeout_s), refresh_metadata_on_err=False
    ).init_future
    net.poll(timeout_ms=milliseconds(timeout_s), future=login)
    return login.exception if login.is_done else TimeoutError()


def check_topics(client: kafka.KafkaConsumer, topics: Collection[str]) -> None:
    """Waits until the broker has named the partitions of these topics, which the client has asked for.

    Raises BusUnreachable where one is missing or may not be read: the library would wait for it, saying nothing.
    """
    deadline = time.monotonic() + _TOPIC_S
    cluster = client._cluster
    while missing := [topic for topic in topics if not cluster.partitions_for_topic(topic)]:
        left_ms = milliseconds(deadline - time.monotonic())
        with suppress(KafkaError):
            client._net.run(client._manager.wait_for, cluster.request_update(), left_ms)
        if refused := sorted(cluster.unauthorized_topics.intersection(topics)):
            raise BusUnreachable(f"user {client.config['sasl_plain_username']} may not read {', '.join(refused)}")
        if not left_ms:
            raise BusUnreachable(f"Kafka does not have the topics {', '.join(missing)}, or is not ready yet")


def sentence(what: str, error: BaseException) -> str:
    """One sentence about a failure, without anything that could hold a payload or a password."""
    return f"{what}: {type(error).__name__}"


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, never negative."""
    return max(0, round(seconds * 1000))


def _refusal(error: Exception, settings: KafkaSettings) -> str:
    match error:
        case SaslAuthenticationFailedError():
            return f"it refuses user {settings.username}, the name or the password is wrong"
        case ssl.SSLCertVerificationError():
            return f"its certificate does not pass {settings.ca_file}, {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed, {error.reason}"
        case KafkaTimeoutError() | RequestTimedOutError() | TimeoutError():
            return "no answer"
        case OSError():
            return error.strerror or type(error).__name__
        case KafkaError():
            return str(error).removeprefix(f"{type(error).__name__}: ")
    return type(error).__name__


def _security(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {}
    protocol = "PLAINTEXT" if settings.ca_file is None else "SSL"
    if settings.ca_file is not None:
        try:
            context = ssl.create_default_context(cafile=str(settings.ca_file))
            read_authorities("kafka authority", settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BusUnreachable(f"the CA certificate {settings.ca_file} can't be read: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _TlsSocket
        options["ssl_context"] = context
    if settings.username is not None:
        protocol = f"SASL_{protocol}"
        options["sasl_mechanism"] = "SCRAM-SHA-512"
        options["sasl_plain_username"] = settings.username
        options["sasl_plain_password"] = _password(settings)
    return options | {"security_protocol": protocol}


def _password(settings: KafkaSettings) -> str:
    if settings.password_file is None:
        raise BusUnreachable(f"Kafka user {settings.username} has no password file: set VEIL_KAFKA_PASSWORD_FILE")
    try:
        lines = settings.password_file.read_text().splitlines()
    except OSError as error:
        raise BusUnreachable(f"the password file {settings.password_file} can't be read: {error}") from error
    if not lines or not lines[0]:
        raise BusUnreachable(f"the password file {settings.password_file} is empty")
    return lines[0]
