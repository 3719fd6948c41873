"""The broker itself enforces least privilege: each principal, each topic, reading and writing, as the table says."""

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import (
    AuthorizationError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from deploy.stack.certificates import make_certificates
from deploy.stack.kafka import KafkaServer
from services.bus.interface import BusLost
from services.bus.kafka_client import check_broker, client_options
from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import all_topics, principals
from services.bus.topics import Topic

FUSED = {
    "read": {"video.source", "redactions", "video.redacted"},
    "write": {"video.redacted", "video.source.dlq", "redactions.dlq", "video.rendered.dlq"},
}
STAGE_GROUPS = ("inference", "tracker", "renderer", "encoder", "vault", "renderer-encoder")
WAIT_S = 10
METADATA = 3
NAMES = [topic.name for topic in all_topics()]


def may(principal: str, topic: Topic, verb: str) -> bool:
    if principal == "renderer-encoder":
        return topic.name in FUSED[verb]
    return principal in (topic.writers if verb == "write" else (*topic.readers, *topic.audience))


def producer_of(server: KafkaServer, name: str, *, idempotent: bool = False) -> KafkaProducer:
    """An idempotent one would already fail at its start for who may write nothing at all."""
    options = client_options(server.settings(name))
    return KafkaProducer(**options, enable_idempotence=idempotent, max_block_ms=WAIT_S * 1000)


def writes(producer: KafkaProducer, topic: str) -> bool:
    try:
        producer.send(topic, b"a record", partition=0).get(timeout=WAIT_S)
    except TopicAuthorizationFailedError:
        return False
    return True


def reads(consumer: KafkaConsumer, topic: str) -> bool:
    """True once a record came, False at a refusal: of the records, or to say anything about the topic."""
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            if consumer.poll(timeout_ms=100):
                return True
        except TopicAuthorizationFailedError:
            return False
        if topic in consumer._cluster.unauthorized_topics:
            return False
    raise AssertionError(f"neither a record of {topic} nor a refusal")


@pytest.fixture(scope="module")
def filled(kafka: KafkaServer) -> KafkaServer:
    """The broker, with a record in each topic to be read, or not."""
    with closing(KafkaProducer(**client_options(kafka.settings("admin")))) as producer:
        for name in NAMES:
            producer.send(name, b"a record", partition=0)
        producer.flush(WAIT_S)
    return kafka


@pytest.fixture(params=principals())
def principal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def producer(filled: KafkaServer, principal: str) -> Iterator[KafkaProducer]:
    with closing(producer_of(filled, principal)) as client:
        yield client


@pytest.fixture
def consumer(filled: KafkaServer, principal: str) -> Iterator[KafkaConsumer]:
    with closing(KafkaConsumer(**client_options(filled.settings(principal)), group_id=None)) as client:
        yield client


def test_i4_each_principal_writes_what_the_table_says_and_nothing_else(producer: KafkaProducer, principal: str) -> None:
    outcome = {topic.name: writes(producer, topic.name) for topic in all_topics()}
    assert outcome == {topic.name: may(principal, topic, "write") for topic in all_topics()}


def test_i4_each_principal_reads_what_the_table_says_and_nothing_else(consumer: KafkaConsumer, principal: str) -> None:
    outcome = {topic.name: reads(consumer, topic.name) for topic in all_topics()}
    assert outcome == {topic.name: may(principal, topic, "read") for topic in all_topics()}


def test_the_right_to_write_covers_idempotent_writes(filled: KafkaServer) -> None:
    with closing(producer_of(filled, "decoder", idempotent=True)) as producer:
        assert writes(producer, "video.source")


@pytest.mark.parametrize(
    ("name", "readable"),
    [("analytics", {"metadata.tracks", "metadata.stats"}), ("control-centre", {"video.redacted"})],
)
def test_i4_who_consumes_reads_its_own_and_is_refused_everything_else(
    filled: KafkaServer, name: str, readable: set[str]
) -> None:
    with closing(KafkaConsumer(**client_options(filled.settings(name)), group_id=None)) as consumer:
        assert {topic for topic in NAMES if reads(consumer, topic)} == readable
    with closing(producer_of(filled, name)) as producer:
        assert not {topic for topic in NAMES if writes(producer, topic)}


def test_i4_the_console_reads_what_is_masked_or_anonymous_and_tells_the_audit(filled: KafkaServer) -> None:
    with closing(KafkaConsumer(**client_options(filled.settings("console")), group_id=None)) as consumer:
        readable = {topic for topic in NAMES if reads(consumer, topic)}
    assert readable == {"video.redacted", "metadata.tracks", "metadata.stats"}
    with closing(producer_of(filled, "console")) as producer:
        assert {topic for topic in NAMES if writes(producer, topic)} == {"audit"}


def joins(server: KafkaServer, name: str, group: str, topic: str) -> bool:
    options = client_options(server.settings(name))
    with closing(KafkaConsumer(topic, **options, group_id=group, auto_offset_reset="earliest")) as consumer:
        try:
            return bool(consumer.poll(timeout_ms=WAIT_S * 1000))
        except GroupAuthorizationFailedError:
            return False


def test_i4_who_consumes_names_its_groups_after_itself(filled: KafkaServer) -> None:
    assert joins(filled, "analytics", "analytics-traffic", "metadata.stats")


@pytest.mark.parametrize("group", STAGE_GROUPS)
def test_i4_nobody_takes_partitions_from_a_stage_by_joining_its_group(filled: KafkaServer, group: str) -> None:
    assert not joins(filled, "analytics", group, "metadata.stats")


def test_i4_a_stage_cannot_join_the_group_of_another(filled: KafkaServer) -> None:
    assert not joins(filled, "vault", "renderer", "video.source")


@pytest.mark.parametrize("name", ["analytics", "decoder", "console"])
def test_i4_only_the_administrator_changes_the_broker(filled: KafkaServer, name: str) -> None:
    with closing(KafkaAdminClient(**client_options(filled.settings(name)))) as client:
        with pytest.raises(AuthorizationError):
            client.create_topics({"mine": {"num_partitions": 1, "replication_factor": 1}})
        with pytest.raises(AuthorizationError):
            client.delete_topics(["video.source"])
        everything = ResourcePattern(ResourceType.TOPIC, "video.source", ACLResourcePatternType.LITERAL)
        grant = ACL(f"User:{name}", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, everything)
        assert client.create_acls([grant])["failed"] == [ClusterAuthorizationFailedError]


def test_a_topic_that_nobody_made_is_not_made_by_a_write(filled: KafkaServer) -> None:
    options = client_options(filled.settings("admin"))
    with closing(KafkaProducer(**options, max_block_ms=2000)) as producer:
        with suppress(KafkaError):
            producer.send("video.sourse", b"a record").get(timeout=WAIT_S)
        with closing(KafkaAdminClient(**options)) as client:
            assert "video.sourse" not in client.list_topics()


def refusal(settings: KafkaSettings) -> str:
    with pytest.raises(BusLost) as refused:
        check_broker(settings)
    return str(refused.value)


def test_i4_a_wrong_password_is_refused(kafka: KafkaServer, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("guess\n")
    said = refusal(kafka.settings("decoder").model_copy(update={"password_file": wrong}))
    assert "decoder" in said
    assert "guess" not in said


def test_i4_an_unknown_user_is_refused(kafka: KafkaServer) -> None:
    settings = kafka.settings("decoder").model_copy(update={"username": "mallory"})
    refusal(settings)


def test_i4_a_client_without_tls_is_refused(kafka: KafkaServer) -> None:
    refusal(KafkaSettings(bootstrap=kafka.bootstrap))
    refusal(kafka.settings("decoder").model_copy(update={"ca_file": None}))


def test_i4_tls_alone_is_refused(kafka: KafkaServer) -> None:
    """Who asks for the topics before logging in gets no answer."""
    frame = struct.pack(">hhihi?", METADATA, 4, 1, -1, -1, False)
    with pytest.raises(ConnectionError):
        call(client_port(kafka), kafka.ca_file, struct.pack(">i", len(frame)) + frame)


def test_i4_between_brokers_a_certificate_is_asked_for(kafka: KafkaServer) -> None:
    """A caller without one gets no further than the handshake on the ports that make a super user."""
    for port in kafka.internal_ports:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            call(port, kafka.ca_file, b"\0\0\0\0")


def client_port(kafka: KafkaServer) -> int:
    return int(kafka.bootstrap.rpartition(":")[2])


def call(port: int, ca_file: Path | None, said: bytes) -> None:
    """Raises where no answer comes. With TLS 1.3 a missing certificate is refused only after the client's last word."""
    context = ssl.create_default_context(cafile=str(ca_file))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(said)
        if not secured.recv(1):
            raise ConnectionError("closed by the broker")


def test_a_broker_that_another_authority_vouches_for_is_not_trusted(kafka: KafkaServer, tmp_path: Path) -> None:
    make_certificates(tmp_path, "broker")
    with pytest.raises(ssl.SSLCertVerificationError):
        call(client_port(kafka), tmp_path / "ca.pem", b"")


def test_secrets_are_for_their_owner_only_and_in_no_log(kafka: KafkaServer) -> None:
    secret = [*(kafka.folder / "secrets").iterdir(), kafka.folder / "tls" / "broker.pem", *kafka.folder.glob("*.env")]
    assert {path.name for path in secret} >= {"admin.password", "decoder.password", "decoder.env"}
    assert {path.name for path in secret if path.stat().st_mode & 0o077} == set()
    logs = b"".join(log.read_bytes() for log in kafka.logs)
    for path in (kafka.folder / "secrets").iterdir():
        assert path.read_bytes().strip() not in logs


def test_the_key_of_the_authority_is_nowhere(kafka: KafkaServer) -> None:
    keys = [path for path in (kafka.folder / "tls").iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert [path.name for path in keys] == ["broker.pem"]
    assert keys[0].read_bytes().count(b"BEGIN PRIVATE KEY") == 1
