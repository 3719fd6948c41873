"""Signs and trade marks on output pixels: while a camera pans, no frame shows them, though looks are a second apart."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from services.cli import app
from services.detect.interface import Detector
from services.detect.logo import LogoDetector
from services.embedded.redact import RedactJob, redact_file
from services.inference.load import load_detectors
from services.policy.model import Policy
from tests.support.faults import Faulty
from tests.support.frames import luma
from tests.support.logos import background, drawn, pasted
from tests.support.similarity import CLEAR, region_similarity
from tests.support.videos import make_video

_FRAMES, _RATE, _SIZE = 80, 25, (640, 360)
Box = tuple[float, float, float, float]


def _sign(word: str = "Dr. Kim, Room 412") -> NDArray[np.uint8]:
    sign = np.full((52, 330, 3), (236, 236, 224), np.uint8)
    cv2.putText(sign, word, (14, 34), cv2.FONT_HERSHEY_DUPLEX, 0.9, (30, 40, 110), 2, cv2.LINE_AA)
    return sign


def _panned(path: Path, thing: NDArray[np.uint8], degrees: float = 0, pan: int = 2) -> tuple[Path, list[Box]]:
    """A video of a wall with the thing on it, and the thing's box in each frame.

    The camera turns by `pan` pixels per frame to the right, and half of that down.
    """
    wide, high = _SIZE[0] + pan * _FRAMES, _SIZE[1] + pan * _FRAMES // 2
    scene, corners = pasted(background(high, wide), thing, (wide / 2, high / 2), 0.9, degrees)
    low, top = corners.min(axis=0), corners.max(axis=0)

    def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
        x, y = pan * number, pan * number // 2
        return np.ascontiguousarray(scene[y : y + height, x : x + width])

    make_video(path, frames=_FRAMES, size=_SIZE, fps=_RATE, paint=paint, options={"crf": "18"})
    moves = [(pan * i, pan * i // 2) for i in range(_FRAMES)]
    return path, [(low[0] - x, low[1] - y, top[0] - x, top[1] - y) for x, y in moves]


@pytest.fixture(scope="module")
def sign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Box]]:
    return _panned(tmp_path_factory.mktemp("sign") / "in.mp4", _sign())


@pytest.fixture(scope="module")
def logo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Box]]:
    return _panned(tmp_path_factory.mktemp("logo") / "in.mp4", drawn(), degrees=9)


@pytest.fixture(scope="module")
def texts() -> Mapping[str, Detector]:
    return load_detectors(("text",))


def _exposed(source: Path, output: Path, boxes: list[Box]) -> list[int]:
    """Numbers of the frames whose sign or logo, or a third of it, still looks like the source."""
    found = []
    for i, (before, after, (x1, y1, x2, y2)) in enumerate(zip(luma(source), luma(output), boxes, strict=True)):
        third = (x2 - x1) / 3
        parts = [np.array([x1, y1, x2, y2])] + [
            np.array([x1 + third * j, y1, x1 + third * (j + 1), y2]) for j in range(3)
        ]
        if any(region_similarity(before, after, part) >= CLEAR for part in parts):
            found.append(i)
    return found


def _corner(source: Path, output: Path) -> list[float]:
    """How much the lower left corner, where nothing is to be masked, looks like the source in each frame."""
    place = np.array([4.0, _SIZE[1] - 48, 90, _SIZE[1] - 4])
    return [region_similarity(before, after, place) for before, after in zip(luma(source), luma(output), strict=True)]


def test_a_video_that_nobody_masked_is_seen_as_exposed(
    sign: tuple[Path, list[Box]], logo: tuple[Path, list[Box]]
) -> None:
    for path, boxes in (sign, logo):
        assert _exposed(path, path, boxes) == list(range(_FRAMES)), "otherwise the tests below could not fail"


@pytest.mark.models
@pytest.mark.parametrize("mode", ["mosaic", "solid"])
def test_the_letters_of_a_sign_are_masked_in_every_frame(
    mode: str, sign: tuple[Path, list[Box]], tmp_path: Path
) -> None:
    source, boxes = sign
    out = tmp_path / "out.mp4"
    result = CliRunner().invoke(app, ["redact", str(source), str(out), "--kinds", "text", "--mode", mode, "--strict"])
    assert result.exit_code == 0, result.stderr
    assert _exposed(source, out, boxes) == []
    assert min(_corner(source, out)) > CLEAR, "and the rest of the picture is shown"


def test_a_registered_logo_is_masked_in_every_frame(
    logo: tuple[Path, list[Box]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, boxes = logo
    monkeypatch.setenv("VEIL_LOGOS", str(tmp_path / "logos"))
    cv2.imwrite(str(tmp_path / "acme.png"), drawn()[..., ::-1])
    assert CliRunner().invoke(app, ["logo", "add", "acme", str(tmp_path / "acme.png")]).exit_code == 0
    out = tmp_path / "out.mp4"
    facts = tmp_path / "summary.json"
    command = ["redact", str(source), str(out), "--kinds", "logo", "--strict", "--summary", str(facts)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.stderr
    assert [model["licence"] for model in json.loads(facts.read_text())["models"]] == ["Apache-2.0"]
    assert _exposed(source, out, boxes) == []
    assert min(_corner(source, out)) > CLEAR, "and the rest of the picture is shown"


def _logos() -> Mapping[str, Detector]:
    return {"logo": LogoDetector({"acme": drawn()}, "0")}


@pytest.mark.models
@pytest.mark.parametrize(
    ("when", "pan"),
    # A sign that was seen once has no speed yet: it is masked where it was, in a larger and larger box.
    [(lambda n: n == 0, 2), (lambda n: n == 1, 2), (lambda n: n >= 1, 0)],
    ids=["first", "second", "all-but-the-first"],
)
def test_i1_i2_frames_without_a_look_for_text_in_time_are_closed(
    when: Callable[[int], bool], pan: int, texts: Mapping[str, Detector], tmp_path: Path
) -> None:
    source, boxes = _panned(tmp_path / "in.mp4", _sign(), pan=pan)
    out = tmp_path / "out.mp4"
    broken = {"text": Faulty(texts["text"], when, "raise")}
    policy = Policy.model_validate({"name": "t", "kinds": ["text"]})
    summary = redact_file(RedactJob(source, out, policy, detectors=broken))
    assert _exposed(source, out, boxes) == []
    assert 0 < summary.closed < _FRAMES
    shown = [similar > CLEAR for similar in _corner(source, out)]
    assert shown.count(False) == summary.closed, "closed is closed as a whole"


def test_i1_i2_frames_without_a_look_for_logos_are_closed(logo: tuple[Path, list[Box]], tmp_path: Path) -> None:
    source, boxes = logo
    out = tmp_path / "out.mp4"
    policy = Policy.model_validate({"name": "t", "kinds": ["logo"]})
    broken = {"logo": Faulty(_logos()["logo"], lambda n: n >= 1, "raise")}
    summary = redact_file(RedactJob(source, out, policy, detectors=broken))
    assert _exposed(source, out, boxes) == []
    assert _RATE < summary.closed < _FRAMES, "open as long as the first look lasts, and closed from then on"
    absent = redact_file(RedactJob(source, tmp_path / "absent.mp4", policy, detectors={}))
    assert absent.closed == _FRAMES
