"""Counts come in once, close in time, and are told of in a way that gives no small one away."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from services.insight.database import open_database
from services.insight.errors import Invalid, Unavailable
from services.insight.grid import COLUMNS, day_of, dwell_bin, next_day
from services.insight.reading import InsightReader, Quantile, quantiles
from services.insight.settings import InsightSettings
from services.insight.store import InsightStore
from services.schema import pb
from services.sql import Database
from tests.support.insights import DAY_US, HOUR_US, MINUTE_US, NOON_US, quiet, settings_in, stats, track

GATE = {"gate": "person"}


@pytest.fixture
def settings(tmp_path: Path) -> InsightSettings:
    return settings_in(tmp_path)


@pytest.fixture
def database(settings: InsightSettings) -> Iterator[Database]:
    database = open_database(settings)
    yield database
    database.close()


@pytest.fixture
def store(database: Database, settings: InsightSettings) -> InsightStore:
    return InsightStore(database, settings, clock=lambda: NOON_US + 2 * DAY_US)


@pytest.fixture
def reader(database: Database, settings: InsightSettings) -> InsightReader:
    return InsightReader(database, settings)


def rows_of(settings: InsightSettings, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(settings.database.removeprefix("sqlite:///")) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def hours(reader: InsightReader, **more: str) -> dict[int, int | None]:
    points = reader.series(GATE, "hour", NOON_US - DAY_US, NOON_US + DAY_US, **more)
    return {(point.at_us - NOON_US) // HOUR_US: point.value for point in points}


def test_counts_are_told_when_their_interval_is_over(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=4), stats(at_us=NOON_US + MINUTE_US, entered=3)])
    assert reader.series(GATE, "step", NOON_US, NOON_US + HOUR_US) == []
    store.take([stats(at_us=NOON_US + 13 * MINUTE_US)])
    (point,) = reader.series(GATE, "step", NOON_US, NOON_US + HOUR_US)
    assert (point.at_us, point.value, point.whole, point.frames) == (NOON_US, 7, True, 500)
    assert hours(reader) == {}
    store.take(quiet(start_us=NOON_US + 20 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US))
    assert hours(reader) == {0: 7}


def test_whoever_asks_every_second_sees_no_number_change(store: InsightStore, reader: InsightReader) -> None:
    """Differencing over time: what was told once never grows by one."""
    seen: dict[tuple[str, int], int | None] = {}
    random = Random(1)
    for at_us in range(NOON_US + 6 * HOUR_US, NOON_US + 14 * HOUR_US, 10 * MINUTE_US):
        store.take([stats(at_us=at_us, entered=random.choice([0, 0, 1, 2, 6]))])
        for level in ("step", "hour", "day"):
            for point in reader.series(GATE, level, NOON_US - DAY_US, NOON_US + 2 * DAY_US):
                assert seen.setdefault((level, point.at_us), point.value) == point.value
    assert len(seen) > 40


def test_a_record_counts_once_however_often_it_comes(store: InsightStore, reader: InsightReader) -> None:
    once = [stats(entered=6, zones={"door": 5}), *[track(number, dwell_s=3) for number in range(6)]]
    taken = [store.take(once), store.take(once), store.take([*once, *once])]
    assert [(each.counted, each.repeated) for each in taken] == [(13, 0), (0, 13), (0, 26)]
    # An end that is told again after a restart may have another dwell, and ends the same track.
    store.take([track(0, dwell_s=70)])
    store.take(quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US))
    assert hours(reader) == {0: 6}
    assert reader.bins(GATE, "dwell", NOON_US, NOON_US + HOUR_US) == {dwell_bin(3): 6}


def test_what_comes_after_its_interval_closed_changes_nothing(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=6), *quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US)])
    late = store.take([stats(at_us=NOON_US + MINUTE_US, entered=1), track(1), stats(entered=6)])
    assert (late.counted, late.late) == (0, 4)
    assert hours(reader) == {0: 6}


def test_fewer_than_the_threshold_are_told_as_nobody_is(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=4), *quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 200 * MINUTE_US)])
    points = reader.series(GATE, "hour", NOON_US, NOON_US + DAY_US)
    assert [(point.value, point.whole, point.hidden) for point in points] == [(None, False, 1)] * 3


def test_what_is_not_told_is_not_kept(store: InsightStore, settings: InsightSettings) -> None:
    """Whoever takes the database learns no more than whoever looks at the charts."""
    day = day_of(NOON_US, InsightReader(open_database(settings), settings).zone)
    store.take([stats(at_us=day + MINUTE_US, entered=2), track(1, at_us=day + MINUTE_US)])
    assert rows_of(settings, "insight_open")
    assert rows_of(settings, "insight_seen")
    store.take(quiet(start_us=day + 10 * MINUTE_US, end_us=day + DAY_US + 20 * MINUTE_US))
    assert [rows_of(settings, f"insight_{table}") for table in ("open", "left", "cells")] == [[], [], []]
    assert len(rows_of(settings, "insight_seen")) <= 2, "of the hour that is open"


def test_nothing_of_a_track_outlives_its_hour(store: InsightStore, settings: InsightSettings) -> None:
    store.take([track(number, zones=("door", "till")) for number in range(20)])
    assert len(rows_of(settings, "insight_seen")) == 60
    store.take(quiet(start_us=NOON_US, end_us=NOON_US + 80 * MINUTE_US))
    assert all(b"" in row or len(row) == 3 for row in rows_of(settings, "insight_seen"))
    assert not [row for row in rows_of(settings, "insight_seen") if row[1] == NOON_US]
    assert not rows_of(settings, "insight_open")


def test_a_day_tells_what_its_hours_can_not(store: InsightStore, reader: InsightReader) -> None:
    day = day_of(NOON_US, reader.zone)
    few = [stats(at_us=day + hour * HOUR_US + MINUTE_US, entered=2) for hour in range(8, 18)]
    store.take([*few, *quiet(start_us=day + 10 * MINUTE_US, end_us=day + DAY_US + 20 * MINUTE_US)])
    assert set(hours(reader).values()) == {None}
    (point,) = reader.series(GATE, "day", day, day + DAY_US)
    assert (point.value, point.whole, point.hidden) == (20, True, 0)
    assert reader.totals(GATE, day, day + DAY_US) == {"gate": 20}
    assert reader.totals(GATE, day + 8 * HOUR_US, day + 18 * HOUR_US) == {}, "a part of a day is told by its hours"


def test_no_two_questions_give_a_small_count_away(store: InsightStore, reader: InsightReader) -> None:
    """Tries every pair of ranges: two that differ by one hour differ by what is told of that hour, or by nothing."""
    day = day_of(NOON_US, reader.zone)
    random = Random(3)
    counts = [random.choice([0, 1, 2, 3, 4, 5, 6, 20]) for _ in range(24)]
    store.take([stats(at_us=day + hour * HOUR_US + MINUTE_US, entered=count) for hour, count in enumerate(counts)])
    store.take(quiet(start_us=day + 10 * MINUTE_US, end_us=day + DAY_US + 20 * MINUTE_US))
    for start in range(24):
        for end in range(start + 2, 24):
            wide = reader.totals(GATE, day + start * HOUR_US, day + end * HOUR_US).get("gate", 0)
            narrow = reader.totals(GATE, day + start * HOUR_US, day + (end - 1) * HOUR_US).get("gate", 0)
            assert wide - narrow == 0 or (wide - narrow == counts[end - 1] and counts[end - 1] >= 5)
    told = sum(count for count in counts if count >= 5)
    whole = reader.totals(GATE, day, day + DAY_US)["gate"]
    assert whole - told >= 5, "the rest of the day, from many hours"


def test_a_total_over_cameras_gives_no_camera_away(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats("a", entered=9), stats("b", entered=8), stats("c", entered=2)])
    for camera in "abc":
        store.take(quiet(camera, start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US))
    some = reader.series(dict.fromkeys("ab", "person"), "hour", NOON_US, NOON_US + HOUR_US)[0]
    all_of = reader.series(dict.fromkeys("abc", "person"), "hour", NOON_US, NOON_US + HOUR_US)[0]
    assert (some.value, some.whole, some.cameras, some.hidden) == (17, False, 2, 0)
    assert (all_of.value, all_of.whole, all_of.cameras, all_of.hidden) == (17, False, 3, 1)


def test_a_zone_that_one_stayed_out_of_is_not_told(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=7, zones={"shop": 6, "street": 7}, lines={"door": (2, 5)})])
    store.take(quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US))
    assert reader.places(GATE, "zone", NOON_US, NOON_US + HOUR_US) == {"street": 7}
    assert reader.places(GATE, "backward", NOON_US, NOON_US + HOUR_US) == {}
    assert hours(reader, measure="zone", place="shop") == {0: None}


def test_crossings_flows_dwell_and_heat(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=30, lines={"door": (12, 6)})])
    store.take([track(number, dwell_s=4, zones=("door", "till")) for number in range(14)])
    store.take([track(number, dwell_s=40, zones=("door",)) for number in range(14, 24)])
    store.take([track(number, dwell_s=4000, box=(600, 300, 640, 359)) for number in range(24, 26)])
    store.take(quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US))
    end_us = NOON_US + HOUR_US
    assert reader.places(GATE, "forward", NOON_US, end_us) == {"door": 12}
    assert reader.places(GATE, "backward", NOON_US, end_us) == {"door": 6}
    assert reader.places(GATE, "flow", NOON_US, end_us) == {"door → till": 14}
    dwell = reader.bins(GATE, "dwell", NOON_US, end_us)
    assert dwell == {dwell_bin(4): 14}, "two stayed for over an hour: of 26, 14 are told, and not 24"
    assert quantiles(dwell, 5) == [Quantile(0.5, 2, 5)]
    # Feet at (120, 200) of 640 × 360; the two of the other cell are nobody's business.
    assert reader.bins(GATE, "heat", NOON_US, end_us) == {5 * COLUMNS + 3: 24}


def test_one_who_stands_still_is_one_in_the_heat_map(store: InsightStore, reader: InsightReader) -> None:
    store.take([track(1, at_us=NOON_US + second * 5_000_000, ended=False) for second in range(600)])
    store.take(quiet(start_us=NOON_US, end_us=NOON_US + 80 * MINUTE_US))
    assert reader.bins(GATE, "heat", NOON_US, NOON_US + HOUR_US) == {}


def test_frames_are_nobodys(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(frames=250, incomplete=30), stats(at_us=NOON_US + MINUTE_US, frames=250)])
    assert reader.frames("gate", NOON_US, NOON_US + HOUR_US) == [(NOON_US, 500, 30)]


def test_hours_without_frames_are_not_told_as_few(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=6), stats(at_us=NOON_US + 5 * HOUR_US)])
    assert hours(reader) == {0: 6}


def test_a_silent_camera_closes_by_the_clock(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=6)])
    assert store.open_cameras() == {"gate"}
    store.settle(["gate"])
    assert hours(reader) == {0: 6}
    assert store.open_cameras() == frozenset()


def test_what_is_past_its_time_goes(database: Database, settings: InsightSettings, reader: InsightReader) -> None:
    store = InsightStore(database, settings, clock=lambda: NOON_US)
    store.take([stats(entered=6), *quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US)])
    assert store.purge() == 0
    later = InsightStore(database, settings, clock=lambda: NOON_US + 20 * DAY_US)
    assert later.purge() == 1
    assert reader.series(GATE, "step", NOON_US, NOON_US + HOUR_US)[0].value is None
    assert hours(reader) == {0: 6}
    InsightStore(database, settings, clock=lambda: NOON_US + 500 * DAY_US).purge()
    assert hours(reader) == {}


def test_numbers_of_two_grids_never_meet(settings: InsightSettings, store: InsightStore) -> None:
    with pytest.raises(Unavailable, match="time_zone UTC, not Asia/Seoul"):
        open_database(settings.model_copy(update={"time_zone": "Asia/Seoul"}))
    with pytest.raises(Unavailable, match="step_s 600, not 60"):
        open_database(settings.model_copy(update={"step_s": 60}))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Seoul", "Europe/Paris", "Asia/Kolkata", "America/St_Johns"])
def test_days_tile_the_year(zone: str, settings: InsightSettings) -> None:
    local = InsightReader.__new__(InsightReader)
    local.zone = InsightReader(open_database(settings), settings).zone.__class__(zone)
    day = day_of(NOON_US, local.zone)
    for _ in range(400):
        after = next_day(day, local.zone)
        assert after - day in (23 * HOUR_US, DAY_US, 25 * HOUR_US)
        assert {day_of(at_us, local.zone) for at_us in (day, day + HOUR_US // 2, after - 1)} == {day}
        day = after


def test_questions_are_bounded(reader: InsightReader) -> None:
    with pytest.raises(Invalid, match="more than 5000 intervals"):
        reader.series(GATE, "step", NOON_US, NOON_US + 100 * DAY_US)
    with pytest.raises(Invalid, match="before it ends"):
        reader.series(GATE, "hour", NOON_US, NOON_US)


@pytest.mark.parametrize("seed", range(2))
def test_everything_told_is_true(seed: int, store: InsightStore, reader: InsightReader) -> None:
    """Against a reckoning of its own: what is told of a step is its count; a day is never more than was there."""
    random = Random(seed)
    day = day_of(NOON_US, reader.zone)
    truth: dict[int, int] = defaultdict(int)
    told = []
    for at_us in range(day, day + DAY_US + 20 * MINUTE_US, 5 * MINUTE_US):
        entered = random.choice([0, 0, 1, 1, 2, 3, 9]) if at_us < day + DAY_US else 0
        truth[at_us - at_us % (10 * MINUTE_US)] += entered
        told.append(stats(at_us=at_us, entered=entered))
    for at in range(0, len(told), 7):
        some = told[at : at + 7]
        store.take(random.sample(some, len(some)))
    for point in reader.series(GATE, "step", day, day + DAY_US):
        assert point.value == (truth[point.at_us] if truth[point.at_us] >= 5 else None)
    for point in reader.series(GATE, "hour", day, day + DAY_US):
        assert (point.value or 0) <= sum(truth[point.at_us + step * 10 * MINUTE_US] for step in range(6))
    (all_day,) = reader.series(GATE, "day", day, day + DAY_US)
    assert 0.9 * sum(truth.values()) < (all_day.value or 0) <= sum(truth.values())


def test_vehicles_and_people_are_counted_apart(store: InsightStore, reader: InsightReader) -> None:
    store.take([stats(entered=6), stats(at_us=NOON_US + MINUTE_US, entered=8, kind=pb.KIND_VEHICLE)])
    store.take(quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 80 * MINUTE_US))
    assert reader.totals(GATE, NOON_US, NOON_US + HOUR_US) == {"gate": 6}
    assert reader.totals({"gate": "vehicle"}, NOON_US, NOON_US + HOUR_US) == {"gate": 8}
    assert reader.kinds(["gate"]) == {"gate": ["person", "vehicle"]}
