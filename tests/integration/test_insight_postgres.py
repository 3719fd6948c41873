"""The statistics on PostgreSQL: the same numbers as on SQLite, and two processes that count the same at once."""

import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from services.insight.database import open_database
from services.insight.reading import LEVELS, InsightReader
from services.insight.settings import InsightSettings
from services.insight.store import InsightStore
from tests.support.insights import DAY_US, MINUTE_US, NOON_US, settings_in, stats, track
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_both_databases_tell_the_same(server: PostgresServer, tmp_path: Path) -> None:
    random = Random(5)
    told = []
    for number, at_us in enumerate(range(NOON_US, NOON_US + DAY_US, 10 * MINUTE_US)):
        people = random.choice([0, 1, 2, 9])
        told.append(stats(at_us=at_us, entered=people, zones={"door": people // 2}, lines={"in": (people, 0)}))
        told += [track(100 * number + one, at_us=at_us, zones=("door", "till")) for one in range(people)]
    answers = []
    for settings in (settings_in(tmp_path), InsightSettings(database=server.new_database())):
        database = open_database(settings)
        store, reader = InsightStore(database, settings), InsightReader(database, settings)
        for at in range(0, len(told), 50):
            store.take(told[at : at + 50])
        gate = {"gate": "person"}
        start, end = NOON_US - DAY_US, NOON_US + 2 * DAY_US
        answers.append(
            [reader.series(gate, level, start, end) for level in LEVELS]
            + [reader.bins(gate, measure, start, end) for measure in ("dwell", "heat")]
            + [reader.places(gate, measure, start, end) for measure in ("zone", "forward", "flow")]
            + [list(reader.rows(["gate"], "hour", start, end)), reader.totals(gate, start, end)]
        )
        assert store.purge() >= 0
        database.close()
    assert answers[0] == answers[1]
    assert all(answers[0])


def test_two_that_count_the_same_count_it_once(server: PostgresServer) -> None:
    settings = InsightSettings(database=server.new_database())
    told = [track(number) for number in range(300)]
    taken = []

    def count() -> None:
        database = open_database(settings)
        taken.append(InsightStore(database, settings).take(told).counted)
        database.close()

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 600
