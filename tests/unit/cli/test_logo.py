"""`veil logo`: one sentence for each thing that can go wrong, and a picture in which the logo is gone."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.embedded.errors import ExitCode
from tests.support.logos import background, drawn, pasted


def _veil(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VEIL_LOGOS", str(tmp_path / "logos"))
    return tmp_path / "logos"


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    path = tmp_path / "acme.png"
    cv2.imwrite(str(path), drawn()[..., ::-1])
    return path


def test_a_logo_is_added_listed_tried_and_removed(acme: Path, folder: Path, tmp_path: Path) -> None:
    assert _veil("logo", "add", "acme", acme).stdout == f"acme is registered: {folder}/acme.png\n"
    listed = _veil("logo", "list").stdout
    assert "acme" in listed
    assert "320×200" in listed
    image, corners = pasted(background(), drawn(), (400, 200), 0.7, 12)
    cv2.imwrite(str(tmp_path / "street.png"), image[..., ::-1])
    tried = _veil("logo", "try", tmp_path / "street.png", "--out", tmp_path / "masked.png")
    assert tried.exit_code == 0
    assert tried.stdout.startswith("acme: score 0.")
    masked = cv2.imread(str(tmp_path / "masked.png"), cv2.IMREAD_COLOR_RGB)
    (x1, y1), (x2, y2) = corners.min(axis=0).astype(int), corners.max(axis=0).astype(int)
    assert np.ptp(masked[y1:y2, x1:x2].reshape(-1, 3), axis=0).max() == 0, "nothing of the logo is left"
    assert np.array_equal(masked[400:, 700:], image[400:, 700:])
    assert _veil("logo", "remove", "acme").stdout == "acme is removed\n"
    assert _veil("logo", "list").stdout.startswith("no logo is registered in")


def test_what_goes_wrong_is_one_sentence_with_its_code(acme: Path, folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.full((90, 90, 3), 200, np.uint8))
    cases = [
        (("add", "plain", plain), ExitCode.USAGE, "0 features and 20 are needed"),
        (("add", "Acme", acme), ExitCode.USAGE, "is no name for a logo"),
        (("add", "acme", tmp_path / "none.png"), ExitCode.INPUT, "there is no such file"),
        (("remove", "acme"), ExitCode.USAGE, "there is no logo acme; registered: none"),
        (("try", acme), ExitCode.MODEL, "no logo is registered: run `veil logo add NAME PICTURE`"),
    ]
    for command, code, sentence in cases:
        result = _veil("logo", *command)
        assert result.exit_code == code, command
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_file_changed_by_hand_is_shown_and_refused(acme: Path, folder: Path) -> None:
    _veil("logo", "add", "acme", acme)
    (folder / "acme.png").write_bytes(b"changed")
    listed = _veil("logo", "list")
    assert listed.exit_code == ExitCode.MODEL
    assert "unusable" in listed.stdout
    assert "run `veil logo add acme PICTURE`" in listed.stderr
    assert _veil("logo", "try", acme).exit_code == ExitCode.MODEL


def test_a_policy_with_logos_does_not_start_without_one(tmp_path: Path) -> None:
    from tests.support.videos import make_video

    make_video(tmp_path / "in.mp4", frames=3, size=(64, 48))
    result = _veil("redact", tmp_path / "in.mp4", tmp_path / "out.mp4", "--kinds", "logo")
    assert result.exit_code == ExitCode.MODEL
    assert result.stderr == "error: no logo is registered: run `veil logo add NAME PICTURE`\n"
    assert not (tmp_path / "out.mp4").exists()
