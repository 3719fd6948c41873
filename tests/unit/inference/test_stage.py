"""The inference stage: every frame comes out once, in order, and says for each detector what became of it."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import DETECTIONS, FRAMES_DETECT
from services.detect.interface import Boxes, DetectorError, Image
from services.inference import InferenceStage
from services.runtime.stage import Backpressure, Emission
from services.schema import pb
from tests.unit.inference.harness import (
    SIZE,
    Make,
    Scripted,
    Stuck,
    box,
    end,
    frame,
    jpeg,
    message_of,
    nothing,
    statuses,
    wait,
)

_Status = pb.DetectorResult


def test_a_frame_comes_out_with_its_identity_and_boxes_in_source_pixels(make: Make) -> None:
    stage = make(Scripted("face", lambda _: [box(10, 20, 30, 40, score=0.25)]))
    message = frame(seq=9, has_previous=True, previous_seq=6, pts=900, captured_us=77, frame_rate=25, time_base_den=90)
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
    stage = make(Scripted("face", nothing))
    stage.submit(frame(detectors=("face", "plate")))
    (message,) = wait(stage, 1)
    assert statuses(message) == {"face": _Status.RAN, "plate": _Status.SKIPPED}
    face, plate = message.detections.results
    assert not face.boxes.score
    assert not face.reason
    assert plate.reason == "the plate detector is not loaded"


def test_each_frame_runs_only_the_detectors_it_names(make: Make) -> None:
    face, plate = Scripted("face", nothing), Scripted("plate", nothing)
    stage = make(face, plate)
    stage.submit(frame(detectors=("plate",)))
    stage.submit(frame(detectors=()))
    first, second = wait(stage, 2)
    assert statuses(first) == {"plate": _Status.RAN}
    assert statuses(second) == {}
    assert not face.batches


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (box(np.nan, 0, 5, 5), "not finite"),
        (box(0, 0, np.inf, 5), "not finite"),
        (box(0, 0, 5, 5, score=np.nan), "not finite"),
        (box(0, 0, 5, 5, score=1.5), "scores outside"),
        (box(0, 0, 5, 5, score=-0.1), "scores outside"),
        (box(9, 0, 5, 5), "negative size"),
        (box(0, 0, 5, 5000), "far outside"),
        (box(-5000, 0, 5, 50), "far outside"),
        (box(0, 0, 5, 5, kind=99), "kinds that do not exist"),
        (box(0, 0, 5, 5, kind=pb.KIND_UNSPECIFIED), "kinds that do not exist"),
    ],
)
def test_a_garbage_answer_is_a_failure(make: Make, answer: Boxes, why: str) -> None:
    stage = make(Scripted("face", lambda _: [answer]))
    stage.submit(frame())
    (message,) = wait(stage, 1)
    (result,) = message.detections.results
    assert result.status == _Status.FAILED
    assert why in result.reason
    assert not result.boxes.xyxy


@pytest.mark.parametrize("answers", [[], [Boxes.empty()] * 2, None, ["boxes"]])
def test_the_wrong_number_or_type_of_answers_is_a_failure(make: Make, answers: Sequence[Boxes]) -> None:
    stage = make(Scripted("face", lambda _: answers))
    stage.submit(frame())
    (message,) = wait(stage, 1)
    assert statuses(message) == {"face": _Status.FAILED}


def _raise(error: Exception) -> Callable[[Sequence[Image]], Sequence[Boxes]]:
    def script(_: Sequence[Image]) -> Sequence[Boxes]:
        raise error

    return script


def test_a_raising_detector_fails_its_frames_and_the_others_go_on(make: Make) -> None:
    stage = make(Scripted("face", _raise(DetectorError("out of order"))), Scripted("plate", nothing))
    stage.submit(frame(0, ("face", "plate")))
    stage.submit(frame(1, ("face", "plate")))
    for message in wait(stage, 2):
        assert statuses(message) == {"face": _Status.FAILED, "plate": _Status.RAN}
        assert message.detections.results[0].reason == "the face detector failed: out of order"


def test_i3_the_text_of_an_unforeseen_exception_stays_inside(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    stage = make(Scripted("face", _raise(ValueError("pixels 12 34 56"))))
    stage.submit(frame())
    (message,) = wait(stage, 1)
    assert message.detections.results[0].reason == "the face detector failed: ValueError"
    assert "12 34 56" not in caplog.text


def test_a_detector_that_gives_up_in_time_is_timed_out(make: Make) -> None:
    stage = make(Scripted("face", _raise(TimeoutError("slow"))))
    stage.submit(frame())
    (message,) = wait(stage, 1)
    assert statuses(message) == {"face": _Status.TIMED_OUT}


def test_a_hanging_detector_times_out_at_once_and_the_others_go_on(make: Make) -> None:
    face, plate = Stuck("face"), Scripted("plate", nothing)
    stage = make(face, plate, timeout_s=0.1)
    began = time.monotonic()
    stage.submit(frame(detectors=("face", "plate")))
    (message,) = wait(stage, 1)
    assert time.monotonic() - began < 1
    assert statuses(message) == {"face": _Status.TIMED_OUT, "plate": _Status.RAN}
    face.release.set()


def test_frames_behind_a_hanging_detector_time_out_too_and_it_is_not_called_again(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, timeout_s=0.1)
    threads = threading.active_count()
    for seq in range(20):
        stage.submit(frame(seq))
        if seq % 5 == 0:
            time.sleep(0.05)
    messages = wait(stage, 20)
    assert {statuses(message)["face"] for message in messages} == {_Status.TIMED_OUT}
    assert len(face.batches) == 1
    assert threading.active_count() <= threads + 1
    face.release.set()


def test_a_detector_that_comes_back_is_used_again_and_its_late_answer_is_not(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, timeout_s=0.1)
    threads = threading.active_count()
    stage.submit(frame(0))
    (late,) = wait(stage, 1)
    assert statuses(late) == {"face": _Status.TIMED_OUT}
    face.release.set()
    stage.submit(frame(1, value=120))
    (after,) = wait(stage, 1)
    assert after.detections.seq == 1
    assert statuses(after) == {"face": _Status.RAN}
    assert list(after.detections.results[0].boxes.xyxy) == [0, 0, 60, 30]
    assert face.most_inside == 1
    assert threading.active_count() <= threads


def test_results_leave_in_the_order_in_which_frames_came(make: Make) -> None:
    slow = Scripted("face", lambda images: time.sleep(0.01) or nothing(images))
    stage = make(slow, Scripted("plate", nothing), workers=2)
    for seq in range(10):
        stage.submit(frame(seq, ("face",) if seq % 2 else ("plate",)))
    stage.submit(end())
    messages = wait(stage, 11)
    assert [message.detections.seq for message in messages[:10]] == list(range(10))
    assert messages[10].end.frames == 7


def test_the_end_of_a_stream_waits_for_its_frames(make: Make) -> None:
    face = Stuck("face")
    stage = make(face)
    stage.submit(frame())
    stage.submit(end())
    time.sleep(0.05)
    assert stage.completed() == []
    face.release.set()
    assert [message.WhichOneof("body") for message in wait(stage, 2)] == ["detections", "end"]


def test_waiting_frames_of_all_cameras_go_in_one_call(make: Make) -> None:
    face = Stuck("face")
    stage = make(face, max_batch=4)
    stage.submit(frame(0))
    time.sleep(0.05)
    for seq in range(6):
        stage.submit(frame(seq, camera=f"cam{seq % 3}", value=4 * seq))
    face.release.set()
    messages = wait(stage, 7)
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
        message = message_of(pb.DetectMessage(frame=body), picture)
        try:
            stage.submit(message)
        except Backpressure:
            break
        taken.append(message)
    assert len(taken) == 2
    face.release.set()
    wait(stage, 2)
    stage.submit(message)
    wait(stage, 1)


def test_one_frame_over_the_whole_budget_is_taken_when_nothing_is_in_hand(make: Make) -> None:
    stage = make(Scripted("face", nothing), in_flight_mb=1)
    body = pb.DetectFrame(
        camera_id="cam", width=1000, height=700, source_width=1, source_height=1, detectors=["face"], attached=True
    )
    stage.submit(message_of(pb.DetectMessage(frame=body), np.zeros((700, 1000, 3), np.uint8)))
    assert statuses(wait(stage, 1)[0]) == {"face": _Status.RAN}


def test_a_jpeg_is_decoded_to_rgb(make: Make) -> None:
    means: list[list[float]] = []

    def script(images: Sequence[Image]) -> Sequence[Boxes]:
        means.extend(image.mean(axis=(0, 1)).tolist() for image in images)
        return nothing(images)

    stage = make(Scripted("face", script))
    blue_green_red = np.full((*SIZE, 3), (10, 20, 200), np.uint8)
    stage.submit(frame(jpeg=jpeg(blue_green_red), attached=None))
    assert statuses(wait(stage, 1)[0]) == {"face": _Status.RAN}
    assert np.allclose(means, [[200, 20, 10]], atol=4)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"jpeg": b"", "attached": None}, "cut off"),
        ({"jpeg": b"no jpeg\xff\xd9", "attached": None}, "can't be decoded"),
        ({"jpeg": jpeg(np.zeros((*SIZE, 3), np.uint8))[:-20], "attached": None}, "cut off"),
        ({"jpeg": jpeg(np.zeros((8, 8, 3), np.uint8)), "attached": None}, "not of the size"),
        ({"width": 63}, "not of the size"),
        ({"sealed": pb.Sealed(key_id="k"), "attached": None}, "there is no key to open it"),
        ({"attached": None}, "no picture came with the frame"),
    ],
)
def test_an_unreadable_picture_fails_every_detector_of_its_frame_alone(
    make: Make, fields: dict[str, object], why: str
) -> None:
    stage = make(Scripted("face", nothing), Scripted("plate", nothing), max_batch=8)
    stage.submit(frame(0, ("face", "plate"), **fields))
    stage.submit(frame(1, ("face", "plate")))
    bad, good = wait(stage, 2)
    assert statuses(bad) == {"face": _Status.FAILED, "plate": _Status.FAILED}
    assert all(why in result.reason for result in bad.detections.results)
    assert statuses(good) == {"face": _Status.RAN, "plate": _Status.RAN}


def test_an_attached_frame_without_its_picture_fails(make: Make) -> None:
    stage = make(Scripted("face", nothing))
    message = frame()
    stage.submit(message_of(pb.DetectMessage.FromString(message.record.value)))
    assert statuses(wait(stage, 1)[0]) == {"face": _Status.FAILED}


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
    stage = make(Scripted("face", lambda images: time.sleep(0.01) or nothing(images)))
    for seq in range(5):
        stage.submit(frame(seq))
    stage.close()
    assert len(stage.join(5)) == 5
    assert threading.active_count() <= threads
    assert stage.join(0) == []


def test_what_is_not_looked_at_in_time_is_left_for_a_replay(make: Make) -> None:
    face = Stuck("face")
    stage = make(face)
    stage.submit(frame())
    stage.close()
    assert stage.join(0.05) == []
    face.release.set()
