"""Scraping, rules, alerts: right by promtool's word, about metrics that exist, with something to do about each."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import metrics_page
from deploy.prometheus.install import Unavailable, promtool
from services.bus.kafka_table import PICTURES
from services.envelope.settings import KeySettings
from tests.support.servers import absent
from tests.unit.deploy.queries import metrics_in

_FOLDER = metrics_page.RULES.parent
_OPERATIONS = metrics_page.ROOT / "docs" / "operations.md"
_TESTS = ("rules.test.yaml", "rules.days.test.yaml")


def rules(kind: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(metrics_page.RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


ALERTS = {rule["alert"]: rule for rule in rules("alert")}


@pytest.fixture(scope="module")
def tool() -> Path:
    try:
        return promtool()
    except Unavailable as reason:
        absent(str(reason))


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yaml"), ("check", "rules", "rules.yaml"), *(("test", "rules", f) for f in _TESTS)],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(tool: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run([tool, *arguments], cwd=_FOLDER, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (topic) (rate(veil_a_total{stage!="auditor"}[5m])) > 0.5', {"veil_a_total"}),
        ("veil:x:rate5m - ignoring (stage) up offset 10m unless y", {"veil:x:rate5m", "up", "y"}),
        ('label_replace(a, "b", "$1", "c", "d") or histogram_quantile(0.9, e_bucket)', {"a", "e_bucket"}),
    ],
)
def test_the_reader_of_queries_knows_what_is_a_metric(expression: str, names: set[str]) -> None:
    assert metrics_in(expression) == names


@pytest.mark.parametrize("rule", rules("expr"), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_nothing_that_does_not_exist(rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"]) <= metrics_page.queryable()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_it_is_and_the_page_says_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
    page = _OPERATIONS.read_text(encoding="utf-8")
    _, heading, text = page.partition(f"\n### {name}\n")
    assert heading
    assert len(text.partition("\n#")[0]) > 100, "a heading alone helps nobody"


def test_the_page_has_no_alert_that_is_not_there() -> None:
    assert set(re.findall(r"(?m)^### (Veil\w+)$", _OPERATIONS.read_text(encoding="utf-8"))) == set(ALERTS)


def test_every_alert_is_seen_to_fire() -> None:
    tests = [test for file in _TESTS for test in yaml.safe_load((_FOLDER / file).read_text())["tests"]]
    fired = {each["alertname"] for test in tests for each in test["alert_rule_test"] if each.get("exp_alerts")}
    assert fired == set(ALERTS)


def test_thresholds_follow_from_the_code() -> None:
    kept = min(topic.retention for topic in PICTURES)
    assert "> 300" in ALERTS["VeilLagNearRetention"]["expr"]
    assert kept == 2 * timedelta(seconds=300)
    rotated_s = KeySettings.model_fields["rotate_every_s"].default
    assert f"> {2 * rotated_s}" in ALERTS["VeilDataKeyOld"]["expr"]
