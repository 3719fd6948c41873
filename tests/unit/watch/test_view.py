"""From answers to a view: rates, ages, states, over restarts, replicas and outages."""

import pytest
from rich.console import Console

from services.watch.figures import Figures, parse
from services.watch.scrape import Answer
from services.watch.show import lines, table
from services.watch.targets import Target
from services.watch.view import State, Watcher

METRICS = """\
# HELP veil_camera_frames_total Frames that left the stage.
# TYPE veil_camera_frames_total counter
veil_camera_frames_total{camera="gate",stage="decoder"} 120.0
veil_camera_frames_total{camera="yard",stage="decoder"} 60.0
# TYPE veil_camera_age_seconds gauge
veil_camera_age_seconds{camera="gate",stage="decoder"} 0.25
# TYPE veil_runner_lag_messages gauge
veil_runner_lag_messages{stage="renderer",topic="video.source"} 7.0
veil_runner_lag_messages{stage="renderer",topic="redactions"} 2.0
# TYPE veil_runner_dead_letters_total counter
veil_runner_dead_letters_total{stage="renderer",topic="video.source"} 1.0
veil_runner_dead_letters_total{stage="renderer",topic="redactions"} 2.0
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 5e+07
"""


def answer(
    at_s: float,
    frames: dict[tuple[str, str], float] | None = None,
    age_s: dict[tuple[str, str], float] | None = None,
    name: str = "one",
    **sums: float,
) -> Answer:
    return Answer(Target(name, f"http://{name}/metrics"), at_s, Figures(frames or {}, age_s or {}, {}, sums))


def down(at_s: float, name: str = "one") -> Answer:
    return Answer(Target(name, f"http://{name}/metrics"), at_s, None, "connection refused")


def test_figures_are_read_and_summed() -> None:
    figures = parse(METRICS)
    assert figures.frames == {("decoder", "gate"): 120, ("decoder", "yard"): 60}
    assert figures.age_s == {("decoder", "gate"): 0.25}
    assert figures.lag == {("renderer", "video.source"): 7, ("renderer", "redactions"): 2}
    assert figures.sums == {"dead_letters": 3, "memory": 5e7}


def test_what_is_no_metrics_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse("<html>not a service</html> {")


def test_fps_is_known_from_the_second_look_on() -> None:
    watcher, key = Watcher(), ("decoder", "gate")
    first = watcher.take([answer(0, {key: 100}, {key: 0.1})]).cameras["gate"]["decoder"]
    assert (first.fps, first.state) == (None, State.NEW)
    second = watcher.take([answer(2, {key: 150}, {key: 0.2})]).cameras["gate"]["decoder"]
    assert (second.fps, second.age_s, second.state) == (25, 0.2, State.OK)


def test_rates_are_of_the_last_seconds_only() -> None:
    watcher, key = Watcher(window_s=5), ("decoder", "gate")
    for second in range(20):
        view = watcher.take([answer(second, {key: 1000 if second < 10 else 1000 + 10 * (second - 10)})])
    assert view.cameras["gate"]["decoder"].fps == pytest.approx(10)


def test_a_camera_that_stands_still_is_stale_and_one_that_is_slow_is_late() -> None:
    watcher, gate, yard = Watcher(), ("encoder", "gate"), ("encoder", "yard")
    watcher.take([answer(0, {gate: 50, yard: 50})])
    view = watcher.take([answer(3, {gate: 50, yard: 60}, {gate: 0.5, yard: 9.0})])
    assert view.cameras["gate"]["encoder"].state is State.STALE
    assert view.cameras["yard"]["encoder"].state is State.LATE
    shown = list(lines(view))
    assert shown[0] == "gate: encoder STALE"
    assert shown[1] == "yard: encoder 3.3 fps 9.00s old"


def test_a_service_that_is_down_leaves_its_cameras_in_view_as_stale() -> None:
    watcher, key = Watcher(), ("renderer", "gate")
    watcher.take([answer(0, {key: 1}, name="renderer"), answer(0, {("encoder", "gate"): 1}, name="encoder")])
    view = watcher.take([down(1, "renderer"), answer(1, {("encoder", "gate"): 26}, name="encoder")])
    assert view.cameras["gate"]["renderer"].state is State.STALE
    assert view.cameras["gate"]["encoder"].fps == 25
    assert [(process.name, process.problem) for process in view.processes] == [
        ("renderer", "connection refused"),
        ("encoder", ""),
    ]
    assert "renderer: DOWN, connection refused" in list(lines(view))


def test_a_restarted_process_counts_from_nought() -> None:
    watcher, key = Watcher(), ("decoder", "gate")
    watcher.take([answer(0, {key: 1000}, cpu_s=300.0)])
    view = watcher.take([answer(2, {key: 20}, cpu_s=1.0)])
    assert view.cameras["gate"]["decoder"].fps == 10
    assert view.processes[0].cpu == 0.5


def test_a_camera_that_moved_to_another_replica_is_told_by_that_one() -> None:
    watcher, key = Watcher(), ("renderer", "gate")
    watcher.take([answer(0, {key: 500}, {key: 0.3}), answer(0, name="two")])
    view = watcher.take([answer(2, {key: 500}, {key: 99.0}), answer(2, {key: 40}, {key: 0.7}, "two")])
    passage = view.cameras["gate"]["renderer"]
    assert (passage.fps, passage.age_s, passage.state) == (20, 0.7, State.OK)


def test_the_share_of_closed_frames_is_of_the_last_seconds() -> None:
    watcher = Watcher()
    assert watcher.take([answer(0, encoded=1000, closed=500)]).closed is None
    assert watcher.take([answer(1, encoded=1100, closed=510)]).closed == pytest.approx(0.1)


def test_what_an_auditor_suspects_is_told_first() -> None:
    (line,) = [said for said in lines(Watcher().take([answer(0), answer(0, name="auditor", suspects=2)])) if said]
    assert line.startswith("2 suspects (veil tail audit) · ")
    assert "suspect" not in "".join(lines(Watcher().take([answer(0, name="auditor", suspects=0)])))


def test_the_table_fits_into_eighty_columns_and_shows_what_is_wrong() -> None:
    watcher = Watcher()
    keys = [(stage, f"camera-{n}") for n in (1, 2) for stage in ("decoder", "inference", "tracker", "renderer")]
    late = [("encoder", "camera-1")]
    watcher.take([answer(0, dict.fromkeys(keys + late, 0.0), name="a-service-with-a-long-name"), down(0, "dead")])
    frames = dict.fromkeys(keys, 123.0) | dict.fromkeys(late, 0.0)
    view = watcher.take([answer(1, frames, name="a-service-with-a-long-name", memory=123e6), down(1, "dead")])
    console = Console(width=80, record=True)
    console.print(table(view))
    text = console.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    camera = next(line for line in text.splitlines() if line.startswith(" camera-1"))
    assert camera.split()[1:3] == ["123.0", "0.00s"]
    assert camera.rstrip().endswith("stale")
    assert "connection" in text
    assert "1 of 2 services down" in text
