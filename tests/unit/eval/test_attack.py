"""Judging attackers: ranks, ties, linked tracks, intervals, readings, curves."""

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.eval.attack import interval, linked, named, over
from tests.eval.attackers import likelihood, nearest, regression
from tests.eval.curves import Chart, Series
from tests.eval.faces import SPLITS, drawn
from tests.eval.plates import is_read, is_readable
from tests.eval.reader import Reading
from tests.eval.treatments import mosaicked, plain_mosaic

PEOPLE = np.array([0, 0, 1, 1, 2, 2])
GALLERY = np.array([[0.0, 0.0], [0.1, 0.0], [1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], np.float32)
PROBES = np.array([[0.05, 0.05], [1.0, 0.1], [0.0, 0.8]], np.float32)


@pytest.mark.parametrize("scores", [nearest, regression])
def test_people_who_differ_are_named(scores: Callable) -> None:
    assert named(scores(GALLERY, PEOPLE, PROBES), np.array([0, 1, 2])) == 1.0


def test_one_number_names_whoever_has_it_most_often() -> None:
    gallery = np.array([[0.1], [0.1], [0.5], [0.5], [0.9], [0.1]], np.float32)
    assert likelihood(gallery, PEOPLE, np.array([[0.1]], np.float32)).argmax(axis=1).tolist() == [0]


def test_where_all_look_alike_the_attacker_guesses() -> None:
    same = np.zeros((6, 2), np.float32)
    assert named(nearest(same, PEOPLE, same[:3]), np.array([0, 1, 2])) == pytest.approx(1 / 3)


def test_linked_probes_add_up_and_rounds_stay_apart() -> None:
    scores = np.array([[0.0, 1.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]], np.float32)
    assert linked(scores, np.array([0, 0]), times=2) == 0.5


def test_every_split_leaves_the_attacker_half_of_each_person() -> None:
    faces = drawn(people=3)
    splits = list(faces.splits())
    assert len({known.tobytes() for known in splits}) == len(splits) == SPLITS
    assert all(known[faces.people == person].sum() == 3 for known in splits for person in range(3))


def test_an_interval_holds_its_share_and_shrinks_with_trials() -> None:
    few, many = interval(0.05, 100), interval(0.05, 1000)
    assert few[0] < many[0] < 0.05 < many[1] < few[1]
    assert interval(0.0, 50)[0] == 0.0


def test_what_is_over_twice_chance_is_told() -> None:
    figures = {"a": {"naive": 0.05, "parrot": 0.051, "linked": 0.05}}
    assert over(figures, 0.025) == {"naive": [], "parrot": ["a"], "linked": []}


def test_a_plain_mosaic_has_so_many_cells() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    cells = np.unique(mosaicked(noise, 8).reshape(-1, 3), axis=0)
    assert len(cells) == 8 * 6


def test_what_does_not_vary_is_masked_once() -> None:
    faces = drawn(people=2)
    assert plain_mosaic(4).repeated(faces, 8).shape == (1, *faces.pictures.shape)


def test_a_plate_is_read_where_two_crops_agree_and_are_sure() -> None:
    sure, other = Reading("AB1234", 0.9), Reading("XY9876", 0.9)
    assert is_read((sure, Reading("AB123", 0.8)))
    assert not is_read((sure, other))
    assert not is_read((sure, Reading("AB1234", 0.5)))
    assert not is_read((Reading("AB1", 0.99), Reading("AB1", 0.99)))


def test_half_of_a_plate_is_too_much_however_unsure() -> None:
    before = (Reading("AB1234", 0.9), Reading("AB1234", 0.9))
    nothing = Reading("", 0.0)
    assert is_readable(before, (Reading("1234", 0.1), nothing))
    assert not is_readable(before, (Reading("IL", 0.4), nothing))
    assert is_readable(before, (Reading("ZZZZ", 0.9), Reading("ZZZZ", 0.9)))


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_chart_is_a_small_picture_with_its_names_in_it(logarithmic: bool) -> None:
    series = [Series("ours & theirs", [0.01, None, 0.2], 0), Series("chance", [0.05] * 3, 4, dashed=True)]
    picture = Chart("Title", "axis", ("a", "b", "c"), (0.005, 0.5), series, logarithmic=logarithmic).svg()
    words = {element.text for element in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")}
    assert {"Title", "axis", "a", "ours & theirs", "chance"} <= words
    assert len(picture) < 10_000
