"""A plan adds up, more never costs less, and what can't be planned is said in one sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bus.topics import TOPICS
from services.planning.calibration import calibration, detection_on, gpus
from services.planning.demand import READERS, Camera, bytes_per_s, work
from services.planning.errors import PlanError
from services.planning.plan import Ask, plan
from services.planning.prices import Prices, bill, prices
from services.planning.show import assumptions, markdown, rows
from services.policy.model import Policy
from tests.support.scene_sources import REPOSITORY
from tests.unit.planning.cases import FLAT, figures

EXAMPLE = REPOSITORY / "docs" / "examples" / "prices.yaml"
SMALL = Camera(640, 360, 10.0, 1e6, 1e6, 5.0)
MEASURED = calibration()


def test_what_a_camera_takes_is_its_frames_and_looks() -> None:
    asked = work(SMALL, figures())
    assert SMALL.looks == 2.0
    assert asked["decoder"].cpu == pytest.approx(0.010 + 0.002)
    assert asked["inference"].cpu == pytest.approx(2 * (0.001 + 0.010 + 0.010))
    assert asked["tracker"].cpu == pytest.approx(0.002)
    assert asked["renderer-encoder"].cpu == pytest.approx(0.020)
    assert work(SMALL, figures(), gpu=True)["inference"].cpu == pytest.approx(0.002)


def test_threads_of_an_encoder_free_its_process_for_more_work() -> None:
    one, four = (work(SMALL, figures(), encoder_threads=count)["renderer-encoder"] for count in (1, 4))
    assert four.loop < one.loop
    assert four.cpu > one.cpu


def test_looks_are_those_of_the_policy() -> None:
    detection = Policy(name="test").detection
    assert Camera(fps=25, cadence=detection.every_min).looks == 25 / detection.every_min
    assert Camera(fps=5, cadence=10).looks == 1 / detection.gap_max_s
    assert Camera(fps=1).looks == 1
    assert Camera(1920, 1080).look_megapixels == pytest.approx(1280 * 720 / 1e6)
    assert Camera(640, 360).look_megapixels == pytest.approx(640 * 360 / 1e6)
    assert Camera(kinds=("face", "head", "person", "text")).rates() == {"face": 5.0, "person": 5.0, "text": 1.0}


def test_every_topic_that_grows_with_cameras_has_bytes_and_readers() -> None:
    named = set(bytes_per_s(SMALL, figures(), fused=False))
    assert named == set(READERS)
    # One record an interval, an epoch or an action: nothing beside pictures.
    assert {topic.name for topic in TOPICS} - named == {"cameras", "metadata.stats", "audit"}


def test_topics_are_read_as_the_table_says() -> None:
    """By every stage in it, and by one viewer where somebody may look on."""
    for topic in TOPICS:
        if topic.name in READERS:
            assert READERS[topic.name] == len(topic.readers) + bool(topic.audience)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5000), st.sampled_from([None, "t4", "l4"]), st.booleans(), st.sampled_from([SMALL, Camera()]))
def test_cells_add_up_to_the_city(cameras: int, gpu: str | None, fused: bool, camera: Camera) -> None:
    planned = plan(Ask(cameras, camera, gpu=gpu, fused=fused), MEASURED)
    assert sum(count * cell.cameras for count, cell in planned.cells) == cameras
    stages = sum(planned.stage_cores(name) for name in planned.cell.stages)
    assert planned.total("cores") == pytest.approx(stages)
    assert planned.total("written") == pytest.approx(cameras * sum(planned.per_camera.values()))
    assert planned.total("copied") == pytest.approx(2 * planned.total("written"))
    paid = bill(planned, prices(EXAMPLE))
    assert paid.total == pytest.approx(sum(paid.items.values()))
    assert paid.per_camera * cameras == pytest.approx(paid.total)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 300), st.sampled_from([None, "t4"]), st.booleans())
def test_more_cameras_never_cost_less(cameras: int, more: int, gpu: str | None, survive: bool) -> None:
    ask = Ask(cameras, SMALL, gpu=gpu, survive_zone=survive)
    few, many = (plan(replace(ask, cameras=count), MEASURED) for count in (cameras, cameras + more))
    for name in ("brokers", "broker_cores", "written", "read", "disk", "gpus", "cores", "cross_zone"):
        assert few.total(name) <= many.total(name) * (1 + 1e-9), name
    at = prices(EXAMPLE)
    assert bill(few, at).total <= bill(many, at).total * (1 + 1e-9)


def test_the_edges_of_cells_are_no_bargain() -> None:
    ask, at = Ask(1, SMALL, cell=250), prices(EXAMPLE)
    money = [bill(plan(replace(ask, cameras=count), MEASURED), at).total for count in range(240, 260)]
    assert money == sorted(money)


@pytest.mark.parametrize(
    "more",
    [
        {"headroom": 0.6},
        {"crowding": 3.0},
        {"retention_days": 60.0},
        {"replication": 4},
        {"camera": replace(SMALL, fps=20.0)},
        {"camera": replace(SMALL, width=1280, height=720)},
        {"camera": replace(SMALL, bitrate=2e6)},
        {"camera": replace(SMALL, kinds=("face", "plate", "text"))},
        {"camera": replace(SMALL, cadence=2.0)},
        {"fused": False},
    ],
    ids=lambda more: next(iter(more)),
)
def test_more_of_anything_costs_more(more: dict[str, object]) -> None:
    ask, at = Ask(500, SMALL, cell=250), prices(EXAMPLE)
    assert bill(plan(ask, MEASURED), at).total < bill(plan(replace(ask, **more), MEASURED), at).total


def test_what_may_fail_is_there_twice() -> None:
    bare = plan(Ask(900, SMALL, survive_zone=False, survive_broker=False, cell=900), figures())
    safe = plan(Ask(900, SMALL, cell=900), figures())
    for name, stage in safe.cell.stages.items():
        left = stage.replicas * 2 / 3
        assert left >= bare.cell.stages[name].replicas - 1
        assert stage.replicas % 3 == 0
    assert safe.cell.brokers % 3 == 0
    assert safe.cell.brokers >= 3


def test_groups_find_partitions_even_while_they_are_updated() -> None:
    for camera in (SMALL, Camera(1280, 720, 15)):
        cell = plan(Ask(3000, camera), MEASURED).cell
        assert cell.partitions > max(stage.replicas for stage in cell.stages.values())


def test_a_camera_that_one_process_can_not_carry_is_told() -> None:
    slow = figures(fused_encoder={"each": 150.0, "per_megapixel": 0.0}, fused_renderer=FLAT)
    problems = plan(Ask(10, SMALL), slow).problems
    assert any("keeps a process of renderer-encoder busy for 1.5 s a second" in problem for problem in problems)


def test_names_that_crowd_on_one_process_are_told() -> None:
    busy = figures(fused_encoder={"each": 30.0, "per_megapixel": 0.0})
    planned = plan(Ask(250, SMALL), busy)
    stage = planned.cell.stages["renderer-encoder"]
    assert stage.busiest > stage.most > 1
    assert any("names are hashed" in problem for problem in planned.problems)


def test_more_processes_give_names_that_crowd_room() -> None:
    slow = figures(fused_encoder={"each": 9.0, "per_megapixel": 0.0})
    crowded = plan(Ask(250, SMALL), slow)
    (hint,) = (problem for problem in crowded.problems if problem.startswith("--crowding"))
    roomy = plan(Ask(250, SMALL, crowding=float(hint.split()[1])), slow)
    assert crowded.cell.stages["renderer-encoder"].late > 0
    assert not any(stage.late for stage in roomy.cell.stages.values())
    assert not roomy.problems
    assert roomy.cell.stages["renderer-encoder"].replicas > crowded.cell.stages["renderer-encoder"].replicas


def test_readers_take_the_copy_of_their_own_zone_where_there_is_one() -> None:
    cell, few = (plan(Ask(200, SMALL, cell=200, replication=copies), MEASURED).cell for copies in (3, 2))
    assert cell.cross_zone == pytest.approx(cell.written * (2 / 3 + 2))
    assert few.cross_zone == pytest.approx(few.written * (2 / 3 + 1) + few.read / 3)


def test_a_cell_larger_than_a_site_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.planning.plan.most_cameras_of_a_site", lambda: 256)
    assert any(
        "a site file names up to 256 cameras" in each for each in plan(Ask(1000, SMALL, cell=1000), MEASURED).problems
    )
    assert not any("site file" in each for each in plan(Ask(1000, SMALL, cell=256), MEASURED).problems)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cameras": 0}, "cameras must be at least 1"),
        ({"camera": replace(SMALL, fps=0.0)}, "fps must be more than 0"),
        ({"camera": replace(SMALL, fps=float("nan"))}, "fps must be more than 0"),
        ({"camera": replace(SMALL, width=0)}, "width must be at least 64"),
        ({"camera": replace(SMALL, kinds=())}, "at least one kind must be masked"),
        ({"camera": replace(SMALL, kinds=("hat",))}, "there is no kind 'hat'"),
        ({"camera": replace(SMALL, kinds=("motion",))}, "what looking for 'motion' costs was not measured"),
        ({"replication": 0}, "replication must be at least 1"),
        ({"replication": 6}, "replication must be at most 5"),
        ({"headroom": -0.1}, "headroom must be between 0 and 10"),
        ({"retention_days": -1}, "retention must be more than 0"),
        ({"zones": 1}, "with one zone its loss can't be survived"),
        ({"gpu": "h900"}, "there is no GPU 'h900'"),
        ({"gpu": "a10"}, "no figure was found for a small detector on the NVIDIA A10"),
        ({"crowding": 0.5}, "crowding must be between 1 and 100"),
        ({"gpu_share": 0.0}, "gpu-share must be more than 0"),
    ],
)
def test_what_can_not_be_planned_is_one_sentence(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        plan(replace(Ask(10, SMALL), **wrong), MEASURED)


def test_published_figures_say_where_they_come_from_and_never_mix_with_measured_ones() -> None:
    assert {"t4", "l4", "a10"} <= set(gpus())
    for gpu in gpus().values():
        for figure in (gpu.detect, gpu.decode, gpu.encode):
            assert figure is None or all(source.startswith("https://") for source in figure.sources)
    notes = plan(Ask(10, SMALL, gpu="t4"), MEASURED).notes
    assert any("published, not measured" in note for note in notes)
    assert any(detection_on("t4").sources[0] in note for note in notes)
    assert not any("published, not measured" in note for note in plan(Ask(10, SMALL), MEASURED).notes)


def test_gpus_are_as_many_as_the_published_figure_says() -> None:
    ask = Ask(900, Camera(), gpu="t4", headroom=0.0, gpu_share=1.0, survive_zone=False, cell=900)
    needed = 900 * 2 * 5 * 0.9216 / (779 * 0.4096)
    assert plan(ask, figures()).cell.gpus == -(-needed // 1) + 1


def test_the_table_has_every_row_and_every_assumption() -> None:
    planned = plan(Ask(2000, SMALL, gpu="l4"), MEASURED)
    paid = bill(planned, prices(EXAMPLE))
    said = " ".join(row.what for row in rows(planned, paid))
    for word in ("decoder", "partitions", "brokers", "disks", "each zone", "GPUs", "vault", "a camera, a month"):
        assert word in said
    assert "30%" in dict(assumptions(planned.ask))["headroom"]
    assert "made up as an example" in markdown(planned, paid)


def test_prices_are_the_operators_and_complete(tmp_path: Path) -> None:
    data = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    assert "example" in data["note"]
    file = tmp_path / "prices.yaml"
    file.write_text(yaml.safe_dump({**data, "coffee": 1}), encoding="utf-8")
    with pytest.raises(PlanError, match=r"prices\.yaml: coffee: extra inputs are not permitted"):
        prices(file)
    file.write_text(yaml.safe_dump({**data, "core_hour": -1}), encoding="utf-8")
    with pytest.raises(PlanError, match="core_hour"):
        prices(file)
    file.write_text("a: [", encoding="utf-8")
    with pytest.raises(PlanError, match="is no YAML"):
        prices(file)
    with pytest.raises(PlanError, match="can't be read"):
        prices(tmp_path / "none.yaml")
    cheap = Prices.model_validate({**data, "gpu_hour": {}})
    with pytest.raises(PlanError, match="the prices have none for the GPU 't4'"):
        bill(plan(Ask(10, SMALL, gpu="t4"), MEASURED), cheap)
