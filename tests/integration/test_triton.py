"""The detectors on a real Triton: the same boxes as in process, and every way for it to fail closes frames in time."""

import json
import os
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deploy import metrics_page
from deploy.samples import sample
from deploy.stack.process import StartError
from deploy.stack.triton import TritonServer
from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import FRAMES_DETECT
from services.detect import triton as triton_home
from services.detect.catalogue import catalogue, default_models_dir
from services.detect.groups import grouped
from services.detect.interface import Boxes, Detector, DetectorError, Image
from services.detect.triton import TritonSession
from services.detect.triton_repository import write_model, write_repository
from services.detect.triton_servers import TritonServers
from services.inference import InferenceSettings, InferenceStage, load_detectors
from services.schema import pb
from tests.support import graphs
from tests.support.own_nets import KINDS, bundled, random_net

pytestmark = pytest.mark.models

Start = Callable[..., TritonServer]

_SHARED = Path(__file__).parents[3] / "shared" / "data"
_NAMES = ("face", "plate", "person", "text")
_RAN, _FAILED, _TIMED_OUT = pb.DetectorResult.RAN, pb.DetectorResult.FAILED, pb.DetectorResult.TIMED_OUT
_DEADLINE_S = 1.0


def _settings(*servers: TritonServer, **options: object) -> InferenceSettings:
    urls = ",".join(server.grpc for server in servers)
    return InferenceSettings(**{"home": "triton", "triton_urls": urls, "timeout_s": 10, **options})


def _frames(name: str, every: int, count: int) -> list[Image]:
    with av.open(str(sample(name))) as container:
        frames = enumerate(container.decode(video=0))
        wanted = [frame.to_ndarray(format="rgb24") for i, frame in frames if i % every == 0 and i < every * count]
    assert len(wanted) == count
    return wanted


def _photographs() -> list[Image]:
    """A few pictures of each kind, of all sizes; none where they are not at hand."""
    pictures = []
    for folder in ("faces/group", "plates/us", "plates/br"):
        for path in sorted((_SHARED / folder).glob("*.jpg"))[:2]:
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
            scale = min(1, 640 / max(picture.shape[:2]))
            pictures.append(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return pictures


def _same(left: Boxes, right: Boxes) -> bool:
    arrays = ("xyxy", "score", "kind")
    return all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in arrays)


@pytest.mark.parametrize("name", _NAMES)
def test_the_same_boxes_to_the_last_bit_in_both_homes(triton: TritonServer, name: str) -> None:
    images = _frames("bikes.mp4", 60, 3) + _frames("carphone_pristine.mp4", 40, 2) + _photographs()
    images.append(cv2.resize(images[0], (1280, 720), interpolation=cv2.INTER_LINEAR))
    here = load_detectors([name])[name]
    there = load_detectors([name], _settings(triton))[name]
    assert (there.name, there.model, there.version) == (here.name, here.model, here.version)
    expected = [here.detect([image], 30)[0] for image in images]
    assert sum(len(boxes) for boxes in expected)
    together = there.detect(images, 30)
    alone = [there.detect([image], 30)[0] for image in images]
    assert all(_same(one, other) for one, other in zip(expected, alone, strict=True))
    assert all(_same(one, other) for one, other in zip(expected, together, strict=True))


def test_veils_own_network_answers_several_kinds_alike_in_both_homes(start_triton: Start, tmp_path: Path) -> None:
    images = [*_frames("bikes.mp4", 60, 2), np.zeros((100, 180, 3), np.uint8)]
    models = dict.fromkeys(KINDS, "veil")
    with bundled(tmp_path, random_net(), models):
        server = start_triton(["veil"])
        (here,) = grouped(load_detectors(KINDS, _settings(server, home="onnx")))
        (there,) = grouped(load_detectors(KINDS, _settings(server)))
    before = _metric(server, "nv_inference_request_success", model="veil")
    for kinds in (KINDS, ("person",), ("plate", "face")):
        for image in images:
            expected, found = (home.detect(kinds, [image], 30) for home in (here, there))
            assert all(_same(expected[kind][0], found[kind][0]) for kind in kinds)
            assert any(len(expected[kind][0]) for kind in kinds) or not image.any()
    assert _metric(server, "nv_inference_request_success", model="veil") - before == 3 * len(images)


def test_every_metric_that_rules_boards_and_scaling_ask_for_is_there(triton: TritonServer) -> None:
    """By name and by label; those of a GPU are not here, and are excused by name in the metrics' page alone."""
    with urllib.request.urlopen(triton.metrics, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    for metric in metrics_page.TRITON:
        assert f"# TYPE {metric.name} {metric.type}" in lines
        series = [line for line in lines if line.startswith(f"{metric.name}{{")]
        assert series, metric.name
        assert all(f'{label}="' in line for line in series for label in metric.labels)


def test_full_hd_pictures_pass(triton: TritonServer) -> None:
    detector = load_detectors(["face"], _settings(triton))["face"]
    assert len(detector.detect([np.zeros((1080, 1920, 3), np.uint8)] * 2, 60)) == 2


class Line:
    """An inference stage with frames of one camera after the other."""

    def __init__(self, settings: InferenceSettings, detectors: Mapping[str, Detector]) -> None:
        self.stage = InferenceStage(settings, detectors)
        self._offset = 0

    def look(self, image: Image, camera: str = "cam", names: Sequence[str] = ("face",)) -> None:
        height, width, _ = image.shape
        frame = pb.DetectFrame(
            camera_id=camera,
            width=width,
            height=height,
            source_width=width,
            source_height=height,
            detectors=names,
            attached=True,
        )
        record = Record(FRAMES_DETECT, camera, pb.DetectMessage(frame=frame).SerializeToString(), image)
        self.stage.submit(Message(record, Position(TopicPartition("frames.detect", 0), self._offset), 0))
        self._offset += 1

    def results(self, count: int, within_s: float) -> list[pb.Detections]:
        found: list[pb.Detections] = []
        until = time.monotonic() + within_s
        while len(found) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} results within {within_s} s"
            for emission in self.stage.completed():
                (record,) = emission.records
                found.append(pb.DetectionsMessage.FromString(record.value).detections)
            time.sleep(0.005)
        return found

    def one(self, image: Image, within_s: float) -> pb.DetectorResult:
        self.look(image)
        (detections,) = self.results(1, within_s)
        return detections.results[0]

    def until_ran(self, image: Image, within_s: float) -> None:
        until = time.monotonic() + within_s
        while (result := self.one(image, within_s=5)).status != _RAN:
            assert time.monotonic() < until, result.reason
            time.sleep(0.1)


@pytest.fixture
def make_line() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def make(settings: InferenceSettings, names: Sequence[str] = ("face",)) -> Line:
        lines.append(Line(settings, load_detectors(names, settings)))
        return lines[-1]

    yield make
    for line in lines:
        line.stage.close()
        line.stage.join(5)


MakeLine = Callable[..., Line]


def test_cameras_of_several_sizes_share_calls_and_get_their_own_boxes(
    triton: TritonServer, make_line: MakeLine
) -> None:
    big = _frames("bikes.mp4", 60, 2)
    pictures = {
        "a": big[0],
        "b": big[1],
        "c": cv2.resize(big[0], (320, 136)),
        "d": _frames("carphone_pristine.mp4", 9, 1)[0],
    }
    names = ("face", "plate")
    line = make_line(_settings(triton), names)
    here = load_detectors(names)
    for _ in range(4):
        for camera, picture in pictures.items():
            line.look(picture, camera, names)
    for detections in line.results(16, within_s=60):
        assert [result.status for result in detections.results] == [_RAN, _RAN]
        for name, result in zip(names, detections.results, strict=True):
            (expected,) = here[name].detect([pictures[detections.camera_id]], 30)
            assert list(result.boxes.score) == expected.score.tolist()
            assert list(result.boxes.xyxy) == expected.xyxy.ravel().tolist()


def test_i2_a_triton_that_stands_still_times_out_and_is_used_again(start_triton: Start, make_line: MakeLine) -> None:
    server = start_triton(["face"])
    image = _frames("carphone_pristine.mp4", 1, 1)[0]
    line = make_line(_settings(server, timeout_s=_DEADLINE_S))
    assert line.one(image, 5).status == _RAN
    os.killpg(server.pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            began = time.monotonic()
            result = line.one(image, 5)
            assert time.monotonic() - began < _DEADLINE_S + 0.5
            assert (result.status, result.reason) == (_TIMED_OUT, "the face detector did not answer in time")
    finally:
        os.killpg(server.pid, signal.SIGCONT)
    line.until_ran(image, within_s=10)


def test_i2_a_triton_that_is_killed_fails_and_its_return_is_enough(start_triton: Start, make_line: MakeLine) -> None:
    server = start_triton(["face"])
    image = _frames("carphone_pristine.mp4", 1, 1)[0]
    line = make_line(_settings(server, timeout_s=_DEADLINE_S))
    assert line.one(image, 5).status == _RAN
    server.kill()
    for _ in range(3):
        began = time.monotonic()
        result = line.one(image, 5)
        assert time.monotonic() - began < _DEADLINE_S + 0.5
        assert result.status == _FAILED
        assert result.reason == f"the face detector failed: Triton at {server.grpc} can't be reached"
    server.start()
    line.until_ran(image, within_s=10)


def test_two_tritons_share_the_work_and_one_is_enough(start_triton: Start, make_line: MakeLine) -> None:
    first, second = start_triton(["face"]), start_triton(["face"])
    image = _frames("carphone_pristine.mp4", 1, 1)[0]
    line = make_line(_settings(first, second))
    for _ in range(6):
        assert line.one(image, 10).status == _RAN
    assert _metric(first, "nv_inference_request_success") >= 2
    assert _metric(second, "nv_inference_request_success") >= 2
    first.kill()
    for _ in range(6):
        assert line.one(image, 10).status == _RAN


def test_a_service_may_start_before_triton(start_triton: Start, make_line: MakeLine) -> None:
    server = start_triton(["face"])
    server.kill()
    line = make_line(_settings(server, timeout_s=_DEADLINE_S))
    image = _frames("carphone_pristine.mp4", 1, 1)[0]
    assert line.one(image, 5).status == _FAILED
    server.start()
    line.until_ran(image, within_s=10)


def _faces_of_nan() -> bytes:
    """A network that bears CenterFace's outputs, all of the right shape, without one number in them."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["floats", "starts", "ends", "axes", "steps"], ["cells"]),
        helper.make_node("Transpose", ["cells"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["turned", "turned"], ["nothing"]),
        helper.make_node("Div", ["nothing", "nothing"], ["heatmap"]),
        *(helper.make_node("Concat", ["heatmap", "heatmap"], [name], axis=1) for name in ("size", "offset")),
    ]
    numbers = {"starts": [0, 0, 0], "ends": [9999, 9999, 1], "axes": [1, 2, 3], "steps": [4, 4, 1]}
    constants = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()]
    return _with_shapes(graphs.serialise(nodes, ["heatmap", "size", "offset"], constants))


def _faces_of_one_cell() -> bytes:
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["heatmap"], axes=[1, 2, 3], keepdims=1),
        *(helper.make_node("Concat", ["heatmap", "heatmap"], [name], axis=1) for name in ("size", "offset")),
    ]
    return _with_shapes(graphs.serialise(nodes, ["heatmap", "size", "offset"]))


def _with_shapes(model: bytes) -> bytes:
    """The same network, whose outputs say how many dimensions they have, as Triton's configuration needs it."""
    loaded = onnx.load_from_string(model)
    for output, channels in zip(loaded.graph.output, (1, 2, 2), strict=True):
        output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["n", channels, "h", "w"]))
    return loaded.SerializeToString()


@pytest.mark.parametrize(
    ("network", "why"), [(_faces_of_nan, "not finite in heatmap"), (_faces_of_one_cell, "answered heatmap of shape")]
)
def test_i2_a_triton_that_answers_nonsense_fails(
    start_triton: Start, make_line: MakeLine, tmp_path: Path, network: Callable[[], bytes], why: str
) -> None:
    write_model(tmp_path / "models" / "centerface", network(), catalogue().entry("centerface").stamp, "python")
    line = make_line(_settings(start_triton(repository=tmp_path / "models")))
    result = line.one(_frames("carphone_pristine.mp4", 1, 1)[0], 10)
    assert result.status == _FAILED
    assert why in result.reason


def test_i2_a_model_that_triton_does_not_have_fails(start_triton: Start, make_line: MakeLine) -> None:
    line = make_line(_settings(start_triton(["face"])), names=("plate",))
    line.look(np.zeros((64, 64, 3), np.uint8), names=("plate",))
    (detections,) = line.results(1, 10)
    assert detections.results[0].status == _FAILED
    assert "failed on veil" in detections.results[0].reason


def test_triton_does_not_serve_a_file_that_is_not_the_configured_one(start_triton: Start, tmp_path: Path) -> None:
    write_repository(tmp_path / "models", ["face"], "python", default_models_dir())
    (tmp_path / "models" / "centerface" / "1" / "model.onnx").write_bytes(_faces_of_one_cell())
    with pytest.raises(StartError, match="is not the one its configuration names"):
        start_triton(repository=tmp_path / "models")


def _slow_repository(folder: Path, max_queue_size: int) -> Path:
    """One model, of one instance, that takes about half a second for a picture of 500 × 500."""
    model = onnx.load_from_string(graphs.slow(steps=60))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", "h", "w", 3]))
    write_model(folder / "slow", model.SerializeToString(), "1+slow", "python", instances=1)
    config = folder / "slow" / "config.pbtxt"
    config.write_text(re.sub(r"max_queue_size: \d+", f"max_queue_size: {max_queue_size}", config.read_text()))
    return folder


def _crowd(server: TritonServer, count: int, timeout_s: float) -> list[str]:
    """What so many callers get, all at once."""
    session = TritonSession(TritonServers([server.grpc]), "slow", "1+slow")
    session.run_each(("out",), [np.zeros((8, 8, 3), np.uint8)], 20)
    picture = np.zeros((500, 500, 3), np.uint8)
    outcomes: list[str] = []

    def call() -> None:
        try:
            session.run_each(("out",), [picture], timeout_s)
            outcomes.append("answered")
        except (DetectorError, TimeoutError) as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == count
    return outcomes


def test_requests_beyond_the_queue_are_rejected_at_once(start_triton: Start, tmp_path: Path) -> None:
    server = start_triton(repository=_slow_repository(tmp_path / "models", max_queue_size=2))
    outcomes = _crowd(server, 16, timeout_s=20)
    assert sum("has a full queue" in outcome for outcome in outcomes) >= 8
    assert outcomes.count("answered") >= 3


def test_a_late_request_is_never_worked_on(
    start_triton: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long before the caller's own deadline that it is the server's queue which refuses.
    monkeypatch.setattr(triton_home, "_QUEUE_SHARE", 0.1)
    server = start_triton(repository=_slow_repository(tmp_path / "models", max_queue_size=32))
    began = time.monotonic()
    outcomes = _crowd(server, 16, timeout_s=3.0)
    assert time.monotonic() - began < 4.5
    late = [outcome for outcome in outcomes if outcome != "answered"]
    assert len(late) >= 4
    time.sleep(1.5)
    assert _metric(server, "nv_inference_request_failure", reason="REJECTED") >= 1
    executed = _metric(server, "nv_inference_count")
    assert executed < 16
    time.sleep(1)
    assert _metric(server, "nv_inference_count") == executed


def _metric(server: TritonServer, name: str, **labels: str) -> float:
    with urllib.request.urlopen(server.metrics, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f"{label}={json.dumps(value)}" for label, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(f"{name}{{") and all(label in line for label in wanted)
    )
