"""Metadata as rows: every value under its name, kinds as words, times as times, no bytes; JSON lines and Parquet."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import AUDIT, DETECTIONS, METADATA_STATS, METADATA_TRACKS, TOPICS, Topic, dead_letters_of
from services.consume.destination import row_table
from services.consume.errors import ConsumeError
from services.consume.rows import Row, RowReader
from services.consume.tables import JsonLines, ParquetFile, arrow_schema
from services.media.sink import SinkError
from services.schema import pb
from tests.support.consumed import FIRST, message, track

STATS = pb.StatsRecord(
    camera_id="gate",
    epoch=FIRST,
    from_us=FIRST,
    to_us=FIRST + 60_000_000,
    kinds=[pb.KindCount(kind=pb.KIND_PLATE, present=3, mean_dwell_s=1.25)],
    zones=[pb.ZoneCount(zone="door", kind=pb.KIND_FACE, entered=2)],
    frames=1500,
)
TRACK_ROW = {
    "camera_id": "gate",
    "epoch": FIRST,
    "track_id": 7,
    "kind": "face",
    "first_seq": 0,
    "last_seq": 0,
    "first_us": FIRST,
    "last_us": FIRST + 280_000,
    "box": [1.5, 2.25, 30.1, 40.0],
    "dwell_s": 0.1,
    "direction_deg": 0.0,
    "distance_px": 0.0,
    "ended": False,
    "zones": ["door"],
    "source_width": 0,
    "source_height": 0,
    "record_partition": 0,
    "record_offset": 3,
    "record_us": 99,
}


def message_of(topic: Topic, body: Any) -> Message:
    return Message(Record(topic, "gate", body.SerializeToString()), Position(TopicPartition(topic.name, 2), 5), 77)


def row_of(topic: Topic, body: Any) -> Row:
    row = RowReader(topic).row(message_of(topic, body))
    assert row is not None
    return row


class Kept:
    """A writer that counts its calls."""

    def __init__(self) -> None:
        self.data, self.calls = b"", 0

    def write(self, data: bytes) -> int:
        self.data, self.calls = self.data + data, self.calls + 1
        return len(data)


def test_a_track_becomes_a_row_with_every_value() -> None:
    assert RowReader(METADATA_TRACKS).row(message(track(7), 3, 99)) == TRACK_ROW


def test_counts_keep_their_structure() -> None:
    row = row_of(METADATA_STATS, STATS)
    assert row["kinds"] == [{"kind": "plate", "present": 3, "entered": 0, "left": 0, "mean_dwell_s": 1.25}]
    assert row["zones"][0]["kind"] == "face"
    assert (row["lines"], row["frames"], row["record_partition"]) == ([], 1500, 2)


def test_states_are_words_and_what_is_not_there_is_null() -> None:
    result = pb.DetectorResult(detector="face", status=pb.DetectorResult.TIMED_OUT)
    row = row_of(DETECTIONS, pb.DetectionsMessage(detections=pb.Detections(seq=4, results=[result])))
    assert row["detections"]["results"][0]["status"] == "timed_out"
    assert row["end"] is None


def test_an_unknown_word_of_a_newer_writer_is_null() -> None:
    odd = track(1)
    odd.kind = 99
    assert row_of(METADATA_TRACKS, odd)["kind"] is None


def test_what_json_can_not_say_is_null() -> None:
    odd = track(1)
    odd.dwell_s, odd.direction_deg = float("nan"), float("inf")
    row = row_of(METADATA_TRACKS, odd)
    assert (row["dwell_s"], row["direction_deg"]) == (None, None)


def test_garbage_is_counted_and_left_out() -> None:
    reader = RowReader(METADATA_TRACKS)
    assert (
        reader.row(Message(Record(METADATA_TRACKS, "x", b"\xff\xff"), Position(TopicPartition("t", 0), 0), 0)) is None
    )
    assert reader.invalid == 1


@pytest.mark.parametrize("topic", [*TOPICS, *map(dead_letters_of, TOPICS)], ids=lambda topic: topic.name)
def test_i3_no_topic_has_a_column_of_bytes(topic: Topic) -> None:
    schema = arrow_schema(topic)
    assert "binary" not in str(schema)
    row = row_of(topic, getattr(pb, topic.message)())
    assert list(row) == schema.names


def test_json_lines_are_written_one_by_one() -> None:
    kept = Kept()
    lines = JsonLines(kept, "standard output")
    lines.write(TRACK_ROW, 1)
    assert json.loads(kept.data) == TRACK_ROW
    lines.write(TRACK_ROW, 1)
    assert kept.calls == 2
    assert kept.data.count(b"\n") == 2


def test_a_file_of_json_lines_can_be_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "tracks.jsonl"
    table = row_table(METADATA_TRACKS, None, str(path), Kept)
    table.write(TRACK_ROW, 1)
    assert json.loads(path.read_text()) == TRACK_ROW
    table.close()


def test_parquet_has_typed_columns_and_bounded_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "tracks.parquet"
    table = ParquetFile(path, METADATA_TRACKS, group_rows=4, group_bytes=1000)
    reader = RowReader(METADATA_TRACKS)
    for number in range(10):
        row = reader.row(message(track(number), number))
        assert row is not None
        table.write(row, 1 if number < 8 else 1000)
    assert not path.exists()
    table.close()
    assert [file.name for file in tmp_path.iterdir()] == ["tracks.parquet"]

    file = parquet.ParquetFile(path)
    groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    assert groups == [4, 4, 1, 1]
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types["kind"] == "string"
    assert types["epoch"] == "uint64"
    assert types["last_us"] == types["record_us"] == "timestamp[us, tz=UTC]"
    assert types["box"].startswith("list<")
    rows = file.read().to_pylist()
    assert [row["track_id"] for row in rows] == list(range(10))
    assert rows[7]["kind"] == "face"
    assert round(rows[7]["last_us"].timestamp() * 1e6) == FIRST + 280_000


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (METADATA_STATS, STATS),
        (AUDIT, pb.AuditEvent(event_id="1", details={"a": "b"}, hash=b"x")),
        (DETECTIONS, pb.DetectionsMessage(detections=pb.Detections(results=[pb.DetectorResult(detector="face")]))),
        (dead_letters_of(DETECTIONS), pb.DeadLetter(topic="detections", reason="not one")),
    ],
    ids=lambda value: value.name if isinstance(value, Topic) else "",
)
def test_every_structure_survives_parquet(tmp_path: Path, topic: Topic, body: Any) -> None:
    path = tmp_path / "x.parquet"
    table = row_table(topic, None, str(path), Kept)
    row = row_of(topic, body)
    table.write(row, 1)
    table.close()
    (read,) = parquet.read_table(path).to_pylist()
    assert read.keys() == row.keys()
    for name in ("kinds", "detections", "reason", "camera_id"):
        assert read.get(name) == row.get(name) or topic is DETECTIONS
    if topic is AUDIT:
        assert dict(read["details"]) == {"a": "b"}


def test_a_window_without_rows_is_a_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    row_table(METADATA_STATS, None, str(path), Kept).close()
    assert parquet.read_table(path).num_rows == 0


def test_without_pyarrow_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConsumeError, match=r"pip install 'veil\[parquet\]'"):
        row_table(METADATA_TRACKS, None, str(tmp_path / "x.parquet"), Kept)
    assert list(tmp_path.iterdir()) == []


def test_tables_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ConsumeError, match="Parquet goes to a file"):
        row_table(METADATA_TRACKS, "parquet", None, Kept)
    with pytest.raises(ConsumeError, match="formats jsonl, parquet, not ts"):
        row_table(METADATA_TRACKS, "ts", None, Kept)
    with pytest.raises(SinkError, match="its folder does not exist"):
        row_table(METADATA_TRACKS, None, str(tmp_path / "no" / "x.jsonl"), Kept)
    with pytest.raises(SinkError, match="its folder does not exist"):
        row_table(METADATA_TRACKS, None, str(tmp_path / "no" / "x.parquet"), Kept)
