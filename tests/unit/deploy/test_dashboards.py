"""Grafana's boards ask for nothing that is not exported, in PromQL that Prometheus understands."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import metrics_page
from deploy.prometheus.install import Unavailable, promtool
from tests.support.servers import absent
from tests.unit.deploy.queries import metrics_in

_FOLDER = metrics_page.ROOT / "deploy" / "grafana"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((_FOLDER / "dashboards").glob("*.json"))}


def queries() -> list[tuple[str, str, str]]:
    """Board, panel and expression of every query."""
    return [
        (name, panel["title"], target["expr"])
        for name, board in BOARDS.items()
        for panel in board["panels"]
        for target in panel["targets"]
    ]


def test_there_is_a_board_for_every_question() -> None:
    assert list(BOARDS) == ["veil-overview", "veil-privacy", "veil-stages", "veil-triton"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_whole(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == name
    provisioned = yaml.safe_load((_FOLDER / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    source = {"type": "prometheus", "uid": provisioned["datasources"][0]["uid"]}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    places: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, f"{panel['title']} lies on another panel"
        places |= cells


def test_no_panel_asks_for_a_metric_that_does_not_exist() -> None:
    known = metrics_page.queryable()
    assert {(board, title, name) for board, title, query in queries() for name in metrics_in(query) - known} == set()


def test_legends_name_labels_that_the_query_leaves() -> None:
    for board in BOARDS.values():
        for target in (target for panel in board["panels"] for target in panel["targets"]):
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                metrics: Any = metrics_in(target["expr"])
                recorded = any(name.startswith("veil:") for name in metrics)
                assert recorded or label == "gpu_uuid" or re.search(rf"by \([^)]*\b{label}\b", target["expr"])


def test_every_query_is_promql(tmp_path: Path) -> None:
    try:
        tool = promtool()
    except Unavailable as reason:
        absent(str(reason))
    rules = [{"record": f"panel:{number}", "expr": query} for number, (_, _, query) in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([tool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
