"""`veil tail` on a bus in memory: what it writes, what it refuses, and how it says so."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

import services.cli.tail
import services.consume.connection
from services.bus.interface import BusLost, Record
from services.bus.memory import MemoryBus
from services.bus.topics import DETECTIONS, dead_letters_of
from services.cli import app
from services.consume.progress import Progress
from services.embedded.errors import ExitCode
from services.schema import pb
from tests.support.consumed import SECOND, MemoryConnection, end, fill, film, track


def veil_tail(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["tail", *(str(argument) for argument in arguments)])


class Stdout:
    """Standard output as bytes; a reader that leaves after `most` of them."""

    def __init__(self) -> None:
        self.data = b""
        self.most = 1 << 30

    def write(self, data: bytes) -> int:
        if len(self.data) + len(data) > self.most:
            raise BrokenPipeError(32, "Broken pipe")
        self.data += data
        return len(data)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryBus]:
    """Two epochs of camera gate, an unclear one of yard, tracks of both, a dead letter."""
    bus = MemoryBus()
    fill(bus, [*film(25), end(25), *film(3, camera="yard"), *film(15, SECOND)])
    fill(bus, [track(number, "yard" if number == 2 else "gate") for number in range(5)])
    letter = pb.DeadLetter(topic="detections", stage="tracker", reason="not a DetectionsMessage", size=7)
    producer = bus.producer()
    producer.publish(Record(dead_letters_of(DETECTIONS), "gate", letter.SerializeToString()))
    producer.close()
    monkeypatch.setattr(services.consume.connection, "connect", lambda settings: MemoryConnection(bus))
    yield bus
    bus.close()


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Stdout:
    taken = Stdout()
    monkeypatch.setattr(services.cli.tail, "standard_output", lambda stop: taken)
    return taken


VIDEO = ("video.redacted", "--camera", "gate", "--from", "oldest", "--until", "now")
TRACKS = ("metadata.tracks", "--from", "oldest", "--until", "now")


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_video_to_a_file_and_the_next_epoch_to_the_next(bus: MemoryBus, tmp_path: Path) -> None:
    path = tmp_path / "gate.mp4"
    result = veil_tail(*VIDEO, "--out", path)
    assert result.exit_code == 0, result.stderr
    assert (frames(path), frames(tmp_path / "gate-2.mp4")) == (25, 15)
    told = result.stderr.splitlines()
    assert told[0] == "gate: the stream came to its end"
    assert told[1] == f"gate: goes on in {tmp_path / 'gate-2.mp4'} (160×96)"
    assert told[2].startswith("gate: 40 frames · ")
    assert result.stdout == ""


def test_video_to_a_pipe_is_what_every_player_takes(bus: MemoryBus, stdout: Stdout, tmp_path: Path) -> None:
    assert veil_tail(*VIDEO).exit_code == 0
    (tmp_path / "piped.ts").write_bytes(stdout.data)
    assert stdout.data[0] == 0x47
    assert frames(tmp_path / "piped.ts") == 40


def test_a_player_that_leaves_ends_it_without_a_word(bus: MemoryBus, stdout: Stdout) -> None:
    stdout.most = 2000
    result = veil_tail("video.redacted", "--camera", "gate", "--from", "oldest", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    stdout.data, stdout.most = b"", 300
    assert veil_tail("metadata.tracks", "--from", "oldest").exit_code == 0


def test_one_epoch(bus: MemoryBus, tmp_path: Path) -> None:
    path = tmp_path / "one.mkv"
    assert veil_tail(*VIDEO[:-2], "--epoch", str(SECOND), "--until", "now", "--out", path).exit_code == 0
    assert frames(path) == 15


def test_ctrl_c_finishes_the_file(bus: MemoryBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def idle(progress: Progress, heard: bool) -> None:
        if not heard:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "__call__", idle)
    path = tmp_path / "live.mp4"
    result = veil_tail("video.redacted", "--camera", "gate", "--from", "oldest", "--out", path)
    assert (result.exit_code, frames(tmp_path / "live-2.mp4")) == (0, 15)
    assert not list(tmp_path.glob("*.part"))


def test_metadata_as_json_lines_with_where_it_was_read(bus: MemoryBus, stdout: Stdout) -> None:
    result = veil_tail(*TRACKS)
    rows = [json.loads(line) for line in stdout.data.splitlines()]
    assert [(row["track_id"], row["camera_id"], row["kind"], row["record_offset"]) for row in rows] == [
        (number, "yard" if number == 2 else "gate", "face", number) for number in range(5)
    ]
    assert (result.exit_code, result.stderr) == (0, "")


def test_metadata_of_some_cameras_from_an_offset(bus: MemoryBus, stdout: Stdout) -> None:
    assert veil_tail("metadata.tracks", "-c", "gate", "--from", "1", "--until", "now").exit_code == 0
    assert [json.loads(line)["track_id"] for line in stdout.data.splitlines()] == [1, 3, 4]


def test_metadata_as_parquet_by_its_suffix(bus: MemoryBus, tmp_path: Path) -> None:
    path = tmp_path / "tracks.parquet"
    result = veil_tail(*TRACKS, "--out", path)
    assert result.exit_code == 0, result.stderr
    assert parquet.read_table(path)["track_id"].to_pylist() == list(range(5))
    assert result.stderr == "metadata.tracks: 5 rows\n"


def test_reasons_of_dead_letters(bus: MemoryBus, stdout: Stdout) -> None:
    assert veil_tail("detections.dlq", "--from", "oldest", "--until", "now").exit_code == 0
    assert json.loads(stdout.data)["reason"] == "not a DetectionsMessage"


@pytest.mark.parametrize("topic", ["video.source", "frames.detect"])
def test_i4_pictures_that_are_not_masked_are_refused_before_anything_connects(
    topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connected(settings: object) -> None:
        raise AssertionError("it connected")

    monkeypatch.setattr(services.consume.connection, "connect", connected)
    result = veil_tail(topic, "--camera", "gate")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == f"error: {topic} holds pictures that are not masked: nobody may look on there\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["video.rendered"], "video.rendered lies between two stages: tail video.redacted"),
        (["tracks"], "tracks: no such topic; there are cameras, video.source,"),
        (["video.redacted"], "one camera's video at a time: --camera ID"),
        (["video.redacted", "-c", "a", "-c", "b"], "one camera's video at a time"),
        (["video.redacted", "-c", "a", "--format", "jsonl"], "video has the formats ts, h264, mp4, mkv, not jsonl"),
        (["video.redacted", "-c", "a", "--out", "x.avi"], "x.avi: video goes to a .mp4"),
        (["metadata.stats", "--format", "parquet"], "Parquet goes to a file: --out NAME.parquet"),
        (["metadata.stats", "--epoch", "1"], "--epoch is for video"),
        (["metadata.stats", "--from", "12"], "an offset is one of a partition: say --partition or --camera"),
        (["metadata.stats", "--partition", "3"], "metadata.stats has the partitions 0 to 0"),
        (["metadata.stats", "--from", "yesterday"], "'yesterday' is no start"),
        (["metadata.stats", "--from", "-5m", "--until", "-10m"], "--until lies before --from"),
        (["metadata.stats", "--out", "{here}/taken.jsonl"], "taken.jsonl is there already; --overwrite replaces it"),
        (["metadata.stats", "--env", "{here}/none.env"], "none.env: can't be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_requests_that_make_no_sense_are_one_sentence(
    bus: MemoryBus, stdout: Stdout, tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "taken.jsonl").write_text("mine")
    result = veil_tail(*(argument.format(here=tmp_path) for argument in arguments))
    assert result.exit_code == ExitCode.USAGE, result.output
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "taken.jsonl").read_text() == "mine"


def test_overwrite_replaces(bus: MemoryBus, tmp_path: Path) -> None:
    path = tmp_path / "taken.jsonl"
    path.write_text("theirs")
    assert veil_tail(*TRACKS, "--out", path, "--overwrite").exit_code == 0
    assert len(path.read_text().splitlines()) == 5


def test_a_broker_that_is_away_or_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(settings: object) -> None:
        raise BusLost("Kafka at 10.0.0.1:9092 can't be used: no answer")

    monkeypatch.setattr(services.consume.connection, "connect", away)
    result = veil_tail("metadata.tracks")
    assert result.exit_code == ExitCode.INPUT
    assert result.stderr == "error: Kafka at 10.0.0.1:9092 can't be used: no answer\n"


@pytest.mark.parametrize(
    "arguments",
    [[*VIDEO, "--out", "{here}/no/x.mp4"], [*TRACKS, "--out", "{here}/no/x.parquet"]],
    ids=["video", "rows"],
)
def test_an_output_that_can_not_be_written(bus: MemoryBus, tmp_path: Path, arguments: list[str]) -> None:
    result = veil_tail(*(argument.format(here=tmp_path) for argument in arguments))
    assert result.exit_code == ExitCode.OUTPUT
    assert "its folder does not exist" in result.stderr


def test_a_camera_that_is_not_there(
    bus: MemoryBus, stdout: Stdout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.consume.lookout._AFTER_S", 0.3)
    result = veil_tail("video.redacted", "--camera", "dock", "--for", "1s", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == "dock: nothing yet; the newest of video.redacted are from gate, yard; waiting\n"


def test_help_teaches_with_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["tail", "--help"]).stdout
    for words in ("| ffplay -", "--out stats.parquet", "VEIL_KAFKA_", "Exit codes", "gate-2.mp4"):
        assert words in shown
