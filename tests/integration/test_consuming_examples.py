"""The examples of docs/consuming.md on a real broker, as somebody without Veil's code would run them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.stack.kafka import KafkaServer
from deploy.stack.kafka_install import jars, java
from tests.support.consumed import film, record, track
from tests.support.on_kafka import publish
from tests.support.servers import absent

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def python_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `protoc --python_out` makes of the contract."""
    folder = tmp_path_factory.mktemp("generated")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ROOT / "proto", f"--python_out={folder}"]
    subprocess.run([*command, "veil/v1/veil.proto"], check=True, timeout=TIMEOUT_S)
    return folder


@pytest.fixture(scope="module")
def tracks(kafka: KafkaServer) -> str:
    """A camera with three tracks, the last two of which have ended."""
    camera = f"gate-{uuid4().hex[:8]}"
    found = [track(number, camera) for number in range(3)]
    for each in found[1:]:
        each.ended = True
    publish(kafka, "tracker", map(record, found))
    return camera


@contextmanager
def lines_of(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path = ROOT) -> Iterator[Iterator[str]]:
    """The lines a program prints, which is ended afterwards."""
    process = subprocess.Popen(command, env={**os.environ, **env}, cwd=cwd, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield (line.rstrip("\n") for line in process.stdout)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def first(lines: Iterator[str], count: int, holding: str) -> list[str]:
    """The first lines with `holding` in them; pytest's own timeout bounds the wait."""
    found: list[str] = []
    for line in lines:
        if holding in line:
            found.append(line)
            if len(found) == count:
                break
    return found


@pytest.mark.timeout(120)
def test_metadata_with_kafka_python(kafka: KafkaServer, tracks: str, python_path: Path) -> None:
    env = {**kafka.env("analytics"), "PYTHONPATH": str(python_path)}
    with lines_of([sys.executable, EXAMPLES / "metadata.py"], env, python_path) as lines:
        assert first(lines, 2, tracks) == [f"{tracks} KIND_FACE 0.1 s ['door']"] * 2


@pytest.mark.timeout(120)
def test_video_with_kafka_python_and_pyav(kafka: KafkaServer, python_path: Path, tmp_path: Path) -> None:
    """Each frame once, though five of them were sent twice."""
    camera = f"gate-{uuid4().hex[:8]}"
    units = film(12, camera=camera, closed=(3,))
    publish(kafka, "encoder", map(record, [*units[:8], *units[3:]]))
    program = tmp_path / "video.py"
    program.write_text((EXAMPLES / "video.py").read_text().replace('"latest"', '"earliest"'))
    env = {**kafka.env("control-centre"), "PYTHONPATH": str(python_path)}
    with lines_of([sys.executable, program, camera], env, python_path) as lines:
        printed = first(lines, 12, "(96, 160, 3)")
    assert [line.split()[1:3] for line in printed] == [
        [str(seq), "closed" if seq == 3 else "open"] for seq in range(12)
    ]


@pytest.mark.timeout(300)
def test_metadata_from_node_with_the_plain_proto_file(kafka: KafkaServer, tracks: str, tmp_path: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        absent("node and npm are not installed: sudo apt-get install --yes nodejs npm")
    install = [npm, "install", "--no-audit", "--no-fund", "--silent", "kafkajs@2.2.4", "protobufjs@8.8.1"]
    done = subprocess.run(install, cwd=tmp_path, capture_output=True, timeout=180, check=False)
    if done.returncode:
        absent(f"npm could not install kafkajs and protobufjs: {done.stderr.decode(errors='replace')[-300:]}")
    program = tmp_path / "tracks.mjs"
    shutil.copy(EXAMPLES / "tracks.mjs", program)
    command = [node, program, ROOT / "proto" / "veil" / "v1" / "veil.proto"]
    with lines_of(command, kafka.env("analytics"), tmp_path) as lines:
        assert first(lines, 2, tracks) == [f"{tracks} KIND_FACE 0.1 s [ 'door' ]"] * 2


@pytest.mark.timeout(120)
def test_a_java_client_with_the_properties_file(kafka: KafkaServer, tracks: str, tmp_path: Path) -> None:
    """Kafka's own console consumer stands for any Java client."""
    settings = kafka.settings("analytics")
    assert settings.password_file is not None
    text = (EXAMPLES / "client.properties").read_text()
    text = text.replace("kafka.example:9093", kafka.bootstrap).replace("/etc/veil/ca.pem", str(kafka.ca_file))
    properties = tmp_path / "client.properties"
    properties.write_text(text.replace("SECRET", settings.password_file.read_text().strip()))
    tool = [java(), "-cp", f"{jars()}/*", "org.apache.kafka.tools.consumer.ConsoleConsumer"]
    tool += ["--bootstrap-server", kafka.bootstrap, "--command-config", str(properties), "--topic", "metadata.tracks"]
    tool += ["--from-beginning", "--formatter-property", "print.key=true", "--formatter-property", "print.value=false"]
    with lines_of(tool, {}) as lines:
        assert first(lines, 3, tracks) == [tracks] * 3
