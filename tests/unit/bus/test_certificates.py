"""When certificates end is known from every connection, so that one that was renewed counts at once."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from prometheus_client import REGISTRY

from deploy.stack.certificates import make_certificates
from services.bus.kafka_client import client_options
from services.bus.kafka_settings import KafkaSettings


def gauge(certificate: str) -> float | None:
    return REGISTRY.get_sample_value("veil_tls_certificate_expiry_timestamp_seconds", {"certificate": certificate})


def end_of(pem: Path) -> float:
    return x509.load_pem_x509_certificate(pem.read_bytes()).not_valid_after_utc.timestamp()


def test_the_authority_is_read_with_the_options(tmp_path: Path) -> None:
    make_certificates(tmp_path, "broker")
    client_options(KafkaSettings(ca_file=tmp_path / "ca.pem"))
    assert gauge("kafka authority") == end_of(tmp_path / "ca.pem")


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "as the library connects"])
def test_a_brokers_certificate_is_seen_when_it_is_shown(tmp_path: Path, blocking: bool) -> None:
    make_certificates(tmp_path, "broker")
    context = client_options(KafkaSettings(ca_file=tmp_path / "ca.pem"))["ssl_context"]
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "broker.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with suppress(OSError), serving.wrap_socket(connection, server_side=True) as shown:
                shown.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        plain = socket.create_connection(server.getsockname(), 5)
        plain.setblocking(blocking)
        with context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=blocking) as connection:
            while not blocking:
                with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    connection.do_handshake()
                    break
    assert gauge("kafka localhost") == end_of(tmp_path / "broker.pem")
