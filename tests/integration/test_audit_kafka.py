"""Events of the API's process on a real broker: they get there by themselves, outlast an outage, and can be checked."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from deploy.stack.kafka import KafkaServer
from services.accounts.model import Role
from services.audit.sources import topic_copy
from services.audit_chain import chained
from services.bus.clock import now_us
from services.bus.interface import Record, Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_table import kafka_acls
from services.bus.topics import AUDIT
from services.cli import app
from services.disclosure.store import RequestStore
from services.schema import pb
from tests.support.api import FILED, REQUESTS
from tests.support.audit import database
from tests.support.on_kafka import publish
from tests.support.processes import Api, house_env, logged_in, make_house
from tests.support.servers import kafka_server

ACT_S = 5.0
"""Longest that an officer's step may take while no broker answers, on a busy machine; it waits for none."""
_TIMEOUT_S = 120

# The library leaves the sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One that may be stopped, and whose topic audit nobody else writes to."""
    with kafka_server(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    make_house(folder)
    return folder


def on_topic(broker: KafkaServer) -> list[pb.AuditEvent]:
    """Every record of the topic, repeats too."""
    with closing(KafkaBus(broker.settings("auditor"))) as bus, closing(bus.reader(AUDIT, Start("oldest"))) as reader:
        found: list[pb.AuditEvent] = []
        while not reader.caught_up:
            found += [pb.AuditEvent.FromString(each.record.value) for each in reader.poll(1.0, 1000)]
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def filed(client: httpx.Client, whose: str) -> str:
    """Files a request; its id."""
    began = time.monotonic()
    answer = client.post(REQUESTS, json={**FILED, "whose": whose})
    assert time.monotonic() - began < ACT_S
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def waiting(house: Path) -> int:
    """Events of requests that are not on the topic."""
    with closing(RequestStore(f"sqlite:///{house}/disclosure/requests.db")) as store:
        return len(store.unpublished())


@pytest.fixture(scope="module")
def published(broker: KafkaServer, house: Path) -> list[str]:
    """Requests that were filed while the broker was there, away, and away with the process killed."""
    first, second = (Api(house, broker.env("disclosure")) for _ in range(2))
    try:
        first.start()
        first.wait_answers()
        with logged_in(first, Role.OFFICER) as officer:
            ids = [filed(officer, "at work")]
            wait_for(lambda: waiting(house) == 0)
            broker.stop()
            ids += [filed(officer, f"broker away {number}") for number in range(3)]
            assert waiting(house) == 3
            assert first.running
        first.kill()
        second.start()
        second.wait_answers()
        with logged_in(second, Role.OFFICER) as officer:
            ids.append(filed(officer, "at a start without broker"))
            assert waiting(house) == 4
            broker.start()
            wait_for(lambda: waiting(house) == 0)
        second.leave(60)
    finally:
        first.kill()
        second.kill()
    return ids


@pytest.fixture
def veil(
    published: list[str], broker: KafkaServer, house: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """`veil audit-log …` as an auditor of the house types it."""
    assert published
    for name, value in {**house_env(house), **broker.env("auditor")}.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(app, ["audit-log", *arguments])


REQUESTS_DB = "disclosure/requests.db"
LAST = "id=(SELECT MAX(id) FROM disclosure_events)"


def run(house: Path, *statements: str, **values: object) -> None:
    """As whoever owns the database of requests would."""
    with closing(database(f"sqlite:///{house}/{REQUESTS_DB}")) as own, own.write() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


@contextmanager
def tampered(house: Path) -> Iterator[None]:
    """What is done to events in the block is undone behind it."""
    run(house, "CREATE TABLE kept AS SELECT * FROM disclosure_events")
    try:
        yield
    finally:
        run(
            house,
            "DELETE FROM disclosure_events",
            "INSERT INTO disclosure_events SELECT * FROM kept",
            "DROP TABLE kept",
        )


def test_no_event_is_lost_and_no_officer_waits_while_the_broker_is_away(
    published: list[str], broker: KafkaServer
) -> None:
    events = on_topic(broker)
    told = list(dict.fromkeys(event.object for event in events if event.action == "disclosure.file"))
    assert told == published, "all of them, in their order"
    logins = [event for event in events if event.action == "login.good"]
    assert len({event.event_id for event in logins}) == 2
    with closing(KafkaBus(broker.settings("auditor"))) as bus, closing(bus.reader(AUDIT, Start("oldest"))) as reader:
        chains, since_us = topic_copy(reader, now_us())
    assert since_us <= min(event.at_us for event in events) + _TIMEOUT_S * 1_000_000
    assert not [link.fault for links in chains.values() for link in links if link.fault]


def test_i4_disclosure_writes_the_audit_and_nothing_else() -> None:
    may = {(acl.resource, acl.name, acl.operation) for acl in kafka_acls() if acl.principal == "User:disclosure"}
    assert may == {("TOPIC", "audit", "WRITE"), ("TOPIC", "audit", "DESCRIBE")}


def test_an_intact_log_agrees_with_the_topic(veil: Callable[..., Result], published: list[str]) -> None:
    result = veil("verify", "--topic")
    assert result.exit_code == 0, result.output
    assert "topic audit: " in result.output
    assert f"disclosure: {len(published)} events in 1 chains" in result.output
    assert "nothing was removed" in result.output


def test_a_cut_tail_is_missed_by_the_topic(veil: Callable[..., Result], house: Path) -> None:
    with tampered(house):
        run(house, f"DELETE FROM disclosure_events WHERE {LAST}")
        assert veil("verify").exit_code == 0, "the chain alone can't know its end"
        result = veil("verify", "--topic")
    assert result.exit_code == 1
    assert "log, chain disclosure of disclosure: the topic holds" in result.stderr
    assert "that the log has not" in result.stderr
    assert veil("verify", "--topic").exit_code == 0


def test_an_event_changed_with_its_hash_is_found_by_the_topic(
    veil: Callable[..., Result], house: Path, broker: KafkaServer
) -> None:
    (event,) = [each for each in on_topic(broker) if each.details["chain"] == "disclosure"][-1:]
    event.actor = "somebody else"
    forged = chained(event, event.previous_hash)
    raw = forged.SerializeToString(deterministic=True)
    with tampered(house):
        change = f"UPDATE disclosure_events SET event=:event, hash=:hash WHERE {LAST}"
        run(house, change, event=raw, hash=forged.hash)
        assert veil("verify").exit_code == 0, "the chain alone can't know its end"
        result = veil("verify", "--topic")
    assert result.exit_code == 1
    assert "that the log has not" in result.stderr
    assert "went to the bus and the topic has not got it" in result.stderr


def test_events_put_on_the_topic_by_a_thief_of_a_password_are_found(
    veil: Callable[..., Result], broker: KafkaServer
) -> None:
    """The last of these tests: what stands on the topic stays there."""
    event = on_topic(broker)[-1]
    event.actor = "somebody else"
    key = event.details["of"]
    publish(broker, "disclosure", [Record(AUDIT, key, event.SerializeToString())])
    result = veil("verify", "--topic")
    assert result.exit_code == 1
    assert "topic audit" in result.stderr
    assert "stands there twice" in result.stderr or "its hash is not that of its content" in result.stderr
