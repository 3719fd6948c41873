"""`veil tail` on a real broker, as analysts and control centres run it: what they see, and what they are refused."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import av
import pytest
from pyarrow import parquet

from deploy.stack.kafka import KafkaServer
from services.bus.interface import BusLost, Start
from services.bus.kafka import KafkaBus
from services.bus.topics import TOPICS
from services.consume.view import Item
from tests.support.consumed import SECOND, end, film, record, track
from tests.support.on_kafka import publish

TIMEOUT_S = 120


@pytest.fixture
def camera() -> str:
    """A camera no other test has written for: a broker remembers."""
    return f"gate-{uuid4().hex[:8]}"


@pytest.fixture
def video(kafka: KafkaServer, camera: str) -> str:
    """Two epochs on the broker: the encoder was killed in the first and sent three frames again."""
    first: list[Item] = list(film(30, camera=camera))
    second: list[Item] = list(film(20, SECOND, camera, size=(192, 128)))
    publish(kafka, "encoder", map(record, [*first[:25], *first[22:], end(30, camera=camera), *second]))
    return camera


@pytest.fixture
def tracks(kafka: KafkaServer, camera: str) -> str:
    publish(kafka, "tracker", [record(track(number, camera)) for number in range(20)])
    return camera


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "services", "tail", *(str(argument) for argument in arguments)]


def environment(kafka: KafkaServer, principal: str) -> Mapping[str, str]:
    return {**os.environ, **kafka.env(principal)}


def veil_tail(kafka: KafkaServer, principal: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*arguments), env=environment(kafka, principal), capture_output=True, timeout=TIMEOUT_S, check=False
    )


@contextmanager
def tailing_process(
    kafka: KafkaServer, principal: str, *arguments: str | Path, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command(*arguments), env=environment(kafka, principal), stdout=stdout, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def frames(path: Path) -> list[tuple[int, int]]:
    """Sizes of all frames. An error of the decoder fails the test."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        return [(frame.width, frame.height) for frame in container.decode(stream)]


WINDOW = ("--from", "oldest", "--until", "now")


def test_i6_a_control_centre_gets_each_frame_once_in_files_that_decode(
    kafka: KafkaServer, video: str, tmp_path: Path
) -> None:
    path = tmp_path / "gate.mp4"
    done = veil_tail(kafka, "control-centre", "video.redacted", "-c", video, *WINDOW, "--out", path)
    assert done.returncode == 0, done.stderr.decode()
    assert frames(path) == [(160, 96)] * 30
    assert frames(tmp_path / "gate-2.mp4") == [(192, 128)] * 20
    assert "left out: 3 sent twice" in done.stderr.decode()


def test_a_pipe_takes_all_epochs_and_may_close_at_any_time(kafka: KafkaServer, video: str, tmp_path: Path) -> None:
    whole = veil_tail(kafka, "control-centre", "video.redacted", "-c", video, *WINDOW, "--quiet")
    (tmp_path / "piped.ts").write_bytes(whole.stdout)
    assert frames(tmp_path / "piped.ts") == [(160, 96)] * 30 + [(192, 128)] * 20
    with tailing_process(
        kafka, "control-centre", "video.redacted", "-c", video, "--from", "oldest", "--quiet", stdout=subprocess.PIPE
    ) as tailing:
        assert tailing.stdout is not None
        tailing.stdout.read(1000)
        tailing.stdout.close()
        publish(kafka, "encoder", [record(unit) for unit in film(50, SECOND + 1, video)])
        _, told = tailing.communicate(timeout=TIMEOUT_S)
    assert tailing.returncode == 0
    assert told in (b"", f"{video}: the stream came to its end\n".encode())


def test_live_until_ctrl_c(kafka: KafkaServer, video: str, tmp_path: Path) -> None:
    """It sees what comes after it began, from the first keyframe on, and leaves a whole file."""
    path = tmp_path / "live.mkv"
    with tailing_process(kafka, "control-centre", "video.redacted", "-c", video, "--out", path) as tailing:
        deadline = time.monotonic() + TIMEOUT_S
        epoch = SECOND
        while not list(tmp_path.iterdir()):
            assert time.monotonic() < deadline
            epoch += 1
            publish(kafka, "encoder", [record(unit) for unit in film(10, epoch, video)])
        tailing.send_signal(signal.SIGINT)
        _, told = tailing.communicate(timeout=TIMEOUT_S)
    assert tailing.returncode == 0, told.decode()
    assert 1 <= len(frames(path)) <= 10
    assert not list(tmp_path.glob("*.part"))


def test_analysts_get_metadata_as_json_lines_and_parquet(kafka: KafkaServer, tracks: str, tmp_path: Path) -> None:
    done = veil_tail(kafka, "analytics", "metadata.tracks", "-c", tracks, *WINDOW)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["track_id"] for row in rows] == list(range(20)), done.stderr.decode()
    assert {row["kind"] for row in rows} == {"face"}

    path = tmp_path / "tracks.parquet"
    offset = rows[5]["record_offset"]
    done = veil_tail(
        kafka, "analytics", "metadata.tracks", "-c", tracks, "--from", str(offset), "--until", "now", "--out", path
    )
    assert done.returncode == 0, done.stderr.decode()
    table = parquet.read_table(path)
    assert table["track_id"].to_pylist() == list(range(5, 20))
    assert set(table["record_partition"].to_pylist()) == {rows[0]["record_partition"]}


def test_from_a_time(kafka: KafkaServer, tracks: str) -> None:
    done = veil_tail(kafka, "analytics", "metadata.tracks", "-c", tracks, "--from", "-5m", "--until", "now")
    assert len(done.stdout.splitlines()) == 20
    time.sleep(1.1)
    done = veil_tail(kafka, "analytics", "metadata.tracks", "-c", tracks, "--from", "-1s", "--until", "now")
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize(
    ("principal", "topic"),
    [
        ("analytics", "video.redacted"),
        ("analytics", "detections"),
        ("analytics", "redactions"),
        ("analytics", "audit"),
        ("analytics", "frames.detect.dlq"),
        ("control-centre", "metadata.tracks"),
        ("control-centre", "metadata.stats"),
        ("control-centre", "detections"),
        ("control-centre", "audit"),
    ],
)
def test_i4_everything_else_is_refused_in_a_sentence(kafka: KafkaServer, principal: str, topic: str) -> None:
    done = veil_tail(kafka, principal, topic, "-c", "gate", "--from", "oldest", "--until", "now")
    assert done.returncode == 3
    assert done.stdout == b""
    assert done.stderr.decode() == f"error: user {principal} may not read {topic}\n"


@pytest.mark.parametrize("topic", ["video.source", "frames.detect"])
@pytest.mark.parametrize("principal", ["analytics", "control-centre"])
def test_i4_the_broker_refuses_pictures_that_are_not_masked_too(kafka: KafkaServer, principal: str, topic: str) -> None:
    """`veil tail` would not even ask; so does a program that does."""
    (asked,) = (each for each in TOPICS if each.name == topic)
    bus = KafkaBus(kafka.settings(principal))
    try:
        with pytest.raises(BusLost, match=f"user {principal} may not read {topic}"):
            bus.reader(asked, Start("oldest"))
    finally:
        bus.close()


def test_a_camera_that_is_not_there_is_told_with_those_that_are(kafka: KafkaServer, video: str, tmp_path: Path) -> None:
    done = veil_tail(
        kafka, "control-centre", "video.redacted", "-c", "nowhere", "--for", "8s", "--out", tmp_path / "x.ts"
    )
    told = done.stderr.decode()
    assert "nowhere: nothing yet; the newest of video.redacted are from " in told
    assert video in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"VEIL_KAFKA_BOOTSTRAP": "127.0.0.1:9"}, "Kafka at 127.0.0.1:9 can't be used: "),
        ({"VEIL_KAFKA_USERNAME": "auditor"}, "can't be used: "),
        ({"VEIL_KAFKA_CA_FILE": "/nowhere/ca.pem"}, "the CA certificate /nowhere/ca.pem can't be read"),
    ],
    ids=["no broker", "wrong password", "no certificate"],
)
def test_a_connection_that_fails_is_one_sentence(
    kafka: KafkaServer, change: Mapping[str, str], told: str, tmp_path: Path
) -> None:
    env = tmp_path / "analytics.env"
    env.write_text("".join(f"{name}={value}\n" for name, value in (kafka.env("analytics") | change).items()))
    done = subprocess.run(command("metadata.tracks", "--env", env), capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 3
    assert told in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
