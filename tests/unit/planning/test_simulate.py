"""The simulated line: what it must agree with, what failures do to it, and that chance is the seed's."""

import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner

from services.bus.kafka_settings import KafkaSettings
from services.cli import app
from services.decoder.settings import DecoderSettings
from services.embedded.errors import ExitCode
from services.inference.settings import InferenceSettings
from services.planning.chart import svg
from services.planning.demand import Camera
from services.planning.errors import PlanError
from services.planning.outcome import as_plain_data
from services.planning.plan import Ask, Plan, plan
from services.planning.scenario import Failure, Scenario, failure
from services.planning.simulate import Result, simulate
from services.planning.spread import partition_of
from services.policy.loader import load_policy
from services.renderer.rules import Rules
from tests.unit.planning.cases import figures

SMALL = Camera(640, 360, 10.0, 1e6, 1e6, 5.0)
CALM = Scenario(seconds=20.0)
FIGURES = figures()


def planned(cameras: int = 60, **more: object) -> Plan:
    return plan(replace(Ask(cameras, SMALL, cell=60), **more), FIGURES)


def run(scenario: Scenario = CALM, cameras: int = 60, **more: object) -> Result:
    return simulate(planned(cameras, **more), FIGURES, scenario)


def test_every_frame_is_counted_once() -> None:
    result = run(cameras=150)
    assert result.captured == 150 * 20 * 10
    assert result.captured == result.shown + result.shed + result.dark
    assert result.ages.sum() == result.shown == result.shown_by_second.sum()
    assert result.closed == result.closed_by_second.sum() == 0


def test_the_same_seed_is_the_same_run_and_another_one_is_not() -> None:
    first, again, other = (as_plain_data(run(replace(CALM, seed=seed))) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("cadence", "look_ahead_s", "p50", "p95"),
    [(5, 0.3, 0.32, 0.40), (7, 0.3, 0.16, 0.28), (10, 0.3, 0.22, 0.40), (5, 0.5, 0.52, 0.60), (7, 0.5, 0.44, 0.56)],
)
def test_with_nothing_to_wait_for_the_delay_is_the_trackers(
    cadence: float, look_ahead_s: float, p50: float, p95: float
) -> None:
    """The table in services/tracker/README.md, taken on the tracker itself: cameras of 25 frames a second."""
    quick = figures(**{name: {"each": 0.01, "per_megapixel": 0.0} for name in FIGURES.stages.model_fields_set})
    quick = quick.model_copy(
        update={
            "detectors": dict.fromkeys(quick.detectors, quick.stages.decoder),
            "processes": quick.processes.model_copy(update={"hop_ms": {"p50": 0.1, "p95": 0.2}}),
        }
    )
    ask = Ask(20, replace(SMALL, fps=25.0, cadence=cadence), cell=20)
    result = simulate(plan(ask, quick), quick, replace(CALM, look_ahead_s=look_ahead_s, jitter_s=1e-4))
    assert result.age(0.5) == pytest.approx(p50, abs=0.025)
    assert result.age(0.95) == pytest.approx(p95, abs=0.025)


def test_a_line_that_is_too_slow_falls_behind_by_what_it_lacks() -> None:
    """The busiest process gets so much more work than it can do: its lag grows by that share of the time."""
    slow = figures(fused_encoder={"each": 49.0, "per_megapixel": 0.0})
    ask = Ask(60, SMALL, cell=60)
    cell = plan(ask, slow).cell
    crowd = cell.stages["renderer-encoder"].busiest
    assert crowd * 10 * 0.050 > 1
    result = simulate(plan(ask, slow), slow, replace(CALM, seconds=40.0))
    assert result.busy["renderer-encoder"] > 1
    lag = result.lag["renderer-encoder"]
    assert lag[-1] == pytest.approx(40 * (1 - 1 / (crowd * 10 * 0.050)), abs=3)
    assert lag[-1] > lag[len(lag) // 2] > lag[5]


def test_looks_that_come_too_late_close_their_frames_before_any_deadline_does() -> None:
    """Detectors that take 300 ms can't look at all that comes: what they skip closes, the rest is in time."""
    slow = figures(inference={"each": 300.0, "per_megapixel": 0.0})
    result = simulate(planned(inference_workers=1), slow, CALM)
    assert result.shown / 4 < result.closed < result.shown
    assert result.age(0.99) < CALM.look_ahead_s + CALM.deadline_s
    assert result.lag["inference"].max() < CALM.live_age_s + 0.1


def test_a_broker_that_is_gone_delays_its_partitions_until_others_lead_them() -> None:
    result = run(replace(CALM, seconds=40.0, failures=(Failure("broker", 10.0),)))
    assert result.shed == 0
    assert result.dark == 0
    calm = run(replace(CALM, seconds=40.0))
    assert result.age_by_second[11] > 2 * calm.age_by_second[11]
    assert result.age_by_second[30] == pytest.approx(calm.age_by_second[30], rel=0.2)
    brokers = planned().cell.brokers
    names = [f"c00-{number:05d}" for number in range(1, 61)]
    led = sum(partition_of(name, planned().cell.partitions) % brokers == 0 for name in names)
    assert 0 < led < 60


def test_a_broker_that_is_gone_for_longer_than_decoders_hold_sheds_frames() -> None:
    long = replace(CALM, seconds=40.0, failures=(Failure("broker", 10.0),), leader_s=20.0)
    assert run(long).shed > 0


def test_a_zone_that_is_gone_leaves_its_cameras_dark_until_others_lease_them() -> None:
    scenario = replace(CALM, seconds=60.0, failures=(Failure("zone", 15.0),))
    result = run(scenario, cameras=120)
    dark = result.dark / (result.captured * scenario.takeover_s / 60)
    assert 0.15 < dark < 0.55
    assert result.shown_by_second[-10:].min() == 1200
    assert result.closed > 0
    assert result.closed_by_second[:10].sum() == 0
    assert result.closed_by_second[-15:].sum() == 0
    assert max(lag[-5:].max() for lag in result.lag.values()) < 1.0


def test_a_gpu_that_is_gone_leaves_its_work_to_the_others() -> None:
    gone = replace(CALM, failures=(Failure("gpu", 8.0),))
    calm, failed = run(gpu="t4"), run(gone, gpu="t4")
    assert calm.closed == 0
    assert failed.shown == calm.shown
    assert failed.lag["triton"][10:].max() >= calm.lag["triton"][10:].max()


def test_a_day_has_fewer_looks_at_its_ends() -> None:
    """Detectors that are too slow at noon keep up in the night."""
    slow = figures(inference={"each": 60.0, "per_megapixel": 0.0})
    ask = Ask(60, replace(SMALL, fps=25.0), cell=60, inference_workers=1)
    day = simulate(plan(ask, FIGURES), slow, replace(CALM, seconds=40.0, day=True))
    assert day.closed_by_second[15:25].sum() > 2 * (day.closed_by_second[:5].sum() + day.closed_by_second[-5:].sum())


def test_the_picture_is_well_formed_and_shows_what_failed() -> None:
    scenario = replace(CALM, failures=(Failure("zone", 10.0),))
    picture = ET.fromstring(svg(run(scenario), scenario))
    texts = ["".join(each.itertext()) for each in picture.iter() if each.tag.endswith("text")]
    assert "zone" in texts
    assert any("mean age" in text for text in texts)


def test_an_age_is_right_to_a_hundredth() -> None:
    result = run()
    assert math.isnan(Result(5).age(0.5))
    assert result.age(0.1) <= result.age(0.5) <= result.age(0.99)
    mean = float(np.sum(result.age_sum) / result.shown)
    assert result.age(0.05) < mean < result.age(0.95)


def test_what_a_failure_takes_is_what_the_settings_say() -> None:
    scenario = Scenario()
    rules = Rules.of(load_policy("public", {"tracking": {"look_ahead_s": scenario.look_ahead_s}}))
    assert scenario.live_age_s == InferenceSettings().live_age_s
    assert scenario.session_s == KafkaSettings().session_timeout_s
    assert scenario.outbox_s == DecoderSettings().outbox_s
    assert rules.live_deadline_s == scenario.look_ahead_s + scenario.deadline_s


@pytest.mark.parametrize("words", ["broker", "broker@", "broker@soon", "fire@3", "zone@-1", "zone@nan", "@3"])
def test_what_is_no_failure_is_told(words: str) -> None:
    with pytest.raises(PlanError, match="is no failure: write broker@30"):
        failure(words)


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        (Scenario(seconds=1), "seconds must be between 5 and 3600"),
        (Scenario(failures=(Failure("zone", 90.0),)), "the zone fails at 90 s, and the run has 60 s"),
        (Scenario(failures=(Failure("zone", 1.0), Failure("zone", 2.0))), "a zone can fail once"),
    ],
)
def test_what_can_not_be_simulated_is_one_sentence(scenario: Scenario, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        run(scenario)


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "age.svg"
    options = [
        "simulate",
        "--cameras",
        "30",
        "--resolution",
        "640x360",
        "--fps",
        "10",
        "--seconds",
        "10",
        "--svg",
        str(picture),
    ]
    said = CliRunner().invoke(app, [*options, "--fail", "broker@5", "--json"])
    assert said.exit_code == ExitCode.OK, said.stderr
    data = json.loads(said.stdout)
    assert data["frames"]["captured"] == 3000
    assert set(data["age_s"]) == {"p50", "p95", "p99"}
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    table = CliRunner().invoke(app, options)
    assert "every one simulated" in table.stdout
    wrong = CliRunner().invoke(app, [*options, "--fail", "war@5"])
    assert wrong.exit_code == ExitCode.USAGE
    assert wrong.stderr.startswith("error: 'war@5' is no failure")
