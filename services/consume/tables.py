"""Writes rows down: JSON lines that can be read at once, or a Parquet file with typed columns."""

import json
from io import FileIO
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.bus.topics import Topic
from services.consume.errors import ConsumeError
from services.consume.rows import Row, columns_of, descriptor_of, is_moment
from services.media.file_sink import part_of
from services.media.muxing import Writer
from services.media.sink import sink_errors

# A row group is what is held in memory, and what a reader can leave out by its statistics.
_GROUP_ROWS = 20_000
_GROUP_BYTES = 16 * 1024 * 1024

_TYPES = {
    FieldDescriptor.TYPE_DOUBLE: "float64",
    FieldDescriptor.TYPE_FLOAT: "float32",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_BOOL: "bool_",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_ENUM: "string",
}


class Table(Protocol):
    """Takes rows in order."""

    def write(self, row: Row, size: int) -> None:
        """Takes a row that came from `size` bytes. Raises SinkError."""

    def close(self) -> None:
        """All were written. Raises SinkError."""


class JsonLines:
    """One JSON object a line, written at once."""

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer, self._name = writer, name
        self._file: FileIO | None = None

    @classmethod
    def file(cls, path: Path) -> "JsonLines":
        """Into a file, which can be read while it grows. Raises SinkError."""
        with sink_errors(str(path)):
            file = FileIO(path, "wb")
        lines = cls(file, str(path))
        lines._file = file
        return lines

    def write(self, row: Row, size: int) -> None:  # noqa: ARG002, nothing is held
        """Takes a row. Raises SinkError."""
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        with sink_errors(self._name):
            self._writer.write(f"{line}\n".encode())

    def close(self) -> None:
        """Closes its file; standard output stays open."""
        if self._file is not None:
            self._file.close()


class ParquetFile:
    """A Parquet file, NAME.part until it is whole: its table of contents comes last.

    Args:
        path: of the file.
        topic: whose rows it takes.
        group_rows, group_bytes: most that one row group holds.

    Raises:
        ConsumeError: where pyarrow is missing.
        SinkError: where it can't be written.
    """

    def __init__(
        self, path: Path, topic: Topic, group_rows: int = _GROUP_ROWS, group_bytes: int = _GROUP_BYTES
    ) -> None:
        self._arrow = _pyarrow()
        from pyarrow import parquet

        self._path, self._part = path, part_of(path)
        self._rows: list[Row] = []
        self._bytes = 0
        self._most_rows, self._most_bytes = group_rows, group_bytes
        self._schema = arrow_schema(topic)
        with sink_errors(str(path)):
            self._writer = parquet.ParquetWriter(str(self._part), self._schema, compression="zstd")

    def write(self, row: Row, size: int) -> None:
        """Takes a row; a full row group goes to the file. Raises SinkError."""
        self._rows.append(row)
        self._bytes += size
        if len(self._rows) >= self._most_rows or self._bytes >= self._most_bytes:
            self._flush()

    def close(self) -> None:
        """Completes the file and gives it its name. Raises SinkError."""
        self._flush()
        with sink_errors(str(self._path)):
            self._writer.close()
            self._part.replace(self._path)

    def _flush(self) -> None:
        if not self._rows:
            return
        table = self._arrow.Table.from_pylist(self._rows, schema=self._schema)
        with sink_errors(str(self._path)):
            self._writer.write_table(table)
        self._rows, self._bytes = [], 0


def arrow_schema(topic: Topic) -> Any:
    """The Arrow schema of a topic's rows. Raises ConsumeError where pyarrow is missing."""
    arrow = _pyarrow()
    where = [
        arrow.field("record_partition", arrow.int32()),
        arrow.field("record_offset", arrow.int64()),
        arrow.field("record_us", arrow.timestamp("us", tz="UTC")),
    ]
    return arrow.schema([*_fields(arrow, descriptor_of(topic)), *where])


def _fields(arrow: ModuleType, message: Descriptor) -> list[Any]:
    return [arrow.field(field.name, _type_of(arrow, field)) for field in columns_of(message)]


def _type_of(arrow: ModuleType, field: FieldDescriptor) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return arrow.map_(arrow.string(), arrow.string())
    if field.message_type is not None:
        one = arrow.struct(_fields(arrow, field.message_type))
    elif is_moment(field):
        one = arrow.timestamp("us", tz="UTC")
    else:
        one = getattr(arrow, _TYPES[field.type])()
    return arrow.list_(one) if field.is_repeated else one


def _pyarrow() -> ModuleType:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ConsumeError("Parquet needs pyarrow: pip install 'veil[parquet]', or take --format jsonl") from error
    module: ModuleType = pa
    return module
