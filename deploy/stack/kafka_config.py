"""The settings of a broker, as its properties file takes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ADMIN = "admin"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class BrokerPorts(NamedTuple):
    """Where one broker listens: for clients, for other brokers, for controllers."""

    client: int
    internal: int
    controller: int


def broker_config(node: int, brokers: Sequence[BrokerPorts], data: Path, tls: Path | None) -> dict[str, str]:
    """Settings of broker number `node`, counted from 1.

    Args:
        node: which one of `brokers`.
        brokers: ports of all.
        data: folder of its log segments.
        tls: folder with ca.pem and broker.pem; None for plain text, no users and no ACLs.
    """
    ports = brokers[node - 1]
    voters = (f"{number}@127.0.0.1:{each.controller}" for number, each in enumerate(brokers, start=1))
    copies = str(len(brokers))
    in_sync = str(max(1, len(brokers) - 1))
    listeners = f"CLIENT://127.0.0.1:{ports.client},INTERNAL://127.0.0.1:{ports.internal}"
    config = {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(voters),
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{ports.controller}",
        "advertised.listeners": listeners,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INTERNAL",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        # 50 partitions for the offsets of a dozen groups only cost time at start.
        "offsets.topic.num.partitions": "4",
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        # A group of one machine is complete at once; the usual 3 s would be added to every recovery.
        # A broker that was killed may come back under its number once its old session is over, which is 9 s by default.
        "broker.session.timeout.ms": "6000",
        "broker.heartbeat.interval.ms": "1000",
        "group.initial.rebalance.delay.ms": "0",
        # What is past its retention should go soon, not when five minutes happen to be over.
        "log.retention.check.interval.ms": "5000",
        "log.initial.task.delay.ms": "5000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
    }
    return config | (_plain() if tls is None else _secure(tls))


def _plain() -> dict[str, str]:
    return {"listener.security.protocol.map": "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"}


def _secure(tls: Path) -> dict[str, str]:
    # Clients show a password; brokers and controllers show each other the certificate that only they have.
    return {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(tls / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(tls / "ca.pem"),
        "listener.name.internal.ssl.client.auth": "required",
        "listener.name.controller.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:CN=broker",
    }
