"""The short run must not leave more exposed than the figures that were last agreed on."""

import json

import pytest

from tests.eval import run

GOLDEN = json.loads(run.GOLDEN.read_text())

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return run.main(["--short", "--out", str(tmp_path_factory.mktemp("eval"))])


@pytest.mark.parametrize("group", sorted(GOLDEN["groups"]))
def test_exposure_is_not_worse_than_the_golden_figures(short_run: dict[str, dict], group: str) -> None:
    if group not in short_run:
        pytest.skip(f"the shared data that {group} is made from is absent")
    for name, golden in GOLDEN["groups"][group].items():
        program = short_run[group]["programs"][name]
        for kind, share in golden["exposed_share"].items():
            assert program["goal"][kind]["exposed_share"] <= share + GOLDEN["slack"], f"{name}, {kind}"
        assert program["over_masked"] <= golden["over_masked"] + GOLDEN["slack"], name
