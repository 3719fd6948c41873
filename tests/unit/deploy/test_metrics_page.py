"""docs/metrics.md names every metric there is, and none that is not."""

import subprocess

import pytest
from prometheus_client import generate_latest

from deploy import metrics_page
from deploy.prometheus.install import Unavailable, promtool
from tests.support.servers import absent

NO_METRICS = {"veil_stamp", "veil_session", "veil_sso", "veil_caller"}
"""Other names that begin as metrics do: a column, cookies, who asks."""


def test_the_page_is_in_step_with_the_code_and_the_rules() -> None:
    text = metrics_page.PAGE.read_text(encoding="utf-8")
    assert metrics_page.filled(text) == text, "run: python -m deploy.metrics_page"


def test_every_metric_of_every_service_is_found() -> None:
    names = {metric.name for metric in metrics_page.exported()}
    sources = (metrics_page.ROOT / "services").rglob("*.py")
    written = {word for path in sources for word in path.read_text().split('"') if word.startswith("veil_")}
    made = {word for word in written if word.replace("_", "").islower() and not word.endswith("_")}
    assert made - NO_METRICS <= names
    assert {"veil_runner_lag_seconds", "veil_keys_data_key_age_seconds", "process_cpu_seconds_total"} <= names


def test_a_page_without_a_place_for_a_service_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table 'audit'"):
        metrics_page.filled("")


def test_every_metric_says_what_it_means_and_is_named_as_prometheus_likes_it() -> None:
    assert all(metric.meaning.strip(".") for metric in metrics_page.exported())
    try:
        tool = promtool()
    except Unavailable as reason:
        absent(str(reason))
    checked = subprocess.run([tool, "check", "metrics"], input=generate_latest(), capture_output=True, check=False)
    assert (checked.returncode, checked.stderr + checked.stdout) == (0, b"")
