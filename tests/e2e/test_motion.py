"""The kind motion on output pixels, through the whole line and without any model."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedded.errors import ExitCode, RunError
from services.embedded.redact import RedactJob, redact_file
from services.policy.loader import load_policy
from services.policy.model import Incomplete, Kind, KindRule, Policy, Profile
from services.policy.yamltree import Layer
from services.report.summary import RunSummary
from tests.support.frames import luma
from tests.support.similarity import CLEAR, region_similarity
from tests.support.videos import make_video

FRAMES, SIZE, SIDE = 230, (320, 240), 48
SWITCH = 190
GROUND = np.random.default_rng(4).integers(70, 170, (60, 80)).repeat(4, 0).repeat(4, 1)
THING = np.random.default_rng(5).integers(0, 255, (12, 12)).repeat(4, 0).repeat(4, 1)
EMPTY = (240, 10, 300, 60)
"""A part of the view in which nothing ever moves."""


def place(number: int) -> tuple[int, int, int, int] | None:
    """Box of the square: it comes at frame 40, crosses the view, and stands still from frame 80 on."""
    if number < 40:
        return None
    x = 10 + 4 * (min(number, 80) - 40)
    return x, 120, x + SIDE, 120 + SIDE


def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    picture = GROUND.copy()
    if (box := place(number)) is not None:
        picture[box[1] : box[3], box[0] : box[2]] = THING
    if number >= SWITCH:
        picture = picture // 2
    return picture.astype(np.uint8)[..., None].repeat(3, axis=2)


@pytest.fixture(scope="module", params=["live", "evidence"])
def masked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, RunSummary]:
    folder = tmp_path_factory.mktemp(f"motion-{request.param}")
    source = make_video(folder / "in.mp4", frames=FRAMES, size=SIZE, paint=paint)
    overrides = Layer.of({"kinds": ["motion"], "profile": request.param}, "test")
    summary = redact_file(RedactJob(source, folder / "out.mp4", load_policy("public", overrides)))
    return source, folder / "out.mp4", summary


def test_i1_whatever_moves_is_masked_in_every_frame(masked: tuple[Path, Path, RunSummary]) -> None:
    source, output, summary = masked
    pairs = zip(luma(source), luma(output), strict=True)
    shown = [
        number
        for number, (before, after) in enumerate(pairs)
        if (box := place(number)) is not None and region_similarity(before, after, np.array(box)) >= CLEAR
    ]
    assert shown == []
    assert summary.masked["motion"] > FRAMES // 2
    assert [(facts.detector, facts.licence) for facts in summary.models] == [("motion", "Apache-2.0")]


def test_i1_a_light_that_is_switched_closes_its_frames(masked: tuple[Path, Path, RunSummary]) -> None:
    source, output, summary = masked
    pairs = zip(luma(source), luma(output), strict=True)
    seen = [region_similarity(before, after, np.array(EMPTY)) >= CLEAR for before, after in pairs]
    assert not any(seen[:25]), "closed until the background is learnt"
    assert all(seen[45:180]), "then open"
    assert not any(seen[SWITCH : SWITCH + 25]), "closed from the switch on"
    assert seen[-1], "and open when the new light is learnt"
    assert 50 <= summary.closed <= 80


def test_no_model_is_loaded_for_it(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=5, size=SIZE, paint=paint)
    policy = Policy(name="test", kinds={Kind.MOTION: KindRule()}, profile=Profile.LIVE)
    summary = redact_file(RedactJob(source, tmp_path / "out.mp4", policy, models_dir=tmp_path / "none"))
    assert summary.closed == summary.frames == 5, "all of it before the background was learnt"
    assert summary.models == ()


def test_i1_a_video_whose_frames_are_all_left_out_is_not_written(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=5, size=SIZE, paint=paint)
    rules = {Kind.MOTION: KindRule()}
    policy = Policy(name="test", kinds=rules, profile=Profile.LIVE, on_incomplete=Incomplete.DROP)
    with pytest.raises(RunError, match="not written, since none of 5 frames could be checked") as caught:
        redact_file(RedactJob(source, tmp_path / "out.mp4", policy))
    assert caught.value.code == ExitCode.OUTPUT
    assert list(tmp_path.iterdir()) == [source]
