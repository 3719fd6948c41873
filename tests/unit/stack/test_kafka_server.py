"""What the launcher of the broker hands out and writes, without starting it."""

from pathlib import Path

import pytest

from deploy.stack import kafka_install
from deploy.stack.certificates import make_certificates
from deploy.stack.kafka import KafkaServer, cluster_id
from deploy.stack.kafka_config import BrokerPorts, broker_config
from services.bus.kafka_settings import KafkaSettings

PORTS = [BrokerPorts(1001, 1002, 1003), BrokerPorts(2001, 2002, 2003), BrokerPorts(3001, 3002, 3003)]


def test_without_java_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(kafka_install.MissingTool, match="sudo apt-get install --yes openjdk-17-jre-headless maven"):
        kafka_install.java()


def test_the_environment_makes_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = KafkaServer(tmp_path)
    for name, value in server.env("tracker").items():
        monkeypatch.setenv(name, value)
    assert KafkaSettings() == server.settings("tracker")


def test_the_environment_names_the_password_file_and_not_the_password(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    values = server.env("tracker")
    password = Path(values["VEIL_KAFKA_PASSWORD_FILE"]).read_text().strip()
    assert len(password) >= 32
    assert not any(password in value for value in values.values())
    assert server.env("tracker") == values
    assert server.env("decoder")["VEIL_KAFKA_PASSWORD_FILE"] != values["VEIL_KAFKA_PASSWORD_FILE"]


def test_a_plain_server_has_no_credentials(tmp_path: Path) -> None:
    settings = KafkaServer(tmp_path, secure=False).settings("tracker")
    assert (settings.ca_file, settings.username, settings.password_file) == (None, None, None)


def test_ports_can_be_fixed(tmp_path: Path) -> None:
    assert KafkaServer(tmp_path, brokers=2, ports=[9192, 9193]).bootstrap == "127.0.0.1:9192,127.0.0.1:9193"
    with pytest.raises(ValueError, match="as many ports"):
        KafkaServer(tmp_path, brokers=3, ports=[9192])


def test_i4_a_secure_broker_lets_nobody_in_unasked(tmp_path: Path) -> None:
    config = broker_config(1, PORTS[:1], tmp_path, tls=tmp_path)
    assert config["allow.everyone.if.no.acl.found"] == "false"
    assert config["auto.create.topics.enable"] == "false"
    assert config["listener.security.protocol.map"] == "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL"
    assert config["listener.name.internal.ssl.client.auth"] == "required"
    assert config["listener.name.controller.ssl.client.auth"] == "required"
    assert all(listener.split("://")[1].startswith("127.0.0.1:") for listener in config["listeners"].split(","))


def test_three_brokers_know_each_other_and_keep_three_copies(tmp_path: Path) -> None:
    config = broker_config(2, PORTS, tmp_path, tls=None)
    assert config["controller.quorum.voters"] == "1@127.0.0.1:1003,2@127.0.0.1:2003,3@127.0.0.1:3003"
    assert config["offsets.topic.replication.factor"] == "3"
    assert config["min.insync.replicas"] == "2"
    assert "CLIENT://127.0.0.1:2001" in config["listeners"]


def test_certificates_are_made_once_and_the_authoritys_key_is_not_kept(tmp_path: Path) -> None:
    make_certificates(tmp_path, "broker")
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    make_certificates(tmp_path, "broker")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert [name for name, content in first.items() if b"PRIVATE KEY" in content] == ["broker.pem"]
    assert (tmp_path / "broker.pem").stat().st_mode & 0o077 == 0


def test_no_cluster_is_named_like_an_option() -> None:
    names = [cluster_id(Path(f"/srv/veil/{number}")) for number in range(500)]
    assert len(set(names)) == 500
    assert {len(name) for name in names} == {22}
    assert not any(name.startswith("-") for name in names)
