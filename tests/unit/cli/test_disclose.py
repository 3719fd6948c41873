"""`veil disclose` and `veil verify`: what a person at the keyboard reads, and the exit codes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("sqlalchemy")

from services.cli import app
from services.cli.disclose import office
from services.disclosure import opening
from services.policy.model import Policy
from tests.support.own_footage import SEES, Footage, film, luma, pieces, truth

START_S = 1_790_000_000


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("folder", "keys", "policies"):
        monkeypatch.setenv(f"VEIL_DISCLOSURE_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "200")
    footage = Footage({"gate": list(pieces(film(tmp_path / "film.mp4", 50), truth(50)))})
    monkeypatch.setattr(office, "vault", lambda: footage)
    monkeypatch.setattr(opening, "policies_in", lambda _: {SEES.fingerprint: SEES})
    return tmp_path


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.output


def step(name: str, *words: str, who: str = "kim", code: int = 0) -> str:
    return run("disclose", name, *words, "--who", who, "--why", "asked at the counter", code=code)


def filed() -> str:
    times = ["--from", "2026-09-21T14:13:20+00:00", "--to", "2026-09-21T14:14:00+00:00"]
    said = step("file", "--whose", "J. Park", "--camera", "gate", *times, "--basis", "GDPR, article 15")
    return said.split()[1]


def test_from_the_request_to_the_package(set_up: Path) -> None:
    run("disclose", "keys", "create", str(set_up / "keys"))
    request = filed()
    assert request in run("disclose", "list", "--due", "40")
    assert "person" in step("find", request)
    step("choose", request, "1:5-44")
    step("submit", request)
    assert "somebody else" in step("approve", request, code=2)
    step("approve", request, who="lee")
    assert "0 of 40 frames closed" in step("render", request)
    step("package", request)
    step("hand-over", request)
    step("download", request, "--to", str(set_up / "taken.zip"))

    assert "every file is as it was signed" in run("verify", str(set_up / "taken.zip"))
    shown = run("disclose", "show", request)
    assert "approve by lee: asked at the counter" in shown
    assert "may come next: download, expire" in shown
    assert len(luma(set_up / "folder" / request / "videos" / "video-1.mp4")) == 40


def test_a_changed_package_ends_with_1_and_what_is_none_with_2(set_up: Path) -> None:
    (set_up / "x.zip").write_bytes(b"something else")
    assert "can't be read as a package" in run("verify", str(set_up / "x.zip"), code=2)
    assert "there is no such file" in run("verify", str(set_up / "y.zip"), code=2)
    no_key = run("verify", str(set_up / "x.zip"), "--key", str(set_up / "none.pem"), code=2)
    assert "none.pem: can't be read" in no_key, "not 1, as if the package were changed"


def test_what_is_wrong_is_told_in_one_sentence(set_up: Path) -> None:
    request = filed()
    assert "is filed" in step("render", request, code=2)
    assert "Nothing was looked for yet" in step("choose", request, "1", code=2)
    step("find", request)
    assert "find did not list that number" in step("choose", request, "9", code=2)
    assert "no request nothing" in run("disclose", "show", "nothing", code=2)
    assert "without a reason" in run("disclose", "submit", request, code=2)


def test_without_settings_the_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEIL_DISCLOSURE_FOLDER", raising=False)
    monkeypatch.delenv("VEIL_DISCLOSURE_KEYS", raising=False)
    assert "VEIL_DISCLOSURE_FOLDER" in run("disclose", "list", code=2)


def test_policies_are_read_from_their_folder(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("kinds: [person]\n")
    (found,) = opening.policies_in(tmp_path).values()
    assert isinstance(found, Policy)
    assert found.name == "gate"
