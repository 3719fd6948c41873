"""Counting exposed subject-frames and subjects."""

from pathlib import Path

import numpy as np
import pytest

from tests.eval.comparison import goal_ratio
from tests.eval.exposure import Count, Exposure, by_geometry, by_pixels, tally
from tests.eval.report import as_json, table
from tests.support.scenes import TrueBox, Truth, VideoWriter


def true_box(number: int = 0, height: float = 30.0, visible: float = 1.0, kind: str = "face") -> TrueBox:
    return TrueBox(number, kind, (20.0, 20.0, 20.0 + height, 20.0 + height), visible, height, 0.0, 100.0)


def truth_of(*frames: tuple[TrueBox, ...]) -> Truth:
    return Truth(128, 96, 25, frames)


def test_subject_frames_and_subjects_are_counted_by_band() -> None:
    truth = truth_of(*[(true_box(0, 30), true_box(1, 60))] * 3)
    counted = tally(truth, [[True, False], [False, True], [True, True]])
    assert counted["face", 24] == Count(3, 1, 1, 1, 0)
    assert counted["face", 48] == Count(3, 1, 1, 1, 0)


def test_five_exposed_frames_in_a_row_are_a_long_exposure() -> None:
    truth = truth_of(*[(true_box(),)] * 10)
    broken = [[False]] * 4 + [[True]] + [[False]] * 5
    assert tally(truth, broken)["face", 24] == Count(10, 9, 1, 1, 1)
    assert tally(truth, [[False], [False], [True]] * 3 + [[False]])["face", 24].long_exposed == 0


def test_a_gap_in_the_truth_breaks_a_run() -> None:
    truth = truth_of(*[(true_box(),)] * 3, (true_box(visible=0.4),), *[(true_box(),)] * 3)
    assert tally(truth, [[False]] * 7)["face", 24] == Count(6, 6, 1, 1, 0)


def test_small_and_covered_subjects_are_not_counted() -> None:
    truth = truth_of((true_box(0, height=11.9), true_box(1, visible=0.49), true_box(2, height=7.9, kind="plate")))
    assert tally(truth, [[False, False, False]]) == {}


def test_geometry_asks_for_seventy_percent_of_the_box() -> None:
    truth = truth_of(*[(true_box(height=40),)] * 3)
    exposure = by_geometry([[(20, 20, 60, 47)], [(20, 20, 60, 49)], [(20, 20, 60, 35), (20, 30, 60, 60)]], truth)
    assert exposure.total("face") == Count(3, 1, 1, 1, 0)
    assert exposure.recall("face") == pytest.approx(2 / 3)


def test_geometry_refuses_regions_of_another_video() -> None:
    with pytest.raises(ValueError, match="regions of 1 frames for a truth of 2"):
        by_geometry([[]], truth_of((), ()))


def write(path: Path, pictures: list[np.ndarray]) -> Path:
    with VideoWriter(path, 128, 96, 25) as writer:
        for picture in pictures:
            writer.write(picture)
    return path


@pytest.fixture
def clear() -> list[np.ndarray]:
    random = np.random.default_rng(5)
    coarse = random.integers(30, 220, (24, 32, 1), np.uint8)
    return [np.repeat(np.kron(coarse, np.ones((4, 4, 1), np.uint8)), 3, axis=2)] * 6


def test_pixels_find_the_frame_without_mask_and_the_mask_without_subject(
    tmp_path: Path, clear: list[np.ndarray]
) -> None:
    masked = [picture.copy() for picture in clear]
    for number, picture in enumerate(masked):
        picture[64:, 96:] = 16
        if number != 3:
            picture[18:54, 18:54] = 16
    truth = truth_of(*[(true_box(),)] * 6)
    exposure = by_pixels(write(tmp_path / "a.mp4", clear), write(tmp_path / "b.mp4", masked), truth)
    assert exposure.total("face") == Count(6, 1, 1, 1, 0)
    # 48 blocks, of which the grown true box touches 25; the mask in the corner covers 4.
    assert exposure.over_masked == pytest.approx(4 / 23)


def test_pixels_refuse_a_video_that_lost_a_frame(tmp_path: Path, clear: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="has not as many frames"):
        by_pixels(write(tmp_path / "a.mp4", clear), write(tmp_path / "b.mp4", clear[:5]), truth_of(*[()] * 6))


def test_what_a_program_cuts_off_shows_nothing(tmp_path: Path, clear: list[np.ndarray]) -> None:
    source, output = write(tmp_path / "a.mp4", clear), write(tmp_path / "b.mp4", clear[:5])
    exposure = by_pixels(source, output, truth_of(*[(true_box(),)] * 6), cut=True)
    assert exposure.total("face") == Count(6, 5, 1, 1, 1)


def test_the_goal_counts_from_its_height_on() -> None:
    exposure = Exposure({("face", 12): Count(100, 90, 3, 3, 3), ("face", 24): Count(10, 1, 2, 1, 0)})
    exposure += Exposure({("face", 24): Count(10, 0, 1, 0, 0), ("plate", 12): Count(5, 5, 1, 1, 1)})
    assert exposure.recall("face") == 0.95
    results = {"per-frame detection": exposure, "veil evidence": Exposure({("face", 24): Count(40, 1, 3, 1, 0)})}
    assert goal_ratio(results) == {"face": 0.5, "plate": 0.0}
    assert as_json(results)["veil evidence"]["goal"]["face"]["exposed_share"] == 0.025
    assert table(results, "title").row_count == 6
