"""Real servers for the integration tests, one of each a session, absent where the tools to run them are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.stack.kafka import KafkaServer
from deploy.stack.triton import TritonServer
from deploy.triton.environment import EnvironmentMissing
from services.detect.catalogue import ModelMissing
from tests.support.servers import absent, kafka_server

# Kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker with TLS, users, topics and ACLs as the table says."""
    with kafka_server(tmp_path_factory.mktemp("kafka")) as server:
        yield server


# Triton


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server with every installed model. Tests that stop or kill theirs make their own with `start_triton`."""
    try:
        server = TritonServer(tmp_path_factory.mktemp("triton"))
    except (EnvironmentMissing, ModelMissing) as missing:
        absent(str(missing))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def start_triton(tmp_path: Path) -> Iterator[Callable[..., TritonServer]]:
    """Starts servers of a test's own, with TritonServer's arguments."""
    servers: list[TritonServer] = []

    def start(*arguments: object, **options: object) -> TritonServer:
        try:
            server = TritonServer(tmp_path / f"triton{len(servers)}", *arguments, **options)
        except (EnvironmentMissing, ModelMissing) as missing:
            absent(str(missing))
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()
