"""What all Kafka clients share: fit to carry pictures, quick to say why a broker can't be used."""

import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka.protocol.parser import KafkaProtocol
from kafka.record import util as record_util
from pydantic import ValidationError

from deploy.stack.certificates import make_certificates
from services.bus import kafka_client
from services.bus.kafka import KafkaBus
from services.bus.kafka_client import BusUnreachable, check_broker, client_options, prepare_process, sentence
from services.bus.kafka_settings import KafkaSettings


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    make_certificates(tmp_path, "broker")
    return tmp_path


def test_a_bus_without_the_checksum_in_c_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_util, "crc32c_c", None)
    with pytest.raises(RuntimeError, match="crc32c") as caught:
        KafkaBus(KafkaSettings())
    assert "\n" not in str(caught.value)


def test_i3_the_librarys_loggers_never_go_below_info() -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("kafka").setLevel(logging.NOTSET)
    prepare_process()
    assert not logging.getLogger("kafka.net.connection").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("kafka.net.connection").isEnabledFor(logging.INFO)


def test_i3_a_response_that_can_not_be_read_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    prepare_process()
    log = logging.getLogger(KafkaProtocol.__module__)
    log.error("Unable to decode %d-byte buffer: %r", 6, b"pixels")
    assert "pixels" not in caplog.text


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_server_that_says_nothing(silent: str, secure: bool, tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "_CHECK_S", 0.3)
    began = time.monotonic()
    with pytest.raises(BusUnreachable, match="no answer"):
        check_broker(KafkaSettings(bootstrap=silent, ca_file=tls / "ca.pem" if secure else None))
    assert time.monotonic() - began < 2


def test_a_broker_that_is_not_there() -> None:
    with pytest.raises(BusUnreachable, match=r"Kafka at 127\.0\.0\.1:9 can't be used: Connection refused"):
        check_broker(KafkaSettings(bootstrap="127.0.0.1:9"))


def test_every_broker_is_tried(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "_CHECK_S", 0.6)
    with pytest.raises(BusUnreachable, match=r"used: Connection refused.*; no answer"):
        check_broker(KafkaSettings(bootstrap=f"127.0.0.1:9,{silent}"))


def test_credentials_decide_the_protocol(tls: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\nanything\n")
    ca = tls / "ca.pem"
    both = client_options(KafkaSettings(ca_file=ca, username="renderer", password_file=password))
    assert both["security_protocol"] == "SASL_SSL"
    assert (both["sasl_mechanism"], both["sasl_plain_username"], both["sasl_plain_password"]) == (
        "SCRAM-SHA-512",
        "renderer",
        "secret",
    )
    assert both["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert both["ssl_context"].check_hostname
    assert both["ssl_context"].minimum_version >= ssl.TLSVersion.TLSv1_2
    assert client_options(KafkaSettings(ca_file=ca))["security_protocol"] == "SSL"
    assert client_options(KafkaSettings())["security_protocol"] == "PLAINTEXT"


def test_a_user_without_a_password(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for settings in (
        KafkaSettings(username="renderer"),
        KafkaSettings(username="renderer", password_file=empty),
        KafkaSettings(username="renderer", password_file=tmp_path / "none"),
    ):
        with pytest.raises(BusUnreachable, match="password file"):
            client_options(settings)


def test_a_sentence_has_no_room_for_a_payload() -> None:
    assert sentence("a record was lost", ValueError("pixels")) == "a record was lost: ValueError"


def test_a_record_may_wait_longer_than_one_request() -> None:
    with pytest.raises(ValidationError, match="delivery_timeout_s"):
        KafkaSettings(delivery_timeout_s=5, request_timeout_s=5, linger_ms=2)
