"""Detectors with a pause of their own take part in the first look after it, and wherever a scene begins or ends."""

import pytest

from services.decoder.cadence import Turns, Why

_SPARSE = {"face": 0.0, "text": 1.0}


def test_a_sparse_detector_takes_part_once_its_pause_is_over() -> None:
    turns = Turns()
    looks = [turns.of(_SPARSE, i * 0.4, Why.FIRST if i == 0 else Why.MOTION) for i in range(7)]
    assert [("text" in names) for names in looks] == [True, False, False, True, False, False, True]
    assert all(names[0] == "face" for names in looks)


@pytest.mark.parametrize("why", [Why.CUT, Why.BEFORE_CUT, Why.LAST, Why.FIRST])
def test_at_seams_every_detector_looks_and_its_pause_begins_anew(why: Why) -> None:
    turns = Turns()
    turns.of(_SPARSE, 0, Why.FIRST)
    assert turns.of(_SPARSE, 0.4, why) == ("face", "text")
    assert turns.of(_SPARSE, 1.2, Why.GAP) == ("face",)
    assert turns.of(_SPARSE, 1.5, Why.GAP) == ("face", "text")


def test_a_kind_that_a_changed_policy_adds_is_looked_for_at_once() -> None:
    turns = Turns()
    turns.of({"face": 0.0}, 0, Why.FIRST)
    assert turns.of({"face": 0.0, "logo": 1.0}, 0.2, Why.MOTION) == ("face", "logo")
