"""What a person's --format and --out mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast, get_args

from services.bus.topics import Topic
from services.consume.errors import ConsumeError
from services.consume.outlets import (
    FilesOutlet,
    Outlet,
    ServerOutlet,
    StreamFileOutlet,
    StreamFormat,
    StreamOutlet,
    Wait,
)
from services.consume.tables import JsonLines, ParquetFile, Table
from services.media.muxing import Writer
from services.media.sink import Target

RowFormat = Literal["jsonl", "parquet"]

_STDOUT = "standard output"
_STREAM_FILES: dict[str, StreamFormat] = {".ts": "ts", ".h264": "h264", ".264": "h264"}

OpenStdout = Callable[[], Writer]


def video_outlet(
    form: str | None, out: str | None, stdout: OpenStdout, tell: Callable[[str], object], wait: Wait
) -> Outlet:
    """Where video goes. Raises ConsumeError where the two don't fit.

    Args:
        form: ts, h264, mp4 or mkv on standard output; None for ts.
        out: file, folder or address; None for standard output.
        stdout: opens standard output.
        tell: told of further files.
        wait: waits so many seconds, or less when it is time to leave.
    """
    if form is not None and form not in get_args(StreamFormat):
        raise ConsumeError(f"video has the formats {', '.join(get_args(StreamFormat))}, not {form}")
    if out is None:
        return StreamOutlet(stdout(), cast(StreamFormat, form or "ts"), _STDOUT)
    if form is not None:
        raise ConsumeError("--format is for standard output: a file's suffix says what it is")
    if kind := _STREAM_FILES.get(Path(out).suffix.lower()):
        return StreamFileOutlet(Path(out), kind)
    try:
        target = Target.parse(out)
    except ValueError as error:
        raise ConsumeError(
            f"{out}: video goes to a .mp4, .mkv, .ts or .h264 file, FOLDER/index.m3u8 for HLS, or an rtsp:// address"
        ) from error
    return FilesOutlet(target, tell) if target.kind in ("mp4", "mkv") else ServerOutlet(target, wait)


def row_table(topic: Topic, form: str | None, out: str | None, stdout: OpenStdout) -> Table:
    """Where rows go. Raises ConsumeError where the two don't fit, SinkError where `out` can't be written.

    Args:
        topic: whose rows.
        form: jsonl or parquet; None for what the suffix of `out` says, or jsonl.
        out: a file; None for standard output.
        stdout: opens standard output.
    """
    if form is not None and form not in get_args(RowFormat):
        raise ConsumeError(f"{topic.name} has the formats {', '.join(get_args(RowFormat))}, not {form}")
    if out is None:
        if form == "parquet":
            raise ConsumeError("Parquet goes to a file: --out NAME.parquet")
        return JsonLines(stdout(), _STDOUT)
    path = Path(out)
    if form == "parquet" or (form is None and path.suffix.lower() == ".parquet"):
        return ParquetFile(path, topic)
    return JsonLines.file(path)
