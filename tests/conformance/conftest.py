"""Each bus to be tested: memory, and Kafka on a real broker of its own."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from services.bus.interface import Bus
from services.bus.topics import Topic
from tests.support.buses import MakeBus, System, kafka, memory, topic_named
from tests.support.servers import kafka_server


@pytest.fixture(scope="session")
def kafka_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A broker without users; the tests make their own topics."""
    folder = tmp_path_factory.mktemp("kafka")
    with kafka_server(folder, secure=False) as server, kafka(server.settings("anyone")) as system:
        yield system


@pytest.fixture(params=["memory", "kafka"])
def system(request: pytest.FixtureRequest) -> System:
    """One implementation of the bus."""
    return memory() if request.param == "memory" else request.getfixturevalue("kafka_system")


@pytest.fixture
def make_bus(system: System) -> Iterator[MakeBus]:
    """Makes buses that are closed after the test."""
    made: list[Bus] = []

    def make(limit: int = 64 << 20) -> Bus:
        made.append(system.make_bus(limit))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


@pytest.fixture
def bus(make_bus: MakeBus) -> Bus:
    return make_bus()


@pytest.fixture
def fresh_topic(system: System) -> Callable[[], Topic]:
    """Makes topics that no other test has written to: a broker remembers."""

    def make() -> Topic:
        name = f"conformance.{uuid4().hex}"
        system.make_topic(name)
        return topic_named(name)

    return make


@pytest.fixture
def topic(fresh_topic: Callable[[], Topic]) -> Topic:
    return fresh_topic()
