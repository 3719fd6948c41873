"""With a network that comes with Veil, a video is masked on output pixels without anything installed or downloaded."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from services.cli import app
from services.detect.onnx_runtime import OnnxSession
from services.embedded.redact import RedactJob, redact_file
from services.policy.model import Policy
from tests.support.frames import luma
from tests.support.own_nets import KINDS, bundled, colours
from tests.support.similarity import CLEAR, region_similarity
from tests.support.videos import make_video

_SIZE = (320, 192)
_FRAMES = 40
_SIDE = 32
_PATTERN = np.random.default_rng(5).choice([100, 255], (_SIDE // 4, _SIDE // 4)).repeat(4, 0).repeat(4, 1)
_ROWS = {"face": 8, "plate": 72, "person": 136}
"""Top of the square of each kind."""


def _left(number: int) -> int:
    return 16 + 4 * number


def _paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Patterned squares, a red, a green and a blue one, move over a dark ground, and a grey one stands still."""
    picture = np.full((height, width, 3), 30, np.uint8)
    for plane, top in enumerate(_ROWS.values()):
        picture[top : top + _SIDE, _left(number) : _left(number) + _SIDE, plane] = _PATTERN
    picture[8 : 8 + _SIDE, 280 : 280 + _SIDE] = _PATTERN[..., None]
    return picture


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine without network, pip and npm, and an empty folder of models; Veil's own network is the default."""

    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"nothing may be fetched: {arguments}")

    for module, name in (
        (socket.socket, "connect"),
        (socket, "getaddrinfo"),
        (subprocess, "run"),
        (subprocess, "Popen"),
    ):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setenv("VEIL_MODELS", str(tmp_path / "none"))
    with bundled(tmp_path, colours(), dict.fromkeys(KINDS, "veil")):
        yield tmp_path


def test_i1_three_kinds_are_masked_by_one_pass_a_look_and_nothing_is_fetched(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    run = OnnxSession.run

    def counted(self: OnnxSession, outputs: tuple[str, ...], *rest: object) -> object:
        asked.append(tuple(outputs))
        return run(self, outputs, *rest)

    monkeypatch.setattr(OnnxSession, "run", counted)
    video, out = make_video(alone / "in.mp4", frames=_FRAMES, size=_SIZE, paint=_paint), alone / "out.mp4"
    policy = Policy.model_validate({"name": "test", "kinds": list(KINDS), "tracking": {"look_ahead_s": 0.5}})
    summary = redact_file(RedactJob(video, out, policy))
    assert summary.closed == 0
    assert {(model.detector, model.model, model.licence) for model in summary.models} == {
        (kind, "veil", "Apache-2.0") for kind in KINDS
    }
    assert asked
    assert set(asked) == {tuple(sorted(KINDS))}
    assert len(asked) == summary.looks
    shown: dict[str, list[float]] = {kind: [] for kind in (*KINDS, "grey")}
    for number, (before, after) in enumerate(zip(luma(video), luma(out), strict=True)):
        for kind, top in _ROWS.items():
            box = (_left(number), top, _left(number) + _SIDE, top + _SIDE)
            shown[kind].append(region_similarity(before, after, box))
        shown["grey"].append(region_similarity(before, after, (280, 8, 280 + _SIDE, 8 + _SIDE)))
    for kind in KINDS:
        assert max(shown[kind]) < CLEAR, kind
    assert min(shown["grey"]) > CLEAR, "otherwise the lines above could not fail"
    assert not (alone / "none").exists()


def test_installing_what_comes_with_veil_fetches_nothing(alone: Path) -> None:
    done = CliRunner().invoke(app, ["models", "install"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["face: veil comes with Veil", "plate: veil comes with Veil"]
    assert CliRunner().invoke(app, ["models", "verify", "person"]).exit_code == 0
    assert not (alone / "none").exists()


def test_the_list_says_what_comes_with_veil_and_where_its_card_is(alone: Path) -> None:
    listed = CliRunner().invoke(app, ["models", "list"], env={"COLUMNS": "200"}).stdout
    (line,) = (line for line in listed.splitlines() if "Apache-2.0, see deploy/models/README.md" in line)
    assert line.split()[:4] == ["face*,", "plate*,", "person*", "veil"]
    assert "comes with Veil" in line
    assert "face  " in next(line for line in listed.splitlines() if "centerface" in line)
