"""The vault's index on a real PostgreSQL server: the same promises as on SQLite, with replicas on top."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from services.vault import Held, Missing, Unavailable
from services.vault.database import Database, database_of
from services.vault.events import Actor
from services.vault.tables import KEYS, METADATA, SEGMENTS
from tests.support.originals import (
    CAMERA,
    HOUR_US,
    START_US,
    Bus,
    Clock,
    end,
    expected,
    files,
    gaps,
    make_stage,
    make_vault,
    minutes,
    opened,
    pieces,
    seqs,
    store,
)
from tests.support.postgres import PostgresServer

KIM = Actor("kim", "a test")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def index(server: PostgresServer) -> str:
    return server.new_database()


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "vault_version"})
        return list(compare_metadata(context, METADATA))


@pytest.mark.parametrize("on", ["sqlite", "postgresql"])
def test_migrations_make_the_tables_that_the_code_has_and_take_them_back(
    on: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    address = f"sqlite:///{tmp_path / 'index.db'}" if on == "sqlite" else request.getfixturevalue("index")
    vault = make_vault(tmp_path, index=address)
    vault.database.migrate()
    assert differences(vault.database) == []
    config = Config()
    config.set_main_option("script_location", "services/vault/migrations")
    with vault.database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
    assert {type(each).__name__ for each in differences(vault.database)} == {"tuple"}
    vault.database.migrate()
    assert differences(vault.database) == []
    vault.close()


def test_replicas_that_start_together_migrate_once(index: str, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def start(number: int) -> None:
        try:
            make_vault(tmp_path / str(number), index=index).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_what_goes_in_comes_out_and_expires(index: str, tmp_path: Path) -> None:
    clock = Clock()
    vault, bus = make_vault(tmp_path, clock, index=index), Bus()
    frames = minutes(bus, 25)
    bus.put(end(frames=frames))
    later = START_US + 60_000_000
    minutes(bus, 10, epoch=later)
    assert len(store(vault, bus, clock)) == len(bus.messages)
    assert len(store(vault, bus, clock)) == len(bus.messages), "it comes again"
    parts = list(opened(vault, START_US, later + 10_000_000))
    assert seqs(parts) == expected(START_US, range(250)) + expected(later, range(100))
    assert [gap.kind for gap in gaps(parts)] == ["reconnect"]
    assert all(piece.span_of(each.unit.seq) for piece in pieces(parts) for each in piece.units)
    hold, _ = vault.purger.hold(CAMERA, later, later + 1, KIM)
    clock.at_us += 48 * HOUR_US
    vault.purger.expire()
    assert seqs(opened(vault)) == expected(later, range(100))
    vault.purger.release(hold.id, KIM)
    vault.purger.expire()
    assert not files(tmp_path / "vault")
    for purge in vault.purger.purges():
        proof = vault.purger.prove(purge.id, KIM)
        assert proof.holds, proof.checks
    with vault.database.read() as connection:
        assert connection.execute(select(KEYS.c.wrapped)).scalars().all() == [None]
    vault.close()


def test_two_replicas_share_partitions_and_a_stretch_that_both_had_is_there_once(index: str, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    vaults = [
        make_vault(tmp_path, index=index, store=str(folder), writer=writer, keys=tmp_path / "keys")
        for writer in ("one", "two")
    ]
    both, mine, theirs = Bus(0), Bus(1), Bus(2)
    minutes(both, 60)
    minutes(mine, 20, camera="mine")
    minutes(theirs, 20, camera="theirs")
    stages = [make_stage(vault) for vault in vaults]
    for message in both.messages:
        for stage in stages:
            stage.submit(message)
    for stage, bus in zip(stages, (mine, theirs), strict=True):
        for message in bus.messages:
            stage.submit(message)
        stage.close()
    done = [[position for each in stage.join(60) for position in each.done] for stage in stages]
    assert [len(each) for each in done] == [len(both.messages) + len(mine.messages)] * 2
    for vault in vaults:
        assert seqs(opened(vault)) == expected(START_US, range(600))
        assert seqs(opened(vault, camera="mine")) == expected(START_US, range(200))
        assert seqs(opened(vault, camera="theirs")) == expected(START_US, range(200))
    with vaults[0].database.read() as connection:
        states = connection.execute(select(SEGMENTS.c.state)).scalars().all()
    assert set(states) == {"live"}
    assert len(files(folder)) == len(states)
    assert vaults[0].index.used_bytes() == sum(file.stat().st_size for file in files(folder))
    for vault in vaults:
        vault.close()


def test_holds_and_purges_that_meet_never_both_win(index: str, tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path, index=index), Bus()
    minutes(bus, 60)
    store(vault, bus)
    held: list[int] = []

    def hold() -> None:
        held.append(vault.purger.hold(CAMERA, START_US, START_US + HOUR_US, KIM)[1])

    def purge() -> None:
        with suppress(Held, Missing):
            vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)

    threads = [threading.Thread(target=work) for work in (purge, hold, purge)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held == [len(files(tmp_path / "vault"))]
    assert vault.events.unbroken(CAMERA)
    vault.close()


@pytest.mark.parametrize("decision", ["hold", "purge"])
def test_who_decides_waits_for_who_is_deciding(index: str, tmp_path: Path, decision: str) -> None:
    vault, bus = make_vault(tmp_path, index=index), Bus()
    minutes(bus, 10)
    store(vault, bus)
    decide = vault.purger.hold if decision == "hold" else vault.purger.order
    thread = threading.Thread(target=decide, args=(CAMERA, START_US, START_US + HOUR_US, KIM))
    with vault.database.decide():
        thread.start()
        thread.join(1)
        assert thread.is_alive()
    thread.join(30)
    assert not thread.is_alive()
    vault.close()


def test_a_stretch_written_while_its_hour_is_purged_can_be_read(index: str, tmp_path: Path) -> None:
    """A key that a purge destroys must not be one that a segment is being written under."""
    vault, bus = make_vault(tmp_path, index=index, segment_s=1), Bus()
    minutes(bus, 60)
    stage = make_stage(vault)
    for message in bus.messages[: len(bus.messages) // 2]:
        stage.submit(message)
    for _ in range(10):
        try:
            vault.purger.order(CAMERA, START_US, START_US + HOUR_US, KIM)
        except Missing:
            continue
    for message in bus.messages[len(bus.messages) // 2 :]:
        stage.submit(message)
    stage.close()
    stage.join(60)
    parts = list(opened(vault, START_US, START_US + 60_000_000))
    assert len(seqs(parts)) + sum(gap.frames or 0 for gap in gaps(parts) if gap.kind == "gone") == 600
    vault.close()


def test_a_server_that_goes_away_is_one_sentence_without_its_password(server: PostgresServer, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("pass-phrase\n")
    settings = make_vault(tmp_path).settings.model_copy(
        update={"index": "postgresql://veil@127.0.0.1:1/none", "index_password_file": secret}
    )
    database = database_of(settings)
    with pytest.raises(Unavailable) as lost, database.read() as connection:
        connection.execute(text("SELECT 1"))
    assert "pass-phrase" not in str(lost.value)
    assert "127.0.0.1" not in str(lost.value)
    assert repr(database.engine.url).count("pass-phrase") == 0
