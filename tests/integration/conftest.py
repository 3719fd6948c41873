"""Real servers for the integration tests, one of each a session, absent where the tools to run them are."""

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from deploy.stack.kafka import KafkaServer
from deploy.stack.kafka_install import MissingTool, jars, java


def absent(reason: str) -> NoReturn:
    """Leaves the test out; fails it where every server has to be there."""
    if os.environ.get("CI") or os.environ.get("VEIL_REQUIRE_SERVERS"):
        pytest.fail(reason)
    pytest.skip(reason)


# Kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker with TLS, users, topics and ACLs as the table says."""
    try:
        java(), jars()
    except MissingTool as missing:
        absent(str(missing))
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    try:
        server.start()
        server.prepare()
        yield server
    finally:
        server.stop()
