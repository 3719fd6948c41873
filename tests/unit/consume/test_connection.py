"""Connection settings: options over a file over the environment; errors in one sentence, without secrets."""

from pathlib import Path

import pytest

from services.consume.connection import kafka_settings
from services.consume.errors import ConsumeError


@pytest.fixture
def env(tmp_path: Path) -> Path:
    path = tmp_path / "analytics.env"
    path.write_text(
        "# made by the stack\n\nexport VEIL_KAFKA_BOOTSTRAP='10.0.0.1:9092'\nVEIL_KAFKA_USERNAME=analytics\n"
        "VEIL_KEYS_FOLDER=/elsewhere\n"
    )
    return path


def test_options_win_over_the_file_and_that_over_the_environment(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_KAFKA_BOOTSTRAP", "env:1")
    monkeypatch.setenv("VEIL_KAFKA_FETCH_MB", "7")
    assert kafka_settings(None, bootstrap=None).bootstrap == "env:1"
    from_file = kafka_settings(env, bootstrap=None, username=None)
    assert (from_file.bootstrap, from_file.username, from_file.fetch_mb) == ("10.0.0.1:9092", "analytics", 7)
    assert kafka_settings(env, username="auditor", ca_file=Path("ca.pem")).username == "auditor"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("VEIL_KAFKA_FETCH_MB=hunter2\n", "VEIL_KAFKA_FETCH_MB: input should be a valid integer"),
        ("VEIL_KAFKA_PASSWORD=hunter2\n", "VEIL_KAFKA_PASSWORD: extra inputs are not permitted"),
        ("PASSWORD=hunter2\n", "holds no line VEIL_KAFKA_"),
    ],
)
def test_what_is_wrong_is_one_sentence_without_the_value(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.env"
    path.write_text(text)
    with pytest.raises(ConsumeError) as caught:
        kafka_settings(path)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConsumeError, match=r"no\.env: can't be read"):
        kafka_settings(tmp_path / "no.env")
