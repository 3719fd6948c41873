"""The short run must not come out worse than the figures that were last agreed on."""

import json
from collections.abc import Mapping

import pytest

from tests.eval import golden, run
from tests.eval.attack import BOUND

GOLDEN = json.loads(golden.PATH.read_text())
SURE_TO_FAIL = 0.8
"""Rank-1 that an attack on a plain mosaic reaches at least: an attacker who can't name anybody proves nothing."""
SURE_TO_NAME = 0.4
"""Rank-1 that the attack on people reaches on originals at least, for the same reason."""

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return run.main(["--short", "--out", str(tmp_path_factory.mktemp("eval"))])


def of(section: Mapping[str, dict], name: str) -> dict:
    if name not in section:
        pytest.skip(f"the shared data that {name} is made from is absent")
    return section[name]


@pytest.mark.parametrize("group", sorted(GOLDEN["groups"]))
def test_exposure_is_not_worse_than_the_golden_figures(short_run: dict[str, dict], group: str) -> None:
    programs = of(short_run["exposure_short"], group)["programs"]
    for name, figures in GOLDEN["groups"][group].items():
        for kind, share in figures["exposed_share"].items():
            assert programs[name]["goal"][kind]["exposed_share"] <= share + GOLDEN["slack"], f"{name}, {kind}"
        assert programs[name]["over_masked"] <= figures["over_masked"] + GOLDEN["slack"], name


@pytest.mark.parametrize("faces", sorted(GOLDEN["attack"]))
def test_i5_nobody_is_named_under_a_mask_more_often_than_by_chance(short_run: dict[str, dict], faces: str) -> None:
    figures = of(short_run["attack_short"], faces)
    for name, treatment in figures["treatments"].items():
        if not treatment["ours"]:
            assert treatment["parrot"] >= SURE_TO_FAIL, name
            continue
        assert treatment["parrot"] <= BOUND * figures["chance"] + GOLDEN["slack_named"], name
        for way, share in GOLDEN["attack"][faces][name].items():
            assert treatment[way] <= share + GOLDEN["slack_named"], f"{name}, {way}"


@pytest.mark.parametrize("faces", sorted(GOLDEN["many_frames"]))
def test_i5_many_frames_of_a_mask_show_no_more_than_one(short_run: dict[str, dict], faces: str) -> None:
    figures = of(short_run["many_frames_short"], faces)
    for name, counts in figures["covers"].items():
        one, many = (counts[count] for count in (min(counts, key=int), max(counts, key=int)))
        if not name.startswith("veil"):
            assert many["likeness"] > one["likeness"] + 0.02, name
            continue
        assert many["parrot"] <= BOUND * figures["chance"] + GOLDEN["slack_named"], name
        assert many["likeness"] <= one["likeness"] + 0.05, name
        for count, golden_figures in GOLDEN["many_frames"][faces][name].items():
            assert counts[count]["parrot"] <= golden_figures["parrot"] + GOLDEN["slack_named"], f"{name}, {count}"


@pytest.mark.parametrize("plates", sorted(GOLDEN["plates_readable"]))
def test_i5_no_masked_plate_can_be_read(short_run: dict[str, dict], plates: str) -> None:
    figures = of(short_run["plates_readable_short"], plates)
    assert figures["read"] >= GOLDEN["plates_readable"][plates]["read"] - 1
    for name, mask in figures["masks"].items():
        assert not mask["ours"] or mask["readable"] == 0, name


def test_i5_seal_tells_no_more_and_keeps_no_less(short_run: dict[str, dict]) -> None:
    if "seal_short" not in short_run:
        pytest.skip("the shared data that seal is measured on is absent")
    figures, agreed = short_run["seal_short"], GOLDEN["seal"]
    for way in ("naive_rank1", "parrot_rank1"):
        assert figures[way] <= agreed[way] + GOLDEN["slack_named"], way
    assert figures["attacks"]["original"]["naive_rank1"] >= SURE_TO_NAME
    assert figures["map_ratio"] >= agreed["map_ratio"] - GOLDEN["slack_worth"]
