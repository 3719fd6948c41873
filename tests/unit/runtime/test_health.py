"""Liveness follows the main loop, not the port."""

import urllib.error
import urllib.request

import pytest

from services.runtime import metrics
from services.runtime.health import HealthServer, Heartbeat


def get(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


def test_ready_after_the_first_beat_and_dead_when_it_stalls(now: list[float]) -> None:
    beat = Heartbeat(lambda: now[0])
    server = HealthServer({"tracker": beat}, port=0, stalled_after_s=30)
    try:
        assert get(server, "/ready") == (503, "not ready: tracker\n")
        assert get(server, "/live")[0] == 200
        beat.beat()
        assert get(server, "/ready") == (200, "ok\n")
        now[0] += 31
        assert get(server, "/live") == (503, "stalled: tracker\n")
        beat.beat()
        assert get(server, "/live") == (200, "ok\n")
    finally:
        server.close()


def test_metrics_are_served_and_other_paths_are_not() -> None:
    server = HealthServer({}, port=0)
    metrics.UNFINISHED.labels("tracker").set(3)
    try:
        status, body = get(server, "/metrics")
        assert status == 200
        assert 'veil_runner_unfinished_messages{stage="tracker"} 3.0' in body
        assert get(server, "/")[0] == 404
    finally:
        server.close()
