"""The audit log on a real PostgreSQL server: two that append at once, and the check of what they wrote."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import text

from services.audit.check import check_chains
from services.audit.log import AuditLog
from services.audit.publish import publish
from services.audit.sources import Source
from services.audit_chain import first_break
from services.bus.memory import MemoryBus
from services.sql import Database
from tests.support.audit import database as make_database
from tests.support.postgres import PostgresServer


@pytest.fixture
def database() -> Iterator[Callable[[str], Database]]:
    """Opens databases, and closes them afterwards."""
    with ExitStack() as opened:

        def open_one(address: str) -> Database:
            made = make_database(address)
            opened.callback(made.close)
            return made

        yield open_one


Open = Callable[[str], Database]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_many_writers_leave_unforked_chains(server: PostgresServer, database: Open) -> None:
    address = server.new_database()
    logs = [AuditLog(database(address), "test") for _ in range(4)]

    def write(log: AuditLog) -> None:
        for number in range(20):
            log.append("account.change", "kim", camera_id=("gate", "yard")[number % 2])

    threads = [threading.Thread(target=write, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for camera in ("gate", "yard"):
        events = logs[0].events(camera)
        assert len(events) == 40
        assert first_break(events) is None
    bus = MemoryBus()
    producer = bus.producer()
    assert publish([logs[0]], producer) == 80
    assert logs[1].unpublished() == []
    with closing(Source("log", address)) as source:
        assert check_chains("log", source.chains(), whole=True) == []


def test_logs_may_start_together(server: PostgresServer, database: Open) -> None:
    address = server.new_database()
    made: list[AuditLog] = []
    threads = [threading.Thread(target=lambda: made.append(AuditLog(database(address), "test"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    made[0].append("account.change", "kim")
    assert len(made[5].events()) == 1


def test_a_transaction_that_ends_badly_leaves_no_event(server: PostgresServer, database: Open) -> None:
    own = database(server.new_database())
    log = AuditLog(own, "test")

    def fails() -> None:
        with own.write() as connection:
            log.append("account.change", "kim", connection=connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    log.append("account.change", "lee")
    assert [event.actor for event in log.events()] == ["lee"]


def test_what_was_changed_is_found(server: PostgresServer, database: Open) -> None:
    address = server.new_database()
    own = database(address)
    log = AuditLog(own, "test")
    for _ in range(3):
        log.append("account.change", "kim")
    with own.write() as connection:
        connection.execute(text("DELETE FROM audit_events WHERE id=2"))
    with closing(Source("log", address)) as source:
        (fault,) = check_chains("log", source.chains(), whole=True)
    assert "event 1 is missing" in str(fault)
