"""The cadence of detection follows what moves."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.decoder.cadence import Cadence, Why
from services.policy.model import Detection

STILL = np.full((180, 320), 100, np.uint8)
RULES = Detection(every_min=3, every_max=8, gap_max_s=10)


def looks(cadence: Cadence, pictures: list[NDArray[np.uint8]], fps: float = 25) -> list[tuple[int, Why]]:
    out = []
    for number, picture in enumerate(pictures):
        why = cadence.wants(picture, number / fps, (number + 1) / fps)
        if why is not None:
            out.append((number, why))
    return out


def with_square(at: int, side: int = 90) -> NDArray[np.uint8]:
    picture = STILL.copy()
    picture[20 : 20 + side, at : at + side] = 200
    return picture


def test_nothing_moves_every_max() -> None:
    assert looks(Cadence(RULES), [STILL] * 25) == [(0, Why.FIRST), (8, Why.MOTION), (16, Why.MOTION), (24, Why.MOTION)]


def test_much_moves_every_min() -> None:
    assert [at for at, _ in looks(Cadence(RULES), [with_square(12 * n) for n in range(15)])] == [0, 3, 6, 9, 12]


def test_some_motion_lies_between() -> None:
    gaps = np.diff([at for at, _ in looks(Cadence(RULES), [with_square(2 * n, side=48) for n in range(60)])])
    assert gaps.min() > 3
    assert gaps.max() < 8


def test_sensor_noise_is_no_motion() -> None:
    dice = np.random.default_rng(1)
    noisy = [(STILL + dice.normal(0, 4, STILL.shape)).clip(0, 255).astype(np.uint8) for _ in range(17)]
    assert [at for at, _ in looks(Cadence(RULES), noisy)] == [0, 8, 16]


def test_a_scene_cut_is_looked_at_at_once() -> None:
    assert looks(Cadence(RULES), [STILL] * 2 + [STILL + 80] * 8) == [(0, Why.FIRST), (2, Why.CUT)]


def test_a_slow_change_of_light_is_no_cut() -> None:
    assert all(why is not Why.CUT for _, why in looks(Cadence(RULES), [STILL + 4 * n for n in range(30)]))


@pytest.mark.parametrize("fps", [2.0, 5.0, 12.0, 25.0])
def test_the_gap_stays_below_its_limit_at_any_rate(fps: float) -> None:
    at = [number / fps for number, _ in looks(Cadence(Detection(gap_max_s=0.5)), [STILL] * 50, fps)]
    assert max(np.diff(at)) <= 0.5 + 1e-9


def test_pictures_further_apart_than_the_limit_are_all_looked_at() -> None:
    assert len(looks(Cadence(RULES), [STILL] * 5, fps=0.05)) == 5


def test_motion_is_the_share_that_changed_since_the_last_look() -> None:
    cadence = Cadence(RULES)
    cadence.wants(STILL, 0, 0.04)
    half = STILL.copy()
    half[:90] += 60
    cadence.wants(half, 0.04, 0.08)
    assert cadence.motion == pytest.approx(0.5, abs=0.03)


def test_pictures_smaller_than_the_grid_and_a_change_of_size_are_taken() -> None:
    cadence = Cadence(RULES)
    assert cadence.wants(np.zeros((8, 4), np.uint8), 0, 1) is Why.FIRST
    assert cadence.wants(STILL, 0.04, 0.08) is Why.FIRST
