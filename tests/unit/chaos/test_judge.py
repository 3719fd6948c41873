"""The judge of the chaos trials sees loss, copies, disorder, damage, and pictures that nobody masked."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from services.media.encoding import H264Encoder
from services.media.picture import Picture
from services.schema import pb
from tests.chaos.judge import Account, Judge, longest_closed
from tests.chaos.observe import Arrival, Camera
from tests.chaos.truth import TruthVideo, number_of, truth_video

FRAMES = 12
EPOCH = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> TruthVideo:
    return truth_video(tmp_path_factory.mktemp("truth") / "truth.mp4")


@pytest.fixture(scope="module")
def clear(truth: TruthVideo) -> list[Picture]:
    with av.open(str(truth.path)) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(FRAMES), strict=False)]
    return [Picture(frame.to_ndarray(format="yuv420p")) for frame in frames]


def masked(picture: Picture, boxes: np.ndarray) -> Picture:
    data = picture.data.copy()
    for x1, y1, x2, y2 in boxes.astype(int):
        data[y1 : y2 + 1, x1 : x2 + 1] = 90
    return Picture(data)


def grey(picture: Picture) -> Picture:
    return Picture(np.full_like(picture.data, 120))


def arrivals(pictures: Sequence[Picture], closed: Sequence[int] = ()) -> list[Arrival]:
    encoder = H264Encoder(640, 360, Fraction(1, 10), frame_rate=10, live=True)
    units = [unit for number, picture in enumerate(pictures) for unit in encoder.encode(picture, number)]
    return [
        Arrival(
            pb.RedactedUnit(
                camera_id="c",
                epoch=EPOCH,
                seq=number,
                keyframe=unit.keyframe,
                payload=unit.payload,
                captured_us=EPOCH + number,
                closed=number in closed,
            ),
            EPOCH + number + 1000,
        )
        for number, unit in enumerate(units)
    ]


def judged(came: Sequence[Arrival], truth: TruthVideo, folder: Path) -> Account:
    camera = Camera(sent={(EPOCH, number): EPOCH + number for number in range(FRAMES)}, arrivals=list(came))
    return Judge(camera, {640: truth}, folder).account(EPOCH, EPOCH + FRAMES)


def test_frames_are_known_by_their_strip(truth: TruthVideo) -> None:
    assert [number_of(plane) for plane in truth.planes] == list(range(len(truth.planes)))


def test_masked_frames_that_all_came_are_fine(truth: TruthVideo, clear: list[Picture], tmp_path: Path) -> None:
    came = arrivals([masked(picture, truth.boxes[i]) for i, picture in enumerate(clear)])
    assert judged(came, truth, tmp_path) == Account(sent=FRAMES, delivered=FRAMES)


def test_frames_that_nobody_masked_are_exposed(truth: TruthVideo, clear: list[Picture], tmp_path: Path) -> None:
    pictures = [picture if i == 5 else masked(picture, truth.boxes[i]) for i, picture in enumerate(clear)]
    assert judged(arrivals(pictures), truth, tmp_path).exposed == len(truth.boxes[5])
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_a_closed_frame_that_shows_its_number_is_exposed(
    truth: TruthVideo, clear: list[Picture], tmp_path: Path
) -> None:
    pictures = [masked(picture, truth.boxes[i]) for i, picture in enumerate(clear)]
    account = judged(arrivals(pictures, closed=(3,)), truth, tmp_path)
    assert (account.closed, account.exposed) == (1, 1)


def test_an_open_frame_that_can_not_be_compared_counts_against_us(
    truth: TruthVideo, clear: list[Picture], tmp_path: Path
) -> None:
    pictures = [grey(picture) if i == 4 else masked(picture, truth.boxes[i]) for i, picture in enumerate(clear)]
    assert judged(arrivals(pictures), truth, tmp_path).exposed == 1
    assert judged(arrivals(pictures, closed=(4,)), truth, tmp_path).exposed == 0


def test_loss_copies_disorder_and_damage_are_counted(truth: TruthVideo, clear: list[Picture], tmp_path: Path) -> None:
    good = arrivals([masked(picture, truth.boxes[i]) for i, picture in enumerate(clear)])
    assert judged(good[:-1], truth, tmp_path).lost == 1
    assert judged([*good[:4], good[3], *good[4:]], truth, tmp_path).duplicated == 1
    assert judged([*good[:8], good[9], good[8], *good[10:]], truth, tmp_path).out_of_order == 1
    torn = Arrival(pb.RedactedUnit(), 0)
    torn.unit.CopyFrom(good[6].unit)
    torn.unit.payload = torn.unit.payload[:20]
    assert judged([*good[:6], torn, *good[7:]], truth, tmp_path).undecodable >= 1


def test_the_longest_time_without_an_open_frame_is_told() -> None:
    closed = [1, 0, 1, 1, 1, 0, 1, 1]
    units = [
        pb.RedactedUnit(epoch=1, seq=seq, closed=bool(shut), captured_us=seq * 200_000)
        for seq, shut in enumerate(closed)
    ]
    assert longest_closed([Arrival(unit, 0) for unit in reversed(units)]) == 0.6
    assert longest_closed([Arrival(unit, 0) for unit in units[1:2]]) == 0
