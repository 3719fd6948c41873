"""Writes told counts into a CSV or Parquet file, which says of itself what is not in it."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from services.insight.errors import Invalid, Unavailable
from services.insight.grid import COLUMNS
from services.insight.reading import Row, bounds_of

Format = Literal["csv", "parquet"]

COLUMN_NAMES = ("camera", "from", "to", "measure", "place", "kind", "bin", "count", "told")
_GROUP_ROWS = 20_000
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def statement(least: int) -> str:
    """What a reader of the file must know."""
    return (
        f"Statistics only. Counts below {least} are not told, nor is 0: count is empty and told says «fewer than "
        f"{least}». «at least»: parts of the interval are not told and are not in the count."
    )


def csv_lines(rows: Iterable[Row], least: int) -> Iterator[str]:
    """The file line by line: the statement as a comment, the names of the columns, the rows."""
    yield f"# {statement(least)}\r\n"
    yield _line(COLUMN_NAMES)
    for row in rows:
        cells = _cells(row, least)
        cells["from"], cells["to"] = _time(row.at_us), _time(row.end_us)
        yield _line("" if cells[name] is None else _plain(cells[name]) for name in COLUMN_NAMES)


def write_csv(path: Path, rows: Iterable[Row], least: int) -> int:
    """Writes a CSV file, whole or not at all; returns how many rows. Raises Unavailable."""
    part = path.with_name(f"{path.name}.part")
    lines = -2
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            for line in csv_lines(rows, least):
                file.write(line)
                lines += 1
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Unavailable(f"{path}: can't be written ({error.strerror}).") from None
    return lines


def write_parquet(target: Any, rows: Iterable[Row], least: int) -> int:
    """Writes a Parquet file into a path or an open file; returns how many rows.

    The statement is in its metadata under «veil», from and to are timestamps in UTC. Raises Unavailable.
    """
    arrow = _pyarrow()
    from pyarrow import parquet

    moment = arrow.timestamp("us", tz="UTC")
    types = {"from": moment, "to": moment, "count": arrow.int64()}
    fields = [arrow.field(name, types.get(name, arrow.string())) for name in COLUMN_NAMES]
    schema = arrow.schema(fields, metadata={"veil": statement(least), "least": str(least)})
    count = 0
    group: list[dict[str, Any]] = []

    def flush(writer: Any) -> None:
        writer.write_table(arrow.Table.from_pylist(group, schema=schema))
        group.clear()

    try:
        with parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            for row in rows:
                group.append({**_cells(row, least), "from": row.at_us, "to": row.end_us})
                count += 1
                if len(group) >= _GROUP_ROWS:
                    flush(writer)
            flush(writer)
    except OSError as error:
        raise Unavailable(f"{target}: can't be written ({error.strerror}).") from None
    return count


def write_file(path: Path, rows: Iterable[Row], least: int) -> int:
    """Writes .csv or .parquet, by the file's name; returns how many rows. Raises Invalid, Unavailable."""
    if path.suffix == ".csv":
        return write_csv(path, rows, least)
    if path.suffix != ".parquet":
        raise Invalid(f"{path}: statistics are written as .csv or .parquet.")
    part = path.with_name(f"{path.name}.part")
    try:
        count = write_parquet(str(part), rows, least)
        part.replace(path)
    except OSError as error:
        raise Unavailable(f"{path}: can't be written ({error.strerror}).") from None
    finally:
        part.unlink(missing_ok=True)
    return count


def bin_words(measure: str, at: int) -> str:
    """What a bin is: seconds of dwell, a cell of the picture; empty where a measure has none."""
    if measure == "dwell":
        least, most = bounds_of(at)
        return f"{least:g}- s" if most is None else f"{least:g}-{most:g} s"
    if measure == "heat":
        return f"column {at % COLUMNS + 1} row {at // COLUMNS + 1}"
    return ""


def _cells(row: Row, least: int) -> dict[str, Any]:
    told = f"fewer than {least}" if row.value is None else "exact" if row.whole else "at least"
    return {
        "camera": row.camera_id,
        "measure": row.measure,
        "place": row.place,
        "kind": row.kind,
        "bin": bin_words(row.measure, row.bin),
        "count": row.value,
        "told": told,
    }


def _line(cells: Iterable[object]) -> str:
    text = StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _plain(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds")


def _pyarrow() -> ModuleType:
    try:
        import pyarrow as pa
    except ImportError:
        raise Unavailable("Parquet needs pyarrow: pip install 'veil[parquet]', or take .csv.") from None
    module: ModuleType = pa
    return module
