"""Synthetic plates: every layout is drawn, and the same seed draws the same one."""

import numpy as np
import pytest

from deploy.models.train.characters import character
from deploy.models.train.plate_styles import STYLES
from deploy.models.train.plates import Draughtsman


@pytest.mark.parametrize("region", STYLES)
def test_every_region_has_writing_on_its_ground(region: str) -> None:
    for seed in range(8):
        plate = Draughtsman().plate(np.random.default_rng(seed), region)
        aspect = plate.shape[1] / plate.shape[0]
        assert any(abs(aspect / style.aspect - 1) < 0.08 for style in STYLES[region])
        inner = plate[plate.shape[0] // 5 : -plate.shape[0] // 5, plate.shape[1] // 8 : -plate.shape[1] // 8]
        assert inner.astype(float).std() > 15


def test_a_seed_is_a_plate() -> None:
    first, again, other = (Draughtsman().plate(np.random.default_rng(seed), "kr") for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_given_characters_are_used() -> None:
    black = np.zeros((20, 10), np.uint8)
    full = {"digit": [np.full((20, 10), 255, np.uint8)], "hangul": [black]}
    drawn = Draughtsman(full).plate(np.random.default_rng(1), "kr")
    plain = Draughtsman().plate(np.random.default_rng(1), "kr")
    assert not np.array_equal(drawn[: plain.shape[0], : plain.shape[1]], plain[: drawn.shape[0], : drawn.shape[1]])


@pytest.mark.parametrize("script", ["latin", "digit", "hangul", "hanzi"])
def test_characters_are_cut_to_their_ink(script: str) -> None:
    for seed in range(20):
        mask = character(np.random.default_rng(seed), script)
        ink = mask > 64
        assert ink.any(axis=1)[[0, -1]].all()
        assert ink.any(axis=0)[[0, -1]].all()
