"""Files say what is not in them, and hold no count below the threshold."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from services.cli import app
from services.insight.database import open_database
from services.insight.errors import Invalid, Unavailable
from services.insight.export import COLUMN_NAMES, csv_lines, write_file
from services.insight.reading import InsightReader, Row
from services.insight.store import InsightStore
from tests.support.insights import HOUR_US, MINUTE_US, NOON_US, quiet, settings_in, stats, track


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[InsightReader]:
    settings = settings_in(tmp_path)
    database = open_database(settings)
    store = InsightStore(database, settings)
    store.take([stats(entered=12, lines={"=in": (7, 2)}), stats(at_us=NOON_US + HOUR_US, entered=3)])
    store.take([track(number, dwell_s=4) for number in range(12)])
    store.take(quiet(start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 140 * MINUTE_US))
    yield InsightReader(database, settings)
    database.close()


def rows(reader: InsightReader) -> Iterator[Row]:
    return reader.rows(["gate"], "hour", NOON_US, NOON_US + 3 * HOUR_US)


def test_csv(reader: InsightReader, tmp_path: Path) -> None:
    file = tmp_path / "hours.csv"
    assert write_file(file, rows(reader), 5) == 8
    text = file.read_text()
    assert text.startswith("# Statistics only. Counts below 5 are not told, nor is 0")
    read = list(csv.DictReader(text.splitlines()[1:]))
    assert tuple(read[0]) == COLUMN_NAMES
    entered = [(row["from"], row["count"], row["told"]) for row in read if row["measure"] == "entered"]
    assert entered == [
        ("2026-01-01T12:00:00+00:00", "12", "at least"),
        ("2026-01-01T13:00:00+00:00", "", "fewer than 5"),
    ]
    assert [row["bin"] for row in read if row["measure"] == "dwell"] == ["2-5 s"] * 2
    assert {row["place"] for row in read if row["measure"] == "forward"} == {"'=in"}, "no formula for a spreadsheet"
    assert not [row for row in read if row["measure"] == "backward"], "of two nothing is told"


def test_parquet_holds_the_same(reader: InsightReader, tmp_path: Path) -> None:
    file = tmp_path / "hours.parquet"
    assert write_file(file, rows(reader), 5) == 8
    table = pyarrow.parquet.read_table(file)
    assert b"fewer than 5" in table.schema.metadata[b"veil"]
    assert table.schema.metadata[b"least"] == b"5"
    lines = list(csv_lines(rows(reader), 5))
    read = list(csv.DictReader(lines[1:]))
    assert [row["count"] for row in read] == [
        "" if count is None else str(count) for count in table["count"].to_pylist()
    ]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("name", ["hours.csv", "hours.parquet"])
def test_no_small_count_in_any_file(name: str, reader: InsightReader, tmp_path: Path) -> None:
    write_file(tmp_path / name, rows(reader), 5)
    assert all(row.value is None or row.value >= 5 for row in rows(reader))


def test_what_can_not_be_written_is_said_in_a_sentence(reader: InsightReader, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"as \.csv or \.parquet"):
        write_file(tmp_path / "hours.xlsx", rows(reader), 5)
    for name in ("none/hours.csv", "none/hours.parquet"):
        with pytest.raises(Unavailable, match="can't be written"):
            write_file(tmp_path / name, rows(reader), 5)


@pytest.fixture
def run(reader: InsightReader, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("VEIL_INSIGHT_DATABASE", reader.settings.database)
    return CliRunner()


def test_show(run: CliRunner) -> None:
    done = run.invoke(app, ["insight", "show", "--from", "2026-01-01T00:00+00:00", "--to", "2026-01-02T00:00+00:00"])
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["gate", "person", "2026-01-01", "12:00", "≥", "12", "0.0%"],
        ["gate", "person", "2026-01-01", "13:00", "<", "5", "0.0%"],
    ]


def test_export_needs_a_purpose_and_is_written_down(run: CliRunner, reader: InsightReader, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    words = ["insight", "export", str(file), "--from", "2026-01-01", "--to", "2026-01-02", "--who", "kim"]
    refused = run.invoke(app, words)
    assert refused.exit_code == 2
    assert not file.exists()
    done = run.invoke(app, [*words, "--purpose", "a monthly report"])
    assert done.exit_code == 0, done.output
    assert file.exists()
    from services.audit.log import AuditLog

    (event,) = AuditLog(reader._database, "insight").events()
    assert (event.action, event.actor, event.purpose) == ("insight.export", "kim", "a monthly report")
    assert event.details["cameras"] == "gate"


def test_wrong_usage_is_told(run: CliRunner, tmp_path: Path) -> None:
    assert run.invoke(app, ["insight", "show", "--camera", "nowhere"]).exit_code == 2
    assert run.invoke(app, ["insight", "show", "--from", "now", "--to", "-1h"]).exit_code == 2
