"""A picture may be composed of views: what is found in any of them comes out once, in source pixels."""

from collections.abc import Sequence

import numpy as np
import pytest

from services.bus.interface import InvalidMessage
from services.detect.interface import Boxes, Image
from services.inference.views import joined
from services.schema import pb
from tests.unit.inference.harness import Make, Scripted, box, frame, message_of, nothing, statuses, wait

FRAME = pb.DetectFrame(width=160, height=180, source_width=640, source_height=480)
WHOLE = pb.View(width=160, height=120, source_width=640, source_height=480)
PART = pb.View(y=120, width=100, height=60, source_x=200, source_y=100, source_width=100, source_height=60)


def boxes(*rows: tuple[float, float, float, float, float], kind: pb.Kind = pb.KIND_FACE) -> Boxes:
    found = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes(found[:, :4], found[:, 4], np.full(len(found), kind, np.int32))


def found(whole: Boxes, part: Boxes) -> list[list[float]]:
    return sorted(joined([(WHOLE, whole), (PART, part)], FRAME).xyxy.tolist())


def test_each_view_is_scaled_and_moved_to_its_place() -> None:
    assert found(boxes((1, 2, 11, 12, 0.5)), boxes((10, 20, 22, 34, 0.4))) == [[4, 8, 44, 48], [210, 120, 222, 134]]


def test_a_subject_in_two_views_is_one() -> None:
    # 216, 120 to 236, 144 in the source picture, a pixel off.
    both = joined([(WHOLE, boxes((54, 30, 59, 36, 0.3))), (PART, boxes((16, 20, 37, 44, 0.6)))], FRAME)
    assert both.score.tolist() == pytest.approx([0.6])


def test_kinds_do_not_hide_each_other() -> None:
    whole, part = boxes((54, 30, 59, 36, 0.3)), boxes((16, 20, 36, 44, 0.6), kind=pb.KIND_PLATE)
    assert len(joined([(WHOLE, whole), (PART, part)], FRAME)) == 2


@pytest.mark.parametrize("row", [(0, 20, 20, 40), (80, 20, 100, 40), (20, 0, 40, 20), (20, 40, 40, 60)])
def test_what_the_edge_of_a_part_cuts_is_left_to_the_other_views(row: tuple[float, float, float, float]) -> None:
    assert found(boxes(), boxes((*row, 0.9))) == []


def test_at_the_pictures_own_edge_nothing_is_cut() -> None:
    corner = pb.View(y=120, width=100, height=60, source_x=540, source_y=420, source_width=100, source_height=60)
    assert len(joined([(WHOLE, boxes()), (corner, boxes((80, 40, 100, 60, 0.9)))], FRAME)) == 1
    assert len(joined([(WHOLE, boxes((0, 0, 10, 10, 0.9))), (PART, boxes())], FRAME)) == 1


def test_detectors_see_each_view_by_itself(make: Make) -> None:
    shapes: list[tuple[int, ...]] = []

    def note(images: Sequence[Image]) -> Sequence[Boxes]:
        shapes.extend(image.shape for image in images)
        return [box(10, 20, 22, 34) for _ in images]

    stage = make(Scripted("face", note))
    views = [
        pb.View(width=64, height=30, source_width=128, source_height=144),
        pb.View(y=30, width=40, height=18, source_x=50, source_y=60, source_width=40, source_height=18),
    ]
    stage.submit(frame(views=views))
    (message,) = wait(stage, 1)
    assert shapes == [(30, 64, 3), (18, 40, 3)]
    assert statuses(message) == {"face": pb.DetectorResult.FAILED}, "34 lies far below a view of 18 rows"


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 0},
        {"width": 65},
        {"y": 19},
        {"source_width": 129},
        {"source_x": -1.0},
        {"source_x": float("nan")},
        {"source_height": 0.5},
    ],
)
def test_views_that_can_not_be_true_are_refused(make: Make, fields: dict[str, float]) -> None:
    good: dict[str, float] = {"width": 64, "height": 30, "source_width": 128, "source_height": 144}
    stage = make(Scripted("face", nothing))
    stage.submit(frame(views=[pb.View(**good)]))
    with pytest.raises(InvalidMessage, match="views"):
        stage.submit(frame(views=[pb.View(**(good | fields))]))


def test_i2_views_that_leave_a_part_of_the_picture_out_are_refused(make: Make) -> None:
    half = pb.View(width=64, height=30, source_width=64, source_height=144)
    with pytest.raises(InvalidMessage, match="whole picture"):
        make(Scripted("face", nothing)).submit(frame(views=[half]))


def test_what_ran_at_the_decoder_is_passed_on(make: Make) -> None:
    moved = pb.DetectorResult(detector="motion", model="background", version="1", status=pb.DetectorResult.RAN)
    stage = make(Scripted("face", nothing))
    stage.submit(frame(results=[moved]))
    (message,) = wait(stage, 1)
    assert statuses(message) == {"face": pb.DetectorResult.RAN, "motion": pb.DetectorResult.RAN}


@pytest.mark.parametrize("asked", [[], ["face"]])
def test_i1_i2_without_a_picture_the_results_pass_and_whoever_is_asked_fails(make: Make, asked: list[str]) -> None:
    moved = pb.DetectorResult(detector="motion", model="background", version="1", status=pb.DetectorResult.RAN)
    sizes = {"width": 64, "height": 48, "source_width": 128, "source_height": 144}
    look = pb.DetectFrame(camera_id="cam", epoch=5, detectors=asked, results=[moved], **sizes)
    message = message_of(pb.DetectMessage(frame=look))
    stage = make(Scripted("face", nothing), in_flight_mb=1)
    stage.submit(message)
    (answer,) = wait(stage, 1)
    failed = dict.fromkeys(asked, pb.DetectorResult.FAILED)
    assert statuses(answer) == {"motion": pb.DetectorResult.RAN, **failed}


def test_i7_frames_without_a_picture_take_no_room_for_one(make: Make) -> None:
    sizes = {"width": 2000, "height": 2000, "source_width": 2000, "source_height": 2000}
    stage = make(Scripted("face", nothing), in_flight_mb=1)
    for seq in range(9):
        stage.submit(message_of(pb.DetectMessage(frame=pb.DetectFrame(camera_id="cam", epoch=5, seq=seq, **sizes))))
    assert len(wait(stage, 9)) == 9


@pytest.mark.parametrize("fields", [{"detector": "face"}, {"reason": "x" * 300}, {"model": "x" * 300}])
def test_i2_i3_nothing_else_is_taken_from_the_decoder(make: Make, fields: dict[str, str]) -> None:
    keys = {"detector": "motion", "status": pb.DetectorResult.RAN} | fields
    with pytest.raises(InvalidMessage, match="no decoder gives"):
        make(Scripted("face", nothing)).submit(frame(results=[pb.DetectorResult(**keys)]))
