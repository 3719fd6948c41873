"""The inference stage: every frame comes out once, in order, and says for each detector what became of it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import pytest

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS, FRAMES_DETECT
from services.detect.interface import Boxes, Detector, DetectorError, Image
from services.inference import InferenceSettings, InferenceStage
from services.runtime.stage import Backpressure, Emission
from services.schema import pb

_Status = pb.DetectorResult
_SIZE = (48, 64)


class Scripted:
    """A detector that answers each batch as `script` says."""

    def __init__(self, name: str, script: Callable[[Sequence[Image]], Sequence[Boxes]]) -> None:
        self.name, self.model, self.version = name, f"{name}-net", "1+abc"
        self.script = script
        self.batches: list[int] = []
        self.inside = 0
        self.most_inside = 0

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.batches.append(len(images))
        try:
            return self.script(images)
        finally:
            self.inside -= 1


def _box(x1: float, y1: float, x2: float, y2: float, score: float = 0.5, kind: int = pb.KIND_FACE) -> Boxes:
    return Boxes(np.array([[x1, y1, x2, y2]], np.float32), np.array([score], np.float32), np.array([kind], np.int32))


def _nothing(images: Sequence[Image]) -> Sequence[Boxes]:
    return [Boxes.empty() for _ in images]


def _brightness(images: Sequence[Image]) -> Sequence[Boxes]:
    """A box whose right edge is the picture's brightness: tells which picture was looked at."""
    return [_box(0, 0, float(image.mean()) / 4, 10) for image in images]


_offsets = iter(range(10**6))


def _message(body: pb.DetectMessage, attachment: np.ndarray | None = None) -> Message:
    camera_id = (body.frame if body.HasField("frame") else body.end).camera_id
    record = Record(FRAMES_DETECT, camera_id, body.SerializeToString(), attachment)
    return Message(record, Position(TopicPartition("frames.detect", 0), next(_offsets)), 0)


def _frame(
    seq: int = 0, detectors: Sequence[str] = ("face",), value: int = 80, camera: str = "cam", **fields: object
) -> Message:
    """A frame that comes attached, all of one brightness."""
    height, width = _SIZE
    frame = {"width": width, "height": height, "source_width": 2 * width, "source_height": 3 * height, "attached": True}
    frame |= {"camera_id": camera, "epoch": 5, "seq": seq, "detectors": list(detectors)} | fields
    picture = np.full((height, width, 3), value, np.uint8)
    return _message(pb.DetectMessage(frame=pb.DetectFrame(**frame)), picture)


def _end(camera: str = "cam") -> Message:
    return _message(pb.DetectMessage(end=pb.EndOfStream(camera_id=camera, epoch=5, frames=7)))


Make = Callable[..., InferenceStage]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes stages and ends their threads."""
    made: list[InferenceStage] = []

    def make_stage(*detectors: Detector, **settings: object) -> InferenceStage:
        stage = InferenceStage(InferenceSettings(**settings), {detector.name: detector for detector in detectors})
        made.append(stage)
        return stage

    yield make_stage
    for stage in made:
        stage.close()
        stage.join(2)


def _wait(stage: InferenceStage, count: int, timeout_s: float = 5) -> list[pb.DetectionsMessage]:
    """Polls as the runner does until `count` results are there."""
    emissions: list[Emission] = []
    until = time.monotonic() + timeout_s
    while len(emissions) < count:
        assert time.monotonic() < until, f"{len(emissions)} of {count} results in time"
        emissions += stage.completed()
        time.sleep(0.002)
    return [pb.DetectionsMessage.FromString(emission.records[0].value) for emission in emissions]


def _statuses(message: pb.DetectionsMessage) -> dict[str, int]:
    return {result.detector: result.status for result in message.detections.results}


def test_a_frame_comes_out_with_its_identity_and_boxes_in_source_pixels(make: Make) -> None:
    stage = make(Scripted("face", lambda _: [_box(10, 20, 30, 40, score=0.25)]))
    message = _frame(seq=9, has_previous=True, previous_seq=6, pts=900, captured_us=77, frame_rate=25, time_base_den=90)
    stage.submit(message)
    (emission,) = _emissions(stage, 1)
    assert emission.done == (message.position,)
    (record,) = emission.records
    assert (record.topic, record.key) == (DETECTIONS, "cam")
    found = pb.DetectionsMessage.FromString(record.value).detections
    assert (found.camera_id, found.epoch, found.seq, found.previous_seq, found.pts) == ("cam", 5, 9, 6, 900)
    assert (found.source_width, found.source_height, found.captured_us) == (128, 144, 77)
    assert (found.has_previous, found.frame_rate, found.time_base_den) == (True, 25, 90)
    (result,) = found.results
    assert (result.detector, result.model, result.version, result.status) == ("face", "face-net", "1+abc", _Status.RAN)
    assert list(result.boxes.xyxy) == [20, 60, 60, 120]
    assert list(result.boxes.score) == [0.25]
    assert list(result.boxes.kind) == [pb.KIND_FACE]


def _emissions(stage: InferenceStage, count: int) -> list[Emission]:
    found: list[Emission] = []
    until = time.monotonic() + 5
    while len(found) < count:
        assert time.monotonic() < until
        found += stage.completed()
        time.sleep(0.002)
    return found


def test_i2_ran_and_found_nothing_is_not_did_not_run(make: Make) -> None:
    stage = make(Scripted("face", _nothing))
    stage.submit(_frame(detectors=("face", "plate")))
    (message,) = _wait(stage, 1)
    assert _statuses(message) == {"face": _Status.RAN, "plate": _Status.SKIPPED}
    face, plate = message.detections.results
    assert not face.boxes.score
    assert not face.reason
    assert plate.reason == "the plate detector is not loaded"


def test_each_frame_runs_only_the_detectors_it_names(make: Make) -> None:
    face, plate = Scripted("face", _nothing), Scripted("plate", _nothing)
    stage = make(face, plate)
    stage.submit(_frame(detectors=("plate",)))
    stage.submit(_frame(detectors=()))
    first, second = _wait(stage, 2)
    assert _statuses(first) == {"plate": _Status.RAN}
    assert _statuses(second) == {}
    assert not face.batches


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (_box(np.nan, 0, 5, 5), "not finite"),
        (_box(0, 0, np.inf, 5), "not finite"),
        (_box(0, 0, 5, 5, score=np.nan), "not finite"),
        (_box(0, 0, 5, 5, score=1.5), "scores outside"),
        (_box(0, 0, 5, 5, score=-0.1), "scores outside"),
        (_box(9, 0, 5, 5), "negative size"),
        (_box(0, 0, 5, 5000), "far outside"),
        (_box(-5000, 0, 5, 50), "far outside"),
        (_box(0, 0, 5, 5, kind=99), "kinds that do not exist"),
        (_box(0, 0, 5, 5, kind=pb.KIND_UNSPECIFIED), "kinds that do not exist"),
    ],
)
def test_a_garbage_answer_is_a_failure(make: Make, answer: Boxes, why: str) -> None:
    stage = make(Scripted("face", lambda _: [answer]))
    stage.submit(_frame())
    (message,) = _wait(stage, 1)
    (result,) = message.detections.results
    assert result.status == _Status.FAILED
    assert why in result.reason
    assert not result.boxes.xyxy


@pytest.mark.parametrize("answers", [[], [Boxes.empty()] * 2, None, ["boxes"]])
def test_the_wrong_number_or_type_of_answers_is_a_failure(make: Make, answers: Sequence[Boxes]) -> None:
    stage = make(Scripted("face", lambda _: answers))
    stage.submit(_frame())
    (message,) = _wait(stage, 1)
    assert _statuses(message) == {"face": _Status.FAILED}


def _raise(error: Exception) -> Callable[[Sequence[Image]], Sequence[Boxes]]:
    def script(_: Sequence[Image]) -> Sequence[Boxes]:
        raise error

    return script


def test_a_raising_detector_fails_its_frames_and_the_others_go_on(make: Make) -> None:
    stage = make(Scripted("face", _raise(DetectorError("out of order"))), Scripted("plate", _nothing))
    stage.submit(_frame(0, ("face", "plate")))
    stage.submit(_frame(1, ("face", "plate")))
    for message in _wait(stage, 2):
        assert _statuses(message) == {"face": _Status.FAILED, "plate": _Status.RAN}
        assert message.detections.results[0].reason == "the face detector failed: out of order"


def test_i3_the_text_of_an_unforeseen_exception_stays_inside(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    stage = make(Scripted("face", _raise(ValueError("pixels 12 34 56"))))
    stage.submit(_frame())
    (message,) = _wait(stage, 1)
    assert message.detections.results[0].reason == "the face detector failed: ValueError"
    assert "12 34 56" not in caplog.text


def test_a_detector_that_gives_up_in_time_is_timed_out(make: Make) -> None:
    stage = make(Scripted("face", _raise(TimeoutError("slow"))))
    stage.submit(_frame())
    (message,) = _wait(stage, 1)
    assert _statuses(message) == {"face": _Status.TIMED_OUT}


class Stuck(Scripted):
    """Hangs on its first call until released."""

    def __init__(self, name: str) -> None:
        super().__init__(name, self._script)
        self.release = threading.Event()

    def _script(self, images: Sequence[Image]) -> Sequence[Boxes]:
        if len(self.batches) == 1:
            self.release.wait(10)
            return [_box(1, 1, 2, 2) for _ in images]
        return _brightness(images)


def test_a_hanging_detector_times_out_at_once_and_the_others_go_on(make: Make) -> None:
    face, plate = Stuck("face"), Scripted("plate", _nothing)
    stage = make(face, plate, timeout_s=0.1)
    began = time.monotonic()
    stage.submit(_frame(detectors=("face", "plate")))
    (message,) = _wait(stage, 1)
    assert time.monotonic() - began < 1
    assert _statuses(message) == {"face": _Status.TIMED_OUT, "plate": _Status.RAN}
    face.release.set()


def test_frames_behind_a_hanging_detector_time_out_too_and_it_is_not_called_again(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, timeout_s=0.1)
    threads = threading.active_count()
    for seq in range(20):
        stage.submit(_frame(seq))
        if seq % 5 == 0:
            time.sleep(0.05)
    messages = _wait(stage, 20)
    assert {_statuses(message)["face"] for message in messages} == {_Status.TIMED_OUT}
    assert len(face.batches) == 1
    assert threading.active_count() <= threads + 1
    face.release.set()


def test_a_detector_that_comes_back_is_used_again_and_its_late_answer_is_not(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, timeout_s=0.1)
    threads = threading.active_count()
    stage.submit(_frame(0))
    (late,) = _wait(stage, 1)
    assert _statuses(late) == {"face": _Status.TIMED_OUT}
    face.release.set()
    stage.submit(_frame(1, value=120))
    (after,) = _wait(stage, 1)
    assert after.detections.seq == 1
    assert _statuses(after) == {"face": _Status.RAN}
    assert list(after.detections.results[0].boxes.xyxy) == [0, 0, 60, 30]
    assert face.most_inside == 1
    assert threading.active_count() == threads


def test_results_leave_in_the_order_in_which_frames_came(make: Make) -> None:
    slow = Scripted("face", lambda images: time.sleep(0.01) or _nothing(images))
    stage = make(slow, Scripted("plate", _nothing), workers=2)
    for seq in range(10):
        stage.submit(_frame(seq, ("face",) if seq % 2 else ("plate",)))
    stage.submit(_end())
    messages = _wait(stage, 11)
    assert [message.detections.seq for message in messages[:10]] == list(range(10))
    assert messages[10].end.frames == 7


def test_the_end_of_a_stream_waits_for_its_frames(make: Make) -> None:
    face = Stuck("face")
    stage = make(face)
    stage.submit(_frame())
    stage.submit(_end())
    time.sleep(0.05)
    assert stage.completed() == []
    face.release.set()
    assert [message.WhichOneof("body") for message in _wait(stage, 2)] == ["detections", "end"]


def test_waiting_frames_of_all_cameras_go_in_one_call(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, max_batch=4)
    stage.submit(_frame(0))
    time.sleep(0.05)
    for seq in range(6):
        stage.submit(_frame(seq, camera=f"cam{seq % 3}", value=4 * seq))
    face.release.set()
    messages = _wait(stage, 7)
    assert face.batches == [1, 4, 2]
    rights = [message.detections.results[0].boxes.xyxy[2] for message in messages[1:]]
    assert rights == [2 * seq for seq in range(6)]


def test_backpressure_over_the_byte_budget_and_none_when_it_is_empty_again(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, in_flight_mb=1)
    big = {"width": 512, "height": 300, "attached": True}
    taken = []
    for seq in range(5):
        picture = np.zeros((300, 512, 3), np.uint8)
        body = pb.DetectFrame(camera_id="cam", seq=seq, source_width=512, source_height=300, detectors=["face"], **big)
        message = _message(pb.DetectMessage(frame=body), picture)
        try:
            stage.submit(message)
        except Backpressure:
            break
        taken.append(message)
    assert len(taken) == 2
    face.release.set()
    _wait(stage, 2)
    stage.submit(message)
    _wait(stage, 1)


def test_one_frame_over_the_whole_budget_is_taken_when_nothing_is_in_hand(make: Make) -> None:
    stage = make(Scripted("face", _nothing), in_flight_mb=1)
    body = pb.DetectFrame(
        camera_id="cam", width=1000, height=700, source_width=1, source_height=1, detectors=["face"], attached=True
    )
    stage.submit(_message(pb.DetectMessage(frame=body), np.zeros((700, 1000, 3), np.uint8)))
    assert _statuses(_wait(stage, 1)[0]) == {"face": _Status.RAN}


def _jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


def test_a_jpeg_is_decoded_to_rgb(make: Make) -> None:
    means: list[list[float]] = []

    def script(images: Sequence[Image]) -> Sequence[Boxes]:
        means.extend(image.mean(axis=(0, 1)).tolist() for image in images)
        return _nothing(images)

    stage = make(Scripted("face", script))
    blue_green_red = np.full((*_SIZE, 3), (10, 20, 200), np.uint8)
    stage.submit(_frame(jpeg=_jpeg(blue_green_red), attached=None))
    assert _statuses(_wait(stage, 1)[0]) == {"face": _Status.RAN}
    assert np.allclose(means, [[200, 20, 10]], atol=4)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"jpeg": b"", "attached": None}, "cut off"),
        ({"jpeg": b"no jpeg\xff\xd9", "attached": None}, "can't be decoded"),
        ({"jpeg": _jpeg(np.zeros((*_SIZE, 3), np.uint8))[:-20], "attached": None}, "cut off"),
        ({"jpeg": _jpeg(np.zeros((8, 8, 3), np.uint8)), "attached": None}, "not of the size"),
        ({"width": 63}, "not of the size"),
        ({"sealed": pb.Sealed(key_id="k"), "attached": None}, "there is no key to open it"),
        ({"attached": None}, "no picture came with the frame"),
    ],
)
def test_an_unreadable_picture_fails_every_detector_of_its_frame_alone(
    make: Make, fields: dict[str, object], why: str
) -> None:
    stage = make(Scripted("face", _nothing), Scripted("plate", _nothing), max_batch=8)
    stage.submit(_frame(0, ("face", "plate"), **fields))
    stage.submit(_frame(1, ("face", "plate")))
    bad, good = _wait(stage, 2)
    assert _statuses(bad) == {"face": _Status.FAILED, "plate": _Status.FAILED}
    assert all(why in result.reason for result in bad.detections.results)
    assert _statuses(good) == {"face": _Status.RAN, "plate": _Status.RAN}


def test_an_attached_frame_without_its_picture_fails(make: Make) -> None:
    stage = make(Scripted("face", _nothing))
    message = _frame()
    stage.submit(_message(pb.DetectMessage.FromString(message.record.value)))
    assert _statuses(_wait(stage, 1)[0]) == {"face": _Status.FAILED}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\xff\xff\xff", "not a DetectMessage"),
        (b"", "without a body"),
        (pb.DetectMessage(frame=pb.DetectFrame(seq=1)).SerializeToString(), "without a camera_id"),
        (pb.DetectMessage(end=pb.EndOfStream(epoch=1)).SerializeToString(), "without a camera_id"),
        (pb.DetectMessage(end=pb.EndOfStream(camera_id="other")).SerializeToString(), "not the key"),
        (pb.DetectMessage(frame=pb.DetectFrame(camera_id="cam")).SerializeToString(), "without a size"),
    ],
)
def test_a_message_that_no_retry_can_mend_is_refused(make: Make, value: bytes, why: str) -> None:
    stage = make()
    with pytest.raises(InvalidMessage, match=why):
        stage.submit(Message(Record(FRAMES_DETECT, "cam", value), Position(TopicPartition("frames.detect", 0), 1), 0))


def test_closing_finishes_what_is_in_hand_and_ends_the_threads(make: Make) -> None:
    threads = threading.active_count()
    stage = make(Scripted("face", lambda images: time.sleep(0.01) or _nothing(images)))
    for seq in range(5):
        stage.submit(_frame(seq))
    stage.close()
    assert len(stage.join(5)) == 5
    assert threading.active_count() == threads
    assert stage.join(0) == []


def test_what_is_not_looked_at_in_time_is_left_for_a_replay(make: Make) -> None:
    face = Stuck("face")
    stage = make(face)
    stage.submit(_frame())
    stage.close()
    assert stage.join(0.05) == []
    face.release.set()
