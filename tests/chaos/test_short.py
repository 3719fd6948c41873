"""The short form of the chaos trials: services are killed and topics poisoned while cameras run."""

import json
from pathlib import Path

import pytest

from deploy.stack.kafka_install import MissingTool, jars
from deploy.triton import environment
from tests.chaos.run import main
from tests.support.servers import absent


@pytest.mark.models
@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_exposed(tmp_path: Path) -> None:
    try:
        jars()
        environment.find()
        status = main(["--short", "--out", str(tmp_path)])
    except (MissingTool, environment.EnvironmentMissing) as missing:
        absent(str(missing))
    rows = json.loads((tmp_path / "chaos.json").read_text())
    assert status == 0, rows
