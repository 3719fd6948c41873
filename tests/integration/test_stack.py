"""`make stack` as a person runs it: up, looked at, a service lost and back, down, and nothing left behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import pytest

from deploy.samples import sample
from deploy.stack import state
from deploy.stack.kafka_install import MissingTool, jars, java
from deploy.stack.media_build import BINARY
from deploy.triton import environment
from services.bus.interface import Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import VIDEO_REDACTED
from services.schema import pb

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = {"camera-1", "camera-2"}
STAGES = {"decoder", "inference", "tracker", "renderer", "encoder"}


def run(*arguments: str, timeout_s: float = 150) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of a stack that runs."""
    if not (os.environ.get("CI") or os.environ.get("VEIL_REQUIRE_SERVERS")):
        try:
            java(), jars()
            environment.find()
        except (MissingTool, environment.EnvironmentMissing) as missing:
            pytest.skip(str(missing))
        if not BINARY.exists():
            pytest.skip("MediaMTX is not built: make stack")
    folder = tmp_path_factory.mktemp("stack") / "stack"
    try:
        # One small camera twice: what is tried here is that the parts find each other.
        up = run("deploy.stack", "up", "--folder", str(folder), str(sample("carphone_pristine.mp4")))
        assert up.returncode == 0, up.stdout + up.stderr
        yield folder
    finally:
        for each in state.load(folder):
            state.end(each, 5)


def read_units(folder: Path, seconds: float) -> list[pb.RedactedUnit]:
    """What comes on video.redacted from now on, as a control centre sees it."""
    lines = (folder / "control-centre.env").read_text().splitlines()
    values = {name.lower(): value for name, value in (line.removeprefix("VEIL_KAFKA_").split("=", 1) for line in lines)}
    units = []
    with closing(KafkaBus(KafkaSettings.model_validate(values))) as bus:
        reader = bus.reader(VIDEO_REDACTED, Start("newest"))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            bodies = [pb.RedactedMessage.FromString(each.record.value) for each in reader.poll(0.2)]
            units += [body.unit for body in bodies if body.WhichOneof("body") == "unit"]
    return units


def watch(folder: Path) -> dict[str, Any]:
    said = run("services", "watch", "--stack", str(folder / state.NAME), "--once", "--json")
    assert said.returncode == 0, said.stderr
    seen: dict[str, Any] = json.loads(said.stdout)
    return seen


def test_masked_frames_of_both_cameras_come_out_in_order(stack: Path) -> None:
    units = read_units(stack, 5)
    for camera in CAMERAS:
        mine = [unit for unit in units if unit.camera_id == camera]
        assert len(mine) > 30
        assert [unit.seq for unit in mine] == list(range(mine[0].seq, mine[0].seq + len(mine)))
        assert all(unit.payload for unit in mine)


def test_i4_nobody_sees_what_a_camera_sees_without_its_password(stack: Path) -> None:
    camera = next(each for each in state.load(stack) if each.role == "camera")
    with pytest.raises(av.HTTPUnauthorizedError):
        av.open(camera.address, options={"rtsp_transport": "tcp", "timeout": "5000000"})
    secret = (stack / "media" / "camera.password").read_text().strip()
    said = [stack / state.NAME, stack / "site.yaml", *stack.glob("*/*.log"), *Path("/proc").glob("[0-9]*/cmdline")]
    assert not [path for path in said if secret.encode() in _content(path)]


def test_watch_sees_both_cameras_at_each_stage(stack: Path) -> None:
    seen = watch(stack)
    assert set(seen["cameras"]) == CAMERAS
    for stages in seen["cameras"].values():
        assert set(stages) == STAGES


@pytest.mark.models
def test_the_auditor_runs_beside_the_line(stack: Path) -> None:
    (auditor,) = [each for each in state.load(stack) if each.name == "auditor"]
    assert auditor.metrics
    (seen,) = [each for each in watch(stack)["processes"] if each["name"] == "auditor"]
    assert seen["problem"] == ""


def test_a_second_start_says_that_it_runs(stack: Path) -> None:
    before = state.load(stack)
    again = run("deploy.stack", "up", "--folder", str(stack))
    assert (again.returncode, "runs already" in again.stdout) == (0, True)
    assert state.load(stack) == before
    assert len(state.alive(before)) == len(before)


def test_after_stack_down_nothing_runs_and_the_logs_are_there(stack: Path) -> None:
    """The last one: the stack is gone afterwards."""
    recorded = state.load(stack)
    assert {each.role for each in recorded} == {"camera", "service", "server"}
    down = run("deploy.stack", "down", "--folder", str(stack))
    assert down.returncode == 0, down.stdout + down.stderr
    assert "had to be killed" not in down.stdout
    assert state.alive(recorded) == []
    assert not {each.pid for each in recorded} & set(_process_groups())
    assert all(Path(each.log).exists() for each in recorded)
    assert run("deploy.stack", "status", "--folder", str(stack)).returncode == 1


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _process_groups() -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            status, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        # One that only waits for its parent to hear of its end runs no more.
        if status != "Z":
            yield int(group)
