"""`veil service`: which stages may share a process, and what is said where something is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.cli.service import _prepared, stages_of
from services.runtime.service import ServiceSettings

SITE = "name: x\npolicy: public\ncameras:\n  - {id: door, source: a.mp4}\n"
RUNNER = CliRunner()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    key = folder / "2026.key"
    key.touch(0o600)
    key.write_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    monkeypatch.setenv("VEIL_KEYS_FOLDER", str(folder))
    return folder


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("decoder", ("decoder",)),
        ("renderer+encoder", ("renderer", "encoder")),
        ("inference+tracker+renderer+encoder", ("inference", "tracker", "renderer", "encoder")),
    ],
)
def test_stages_and_neighbours(name: str, stages: tuple[str, ...]) -> None:
    assert stages_of(name) == stages


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("encodre", "there is no service 'encodre'; there are decoder, inference, tracker, renderer, encoder"),
        ("", "there is no service ''"),
        ("encoder+renderer", "only neighbours share a process, in the order of the flow: inference → tracker"),
        ("inference+renderer", "only neighbours share a process"),
        ("encoder+encoder", "only neighbours share a process"),
        ("decoder+inference", "the decoder runs by itself"),
    ],
)
def test_what_is_no_service_is_told_in_one_sentence(name: str, sentence: str) -> None:
    answer = RUNNER.invoke(app, ["service", name])
    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"error: {sentence}")
    assert answer.stderr.count("\n") == 1


def test_help_names_the_environment() -> None:
    answer = RUNNER.invoke(app, ["service", "--help"], env={"COLUMNS": "200"})
    assert "VEIL_SERVICE_SITE" in answer.stdout


@pytest.mark.parametrize("name", ["tracker", "encoder", "decoder", "renderer"])
def test_each_service_is_made_from_the_site_and_the_keys(name: str, site: Path, keys: Path) -> None:
    stage = _prepared([name])(ServiceSettings(site=site))()
    assert stage.name == name
    stage.close()
    stage.join(0)


def test_renderer_and_encoder_share_a_process_without_jpeg(site: Path, keys: Path) -> None:
    stage = _prepared(["renderer", "encoder"])(ServiceSettings(site=site))()
    assert stage.name == "renderer-encoder"
    assert [topic.name for topic in stage.inputs] == ["video.source", "redactions"]
    assert [topic.name for topic in stage.outputs] == ["video.redacted"]
    assert stage._first._settings.transport == "attached"  # type: ignore[attr-defined]
    assert _prepared(["renderer"])(ServiceSettings(site=site))()._settings.transport == "encoded"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("tracker", {"VEIL_SERVICE_SITE": ""}, "tracker can't start: no site file is named: set VEIL_SERVICE_SITE"),
        (
            "tracker",
            {"VEIL_SERVICE_HEALTH_PORT": "x"},
            "tracker can't start: ServiceSettings: health_port: Input should",
        ),
        ("tracker", {"VEIL_SERVICE_SITE": "/nowhere.yaml"}, "tracker can't start: /nowhere.yaml: "),
        ("decoder", {"VEIL_KEYS_FOLDER": "/nowhere"}, "decoder can't start: /nowhere: the key folder can't be read"),
        ("renderer", {}, "renderer can't start: payloads travel encrypted, and the keys are not set up"),
    ],
)
def test_a_process_that_can_not_start_says_why_and_ends(
    name: str, changes: dict[str, str], sentence: str, site: Path
) -> None:
    """As `python -m services.<stage>`, the way that containers start it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VEIL_")}
    environment |= {"VEIL_SERVICE_SITE": str(site), "VEIL_SERVICE_HEALTH_PORT": "0"} | changes
    run = subprocess.run(
        [sys.executable, "-m", f"services.{name}"],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert sentence in run.stderr
    assert run.stderr.count("\n") == 1
    assert "Traceback" not in run.stderr


def test_run_needs_outputs_where_a_service_does_not(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.with_name("a.mp4").touch()
    monkeypatch.chdir(site.parent)
    answer = RUNNER.invoke(app, ["run", str(site)])
    assert answer.exit_code == 2
    assert "error: camera door has no outputs: say where its masked pictures go\n" in answer.stderr
