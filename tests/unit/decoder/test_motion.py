"""The kind motion: it is looked for where pictures are decoded, and nobody else is asked for it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.media.sources import Camera
from services.schema import pb
from tests.support.book import Book
from tests.support.videos import make_video
from tests.unit.decoder.harness import Sent, policy, run

SIZE = (190, 126)
STARTS = 40
"""Frame from which on the square moves."""

GROUND = np.random.default_rng(4).integers(60, 180, (16, 24)).repeat(8, 0).repeat(8, 1)
SQUARE = np.random.default_rng(5).integers(0, 255, (8, 8)).repeat(4, 0).repeat(4, 1)


def place(number: int) -> tuple[int, int]:
    """Left upper corner of the square: it waits outside."""
    return 2 * (number - STARTS), 60


def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    picture = GROUND[:height, :width].copy()
    x, y = place(number)
    if number >= STARTS:
        picture[y : y + 32, x : x + 32] = SQUARE
    return picture.astype(np.uint8)[..., None].repeat(3, axis=2)


def looks_of(path: Path, *kinds: str, stages: DecoderSettings | None = None) -> Sent:
    book = Book(policy(kinds=list(kinds)))
    return run(DecoderStage(stages or DecoderSettings(), [Camera("c", str(path))], book, plaintext=True))


def motion(look: pb.DetectFrame) -> pb.DetectorResult:
    (result,) = look.results
    return result


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("v") / "a.mp4", frames=90, size=SIZE, paint=paint)


def test_its_result_travels_with_every_look_and_no_other_stage_is_asked_for_it(video: Path) -> None:
    sent = looks_of(video, "motion", "face")
    for look in sent.looks:
        assert list(look.detectors) == ["face"]
        assert (motion(look).detector, motion(look).model, motion(look).version) == ("motion", "background", "1")
    assert list(looks_of(video, "motion").looks[0].detectors) == []


@pytest.mark.parametrize("transport", ["attached", "encoded"])
def test_no_picture_leaves_where_nobody_else_is_asked(transport: str, video: Path) -> None:
    stages = DecoderSettings.model_validate({"transport": transport})
    sent, usual = looks_of(video, "motion", stages=stages), looks_of(video, "motion", "face", stages=stages)
    assert {look.WhichOneof("payload") for look in sent.looks} == {None}
    assert {look.WhichOneof("payload") for look in usual.looks} == {"attached" if transport == "attached" else "jpeg"}
    assert all(image is None for image in sent.images)
    for look, other in zip(sent.looks, usual.looks, strict=True):
        assert (look.seq, look.width, look.height) == (other.seq, other.width, other.height)
        assert motion(look).boxes == motion(other).boxes


@pytest.mark.parametrize("rotation", [0, 90])
def test_a_picture_goes_with_the_looks_whose_turn_it_is_for_a_detector(rotation: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=90, size=SIZE, rotation=rotation, paint=paint)
    sent = looks_of(path, "motion", "text")
    asked = [list(look.detectors) for look in sent.looks]
    assert sorted(map(list, set(map(tuple, asked)))) == [[], ["text"]]
    for look, image in zip(sent.looks, sent.images, strict=True):
        assert (image is not None) == look.attached == bool(look.detectors)
        assert image is None or image.shape == (look.height, look.width, 3)
    assert len({(look.width, look.height) for look in sent.looks}) == 1


def test_a_policy_without_it_gets_none(video: Path) -> None:
    assert not any(look.results for look in looks_of(video, "face").looks)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_are_in_pixels_of_the_upright_picture(rotation: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=90, size=SIZE, rotation=rotation, paint=paint)
    moving = [look for look in looks_of(path, "motion").looks if look.seq > STARTS + 8]
    assert len(moving) > 5
    for look in moving:
        assert motion(look).status == pb.DetectorResult.RAN
        x, y = place(look.seq)
        boxes = np.array(motion(look).boxes.xyxy).reshape(-1, 4)
        assert any(x1 <= x and y1 <= y and x2 >= x + 32 and y2 >= y + 32 for x1, y1, x2, y2 in boxes)
        assert set(motion(look).boxes.kind) == {pb.KIND_MOTION}
        assert set(motion(look).boxes.score) == {1.0}


def test_it_says_that_it_has_not_seen_enough_yet(video: Path) -> None:
    sent = looks_of(video, "motion")
    ran = [motion(look).status == pb.DetectorResult.RAN for look in sent.looks]
    began = ran.index(True)
    assert all(ran[began:])
    assert 25 <= sent.looks[began].seq <= 25 + 8
    for look in sent.looks[:began]:
        assert motion(look).status == pb.DetectorResult.SKIPPED
        assert motion(look).reason == "The background is being learnt."


def test_every_epoch_begins_anew(video: Path) -> None:
    for _ in range(2):
        assert motion(looks_of(video, "motion").looks[0]).status == pb.DetectorResult.SKIPPED


def test_a_cut_begins_anew(tmp_path: Path) -> None:
    other = np.random.default_rng(8).integers(20, 250, (16, 24)).repeat(8, 0).repeat(8, 1).astype(np.uint8)

    def scenes(number: int, width: int, height: int) -> NDArray[np.uint8]:
        if number < 40:
            return paint(0, width, height)
        return other[:height, :width, None].repeat(3, axis=2)

    sent = looks_of(make_video(tmp_path / "cut.mp4", frames=100, size=SIZE, paint=scenes), "motion")
    ran = {look.seq: motion(look).status == pb.DetectorResult.RAN for look in sent.looks}
    assert ran[39], "the last picture of the scene before"
    assert not ran[40]
    assert all(ran[seq] == (seq >= 65) for seq in ran if 40 <= seq < 64 or seq > 72)


def test_how_long_something_must_stand_still_is_a_setting(video: Path) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 60"):
        DecoderSettings(motion_absorb_s=5)
