"""Generated scenes: what the truth says is what the picture shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.eval.exposure import lumas
from tests.support.scene_plans import MIXED, STANDARD, draw
from tests.support.scene_sources import package_sources, shared_sources
from tests.support.scenes import Occluder, SceneSpec, Subject, Truth, generate, truth_path

SCENE = SceneSpec(
    name="one",
    width=320,
    height=240,
    frames=9,
    background="meadow",
    subjects=(Subject(0, 0, 8, (60, 120), (260, 120), (40, 60)),),
    noise=0,
)


def test_the_same_spec_gives_the_same_file(tmp_path: Path) -> None:
    spec = draw(replace(MIXED, size=(320, 240)), package_sources(), frames=6, seed=4)
    first = generate(tmp_path / "a.mp4", spec, package_sources())
    second = generate(tmp_path / "b.mp4", spec, package_sources())
    assert first == second == Truth.load(truth_path(tmp_path / "a.mp4"))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_box_is_where_the_picture_changed(tmp_path: Path) -> None:
    sources = package_sources()
    truth = generate(tmp_path / "with.mp4", SCENE, sources)
    generate(tmp_path / "without.mp4", replace(SCENE, subjects=()), sources)
    pairs = zip(lumas(tmp_path / "with.mp4"), lumas(tmp_path / "without.mp4"), truth.frames, strict=True)
    for shown, empty, (box,) in pairs:
        changed = np.abs(shown.astype(int) - empty) > 12
        x1, y1, x2, y2 = (round(v) for v in box.box)
        assert changed[y1:y2, x1:x2].mean() > 0.5
        # Head and shoulders go beyond the face, nothing else does.
        changed[max(y1 - 70, 0) : y2 + 80, max(x1 - 70, 0) : x2 + 70] = False
        assert changed.mean() < 0.01


def test_motion_size_and_blur_follow_the_spec(tmp_path: Path) -> None:
    truth = generate(tmp_path / "a.mp4", SCENE, package_sources())
    boxes = [frame[0] for frame in truth.frames]
    centres = [(box.box[0] + box.box[2]) / 2 for box in boxes]
    assert centres[0] == pytest.approx(60, abs=0.1)
    assert centres[-1] == pytest.approx(260, abs=0.1)
    assert np.diff(centres) == pytest.approx([25] * 8, abs=0.1)
    assert (boxes[0].height, boxes[-1].height) == (40, 60)
    assert boxes[4].blur == pytest.approx(0.4 * 25, abs=0.1)


def test_what_is_covered_or_outside_is_not_visible(tmp_path: Path) -> None:
    wall = Occluder((400, 120), (160, 60), (160, 60))
    half = generate(tmp_path / "half.mp4", replace(SCENE, occluders=(wall,)), package_sources())
    assert [box.visible for box in half.frames[0]] == pytest.approx([0.5], abs=0.06)
    leaving = replace(SCENE, subjects=(Subject(0, 0, 8, (0, 120), (-200, 120), (40, 40)),))
    gone = generate(tmp_path / "gone.mp4", leaving, package_sources())
    assert gone.frames[0][0].visible == pytest.approx(0.5, abs=0.06)
    assert gone.frames[-1][0].visible == 0


def test_the_nearer_subject_covers_the_farther_one(tmp_path: Path) -> None:
    pair = (Subject(0, 0, 8, (160, 120), (160, 120), (30, 30)), Subject(1, 0, 8, (160, 120), (160, 120), (80, 80)))
    truth = generate(tmp_path / "a.mp4", replace(SCENE, subjects=pair), package_sources())
    assert [box.visible for box in truth.frames[0]] == pytest.approx([0, 1], abs=0.02)


@pytest.mark.parametrize("recipe", STANDARD, ids=lambda recipe: recipe.name)
def test_every_recipe_keeps_its_sizes(recipe) -> None:  # noqa: ANN001
    scene = draw(recipe, package_sources(), frames=150, seed=1)
    kinds = [package_sources().cutouts[subject.cutout].kind for subject in scene.subjects]
    assert kinds.count("face") == (max(1, round(recipe.faces * 1.5)) if recipe.faces else 0)
    assert kinds.count("plate") == (max(1, round(recipe.plates * 1.5)) if recipe.plates else 0)
    for kind, subject in zip(kinds, scene.subjects, strict=True):
        low, high = recipe.face_height if kind == "face" else recipe.plate_height
        assert low <= min(subject.heights) * 1.0001 or low <= max(subject.heights)
        assert max(subject.heights) <= high * recipe.growth[1]


@pytest.mark.shared_data
def test_shared_sources_hold_many_faces_and_plates() -> None:
    sources = shared_sources()
    if sources is None:
        pytest.skip("the shared data is absent")
    assert len(sources.of_kind("face")) >= 80
    assert len(sources.of_kind("plate")) >= 80
    for cutout in sources.cutouts:
        height, width, _ = cutout.rgba.shape
        assert 0 < cutout.box[0] < cutout.box[2] < width
        assert 0 < cutout.box[1] < cutout.box[3] < height
