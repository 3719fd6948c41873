"""The pixel yardstick tells hidden from exposed, whatever the codec does."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.eval.exposure import lumas
from tests.eval.yardstick import HIDDEN_SHARE, altered_blocks, destroyed_share, true_blocks
from tests.support.scene_plans import MIXED, draw
from tests.support.scene_sources import package_sources
from tests.support.scenes import SceneSpec, Subject, VideoWriter, generate

Plane = NDArray[np.uint8]


@pytest.fixture(scope="module", params=[(0, 24.0), (1, 80.0), (4, 30.0)], ids=["small face", "large face", "plate"])
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Plane, tuple[float, ...]]:
    """One luma plane and the box of the face or plate in it."""
    cutout, height = request.param
    still = Subject(cutout, 0, 1, (160, 120), (160, 120), (height, height))
    path = tmp_path_factory.mktemp("scene") / "still.mp4"
    truth = generate(path, SceneSpec("still", 320, 240, 1, "meadow", (still,)), package_sources())
    return next(lumas(path)), truth.frames[0][0].box


def grown(box: tuple[float, ...], share: float = 0.15) -> tuple[slice, slice]:
    x1, y1, x2, y2 = box
    dx, dy = share * (x2 - x1), share * (y2 - y1)
    return slice(int(y1 - dy), int(y2 + dy)), slice(int(x1 - dx), int(x2 + dx))


def recompressed(plane: Plane, folder: Path, crf: int) -> Plane:
    path = folder / f"{crf}.mp4"
    grey = np.clip((plane.astype(np.float32) - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
    with VideoWriter(path, plane.shape[1], plane.shape[0], 25, crf=crf) as writer:
        writer.write(np.repeat(grey[..., None], 3, axis=2))
    return next(lumas(path))


@pytest.mark.parametrize("crf", [18, 23, 28])
def test_a_recompressed_subject_is_exposed(subject: tuple[Plane, tuple[float, ...]], tmp_path: Path, crf: int) -> None:
    plane, box = subject
    assert destroyed_share(plane, recompressed(plane, tmp_path, crf), box) < 0.3


def test_a_lightly_blurred_face_is_exposed(subject: tuple[Plane, tuple[float, ...]]) -> None:
    plane, box = subject
    light = cv2.GaussianBlur(plane, (0, 0), 0.02 * (box[3] - box[1]))
    assert destroyed_share(plane, light, box) < HIDDEN_SHARE


@pytest.mark.parametrize("level", [0, 16, 110, 235])
def test_a_box_of_one_colour_hides(subject: tuple[Plane, tuple[float, ...]], tmp_path: Path, level: int) -> None:
    plane, box = subject
    masked = plane.copy()
    masked[grown(box)] = level
    assert destroyed_share(plane, recompressed(masked, tmp_path, 23), box) > 0.9


def test_a_mosaic_of_four_cells_hides(subject: tuple[Plane, tuple[float, ...]], tmp_path: Path) -> None:
    plane, box = subject
    masked = plane.copy()
    region = masked[grown(box)]
    tiles = cv2.resize(region, (4, 4), interpolation=cv2.INTER_AREA)
    region[...] = cv2.resize(tiles, region.shape[::-1], interpolation=cv2.INTER_NEAREST)
    assert destroyed_share(plane, recompressed(masked, tmp_path, 23), box) >= HIDDEN_SHARE


def test_half_a_mask_does_not_hide(subject: tuple[Plane, tuple[float, ...]]) -> None:
    plane, box = subject
    masked = plane.copy()
    rows, columns = grown(box)
    masked[rows.start : int((box[1] + box[3]) / 2), columns] = 0
    assert 0.35 < destroyed_share(plane, masked, box) < HIDDEN_SHARE


def test_a_mask_beside_the_subject_does_not_hide(subject: tuple[Plane, tuple[float, ...]]) -> None:
    plane, box = subject
    masked = plane.copy()
    masked[:, int(box[2]) + 2 :] = 0
    assert destroyed_share(plane, masked, box) < 0.3


def test_pixels_agree_with_geometry(tmp_path: Path) -> None:
    """Black boxes at random places over a moving scene: both measures give the same verdict, but near the limit."""
    sources, random = package_sources(), np.random.default_rng(11)
    scene = draw(replace(MIXED, faces=20, plates=15), sources, frames=30, seed=6)
    truth = generate(tmp_path / "scene.mp4", scene, sources)
    pixels, areas = [], []
    for plane, boxes in zip(lumas(tmp_path / "scene.mp4"), truth.frames, strict=True):
        for box in (box for box in boxes if box.visible > 0.98 and box.height >= 12):
            size = np.array([box.box[2] - box.box[0], box.box[3] - box.box[1]])
            low = np.array(box.box[:2]) + random.uniform(-0.6, 0.6, 2) * size
            (left, top), (right, bottom) = low.round().astype(int), (low + size).round().astype(int)
            masked = plane.copy()
            masked[max(top, 0) : bottom, max(left, 0) : right] = 16
            pixels.append(destroyed_share(plane, masked, box.box))
            overlap = np.minimum([right, bottom], box.box[2:]) - np.maximum([left, top], box.box[:2])
            areas.append(np.prod(np.maximum(overlap, 0)) / np.prod(size))
    pixels, areas = np.array(pixels), np.array(areas)
    clear_cut = np.abs(areas - 0.7) > 0.15
    assert clear_cut.sum() > 100
    assert np.array_equal((pixels >= HIDDEN_SHARE)[clear_cut], (areas >= 0.7)[clear_cut])


def test_what_lies_off_the_picture_is_hidden() -> None:
    plane = np.full((40, 40), 90, np.uint8)
    assert destroyed_share(plane, plane, (50.0, 50.0, 70.0, 70.0)) == 1.0


def test_altered_blocks_see_masks_but_not_compression(subject: tuple[Plane, tuple[float, ...]], tmp_path: Path) -> None:
    plane, _ = subject
    masked = plane.copy()
    masked[:64, :96] = 16
    altered = altered_blocks(plane, recompressed(masked, tmp_path, 26))
    assert altered[:4, :6].mean() > 0.9
    altered[:4, :6] = False
    assert altered.mean() < 0.01


def test_true_blocks_reach_as_far_as_the_margin() -> None:
    touched = true_blocks((96, 96), [(32.0, 32.0, 47.0, 47.0)], margin=0)
    assert touched.sum() == 1
    assert touched[2, 2]
    assert true_blocks((96, 96), [(32.0, 32.0, 47.0, 47.0)], margin=1)[1:4, 1:4].all()
