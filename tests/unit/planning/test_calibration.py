"""The files of figures: what `python -m tests.bench.calibrate` writes is what the planner reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.planning.calibration import MEASURED, calibration
from services.planning.errors import PlanError
from tests.bench.calibrate import write
from tests.bench.overheads import overheads

STACK = {
    "latency_ms": {
        # 20 ms a second whatever comes, and 3 ms for each frame: with 10 and with 40 frames a second.
        "1": {
            "cpu_ms_per_frame": dict.fromkeys(
                ("decoder", "inference", "tracker", "renderer", "encoder", "kafka-1"), 5.0
            ),
            "hops": {"bus: decoder → renderer": {"p50": 15.0, "p95": 25.0}},
        },
        "4": {
            "cpu_ms_per_frame": dict.fromkeys(
                ("decoder", "inference", "tracker", "renderer", "encoder", "kafka-1"), 3.5
            )
        },
    },
    "cpu_over_embedded": {"fused_ms_per_frame": {"renderer-encoder": 7.0}},
}


def units(each: float) -> dict[str, Any]:
    names = ("decoder", "look", "inference", "tracker", "renderer", "encoder", "fused_renderer", "fused_encoder")
    return {name: {"each": each, "per_megapixel": 0.0, "spread": 0.0} for name in names}


def test_what_a_process_takes_beside_its_stage_is_the_line_through_two_runs() -> None:
    found = overheads(units(0.5), STACK, "2026-01-01")
    assert found["idle_ms_per_s"]["tracker"] == pytest.approx(20.0)
    assert found["broker_idle_ms_per_s"] == pytest.approx(20.0)
    assert found["broker_per_frame_ms"] == pytest.approx(3.0)
    assert found["per_frame_ms"]["renderer"] == pytest.approx(2.5)
    # A fifth of the frames are looked at.
    assert found["per_frame_ms"]["decoder"] == pytest.approx(3.0 - 0.5 - 0.1)
    assert found["per_look_ms"]["inference"] == pytest.approx(15.0 - 0.5)
    assert found["per_frame_ms"]["renderer-encoder"] == pytest.approx(7.0 - 20 / 30 - 1.0, abs=1e-3)
    assert found["hop_ms"] == {"p50": 15.0, "p95": 25.0}


def test_a_stage_that_takes_more_by_itself_leaves_nothing_below_zero() -> None:
    found = overheads(units(50.0), STACK, "2026-01-01")
    assert set(found["per_frame_ms"].values()) | set(found["per_look_ms"].values()) == {0.0}


def test_the_file_that_comes_along_can_be_read_and_written_back(tmp_path: Path) -> None:
    figures = calibration()
    assert figures.measured.command == "python -m tests.bench.calibrate"
    assert {"face", "plate", "person", "text"} <= set(figures.detectors)
    file = tmp_path / "calibration.yaml"
    write(file, yaml.safe_load(MEASURED.read_text(encoding="utf-8")))
    assert calibration(file) == figures


def test_a_larger_picture_costs_more() -> None:
    stages = calibration().stages
    for cost in (stages.decoder, stages.renderer, stages.encoder, stages.fused_encoder, stages.look):
        assert cost.ms(2.0) > cost.ms(0.2) > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stages": None}, "stages: input should be"),
        ({"more": 1}, "more: extra inputs are not permitted"),
        ({"processes": {}}, "processes.idle_ms_per_s: field required"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    data = yaml.safe_load(MEASURED.read_text(encoding="utf-8")) | change
    file = tmp_path / "calibration.yaml"
    write(file, data)
    with pytest.raises(PlanError, match=sentence):
        calibration(file)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello\n", encoding="utf-8")
    with pytest.raises(PlanError, match=r"notes\.txt: must hold keys and values at its top"):
        calibration(file)
