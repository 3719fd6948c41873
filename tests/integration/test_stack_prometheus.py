"""A real Prometheus on a running stack: every target is up, and every rule and panel finds what it asks for."""

import re
import time
from collections.abc import Callable, Iterator

import pytest

from deploy import metrics_page
from deploy.debian import Unavailable
from deploy.samples import sample
from deploy.stack.kafka_install import MissingTool, jars, java
from deploy.stack.media_build import BINARY
from deploy.stack.site import CameraPlan
from deploy.stack.stack import Stack, StackOptions
from deploy.triton import environment
from services.auditor.eyes import MODELS
from services.detect.catalogue import ModelMissing, default_models_dir, read_model
from tests.support.manifests import K8S
from tests.support.prometheus import PrometheusServer, targets_of
from tests.support.servers import absent, required
from tests.unit.deploy.queries import metrics_in
from tests.unit.deploy.test_dashboards import queries
from tests.unit.deploy.test_prometheus import rules

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]

_PATIENCE_S = 180.0
_LOOK_S = 1.0
_GPU = {metric.name for metric in metrics_page.TRITON_GPU}
ONLY_WHEN_SOMETHING_HAPPENED = {
    "veil_auditor_suspects_total": "the auditor saw something",
    "veil_auditor_skipped_total": "the auditor left a look out",
    "veil_decoder_shed_total": "a decoder dropped pictures",
    "veil_encoder_shed_total": "an output was too slow",
    "veil_renderer_closed_total": "a frame was closed",
    "veil_runner_backpressure_total": "a stage could not take a message at once",
    "veil_runner_dead_letters_total": "a message was refused",
    "veil:suspects:increase10m": "the auditor saw something",
    "veil:frames_closed:rate5m": "a frame was closed",
}
"""Metrics whose labels say what happened, and what is based on them: without series until it does."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Prometheus, after it has seen a stack with everything in it for a while."""
    try:
        java(), jars()
        environment.find()
        for model in MODELS.values():
            read_model(model, default_models_dir())
    except (MissingTool, environment.EnvironmentMissing, ModelMissing) as missing:
        absent(str(missing))
    if not BINARY.exists() and not required():
        absent("MediaMTX is not built: make stack")
    folder = tmp_path_factory.mktemp("prometheus")
    plans = [CameraPlan("gate", sample("carphone_pristine.mp4"))]
    with Stack(folder / "stack", plans, StackOptions(auditor=True, vault=True)) as stack:
        try:
            server = PrometheusServer(folder / "prometheus", targets_of(stack))
        except Unavailable as reason:
            absent(str(reason))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def wait(until: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not until():
        assert time.monotonic() < deadline, what()
        time.sleep(_LOOK_S)


def test_every_target_is_up(server: PrometheusServer) -> None:
    line = {"decoder", "inference", "tracker", "renderer", "encoder", "auditor", "vault"}
    wanted = {("triton", "triton")} | {("veil", name) for name in line}

    def up() -> set[tuple[str, str]]:
        return {(each["metric"]["job"], each["metric"]["service"]) for each in server.query("up == 1")}

    def complaints() -> dict[str, str]:
        targets = server.ask("targets")["activeTargets"]
        return {each["labels"]["service"]: each["lastError"] for each in targets if each["health"] != "up"}

    wait(lambda: up() == wanted, lambda: f"missing {wanted - up()}: {complaints()}")


def test_every_rule_is_evaluated_without_an_error(server: PrometheusServer) -> None:
    wanted = {rule.get("alert") or rule["record"] for kind in ("alert", "record") for rule in rules(kind)}

    def state() -> dict[str, str]:
        found = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
        return {rule["name"]: f"{rule['health']} {rule.get('lastError', '')}".strip() for rule in found}

    wait(lambda: "unknown" not in state().values(), lambda: str(state()))
    assert state() == dict.fromkeys(wanted, "ok")


def test_everything_that_rules_panels_and_scaling_ask_for_has_series(server: PrometheusServer) -> None:
    """Each name by itself: an alert that is silent and one that asks for nothing look the same."""
    scaling = " ".join(file.read_text() for file in K8S.rglob("scaled.yaml"))
    asked = {name for kind in ("alert", "record") for rule in rules(kind) for name in metrics_in(rule["expr"])}
    asked |= {name for _, _, query in queries() for name in metrics_in(query)}
    asked |= set(re.findall(r"\b(?:veil|nv)_\w+", scaling))
    assert len(asked) > 50
    missing = asked - _GPU

    def look() -> bool:
        missing.difference_update([name for name in missing if server.query(name)])
        return missing <= set(ONLY_WHEN_SOMETHING_HAPPENED)

    wait(look, lambda: f"nobody exports {sorted(missing - set(ONLY_WHEN_SOMETHING_HAPPENED))}")


def test_every_alert_and_panel_can_be_evaluated_and_the_panels_show_something(server: PrometheusServer) -> None:
    for alert in rules("alert"):
        server.query(alert["expr"])
    empty: set[tuple[str, str]] = set()

    def look() -> bool:
        empty.clear()
        for board, panel, query in queries():
            excused = metrics_in(query) & (set(ONLY_WHEN_SOMETHING_HAPPENED) | _GPU)
            # What is compared is there only while it is so.
            if not server.query(query) and not excused and not re.search(r"\) > 0$|!=\"RAN\"", query):
                empty.add((board, panel))
        return not empty

    wait(look, lambda: f"empty panels: {sorted(empty)}")


def test_nothing_is_critical_in_a_stack_that_works(server: PrometheusServer) -> None:
    """By what the rules say of now; their `for` has not passed yet."""
    firing = {rule["alert"] for rule in rules("alert") if server.query(rule["expr"])}
    assert not firing & {"VeilTargetDown", "VeilServiceDown", "VeilVaultOverdue", "VeilVaultFull", "VeilDataKeyOld"}
    assert not firing & {"VeilKeysUnreadable", "VeilKeyEncryptionKeyOld", "VeilDeadLetters", "VeilRestarts"}
