"""`veil audit`: a leak is found at its place, clean video is clean, no pixel of a suspect is written anywhere (I3)."""

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from services.auditor.evidence import PADDING, place_of, remasked
from services.auditor.examine import Examiner
from services.auditor.find import Find
from services.auditor.video import audit_file
from services.cli import app
from services.detect.interface import Image
from services.media.picture import Picture
from tests.support.leaks import FPS, Leak, boxes, masked_pictures, write_masked

LEAKS = {
    "a face for half a second": Leak("face", range(30, 43)),
    "a face for three seconds": Leak("face", range(40, 40 + 3 * FPS)),
    "a plate for half a second": Leak("plate", range(55, 68)),
    "a plate for three seconds": Leak("plate", range(40, 40 + 3 * FPS)),
}


def _veil(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def _inside(box: list[float], true: tuple[float, float, float, float]) -> float:
    """Share of the found box's and the true box's union that both hold."""
    corners = np.array([box, true])
    low, high = corners[:, :2].max(axis=0), corners[:, 2:].min(axis=0)
    common = np.clip(high - low, 0, None).prod()
    return float(common / ((corners[:, 2:] - corners[:, :2]).prod(axis=1).sum() - common))


@pytest.mark.models
@pytest.mark.parametrize("mode", ["mosaic", "solid", "blur"])
def test_masked_video_is_clean(tmp_path: Path, mode: str) -> None:
    figures = tmp_path / "a.json"
    result = _veil(write_masked(tmp_path / "clean.mp4", mode=mode), "--every", "1", "--json", figures)
    assert result.exit_code == 0, result.output
    assert "clean" in result.output
    assert json.loads(figures.read_text())["suspects"] == 0


@pytest.mark.models
@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_where_and_when_it_is(tmp_path: Path, name: str) -> None:
    leak = LEAKS[name]
    figures, sheet = tmp_path / "a.json", tmp_path / "a.html"
    result = _veil(write_masked(tmp_path / "leak.mp4", [leak]), "--json", figures, "--sheet", sheet)
    assert result.exit_code == 1, result.output
    (found,) = json.loads(figures.read_text())["files"][0]["suspects"]
    assert found["kind"] == leak.kind
    assert found["frame"] in leak.frames
    (true,) = [box for box in boxes(found["frame"]) if box.kind == leak.kind]
    assert _inside(found["box"], true.box) > 0.3
    assert found["first_s"] >= leak.frames.start / FPS - 0.01
    assert found["last_s"] <= leak.frames.stop / FPS
    _assert_nothing_shows(sheet, found["box"])


def _assert_nothing_shows(sheet: Path, box: list[float]) -> None:
    """In the only picture of the page, the outlined area is one flat dark."""
    (encoded,) = re.findall(r"base64,([^\"]+)", sheet.read_text())
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
    width, height = box[2] - box[0], box[3] - box[1]
    side = max(width, height) * 3
    left, top = max(0, int(box[0] - side)), max(0, int(box[1] - side))
    shown = min(640, int(box[2] + side) + 1) - left, min(360, int(box[3] + side) + 1) - top
    scale = picture.shape[1] / shown[0]
    margin = 8  # of the outline; compression carries a little of its colour further
    x1, x2 = ((box[0] - width * PADDING - left) * scale + margin, (box[2] + width * PADDING - left) * scale - margin)
    y1, y2 = ((box[1] - height * PADDING - top) * scale + margin, (box[3] + height * PADDING - top) * scale - margin)
    area = picture[max(0, int(y1)) : int(y2), max(0, int(x1)) : int(x2)]
    assert area.size > 1000
    assert area.max() < 48
    assert area.mean() < 4
    # The surroundings are there: a page of black would tell nothing.
    assert picture.std() > 20


def test_i3_the_evidence_does_not_depend_on_what_the_suspect_looks_like() -> None:
    pictures = list(masked_pictures([Leak("face", range(150))]))
    (face,) = [box for box in boxes(40) if box.kind == "face"]
    other = pictures[40].copy()
    x1, y1, x2, y2 = (round(value) for value in face.box)
    random = np.random.default_rng(0)
    other.y[y1:y2, x1:x2] = random.integers(16, 235, (y2 - y1, x2 - x1))
    other.u[y1 // 2 : y2 // 2, x1 // 2 : x2 // 2] = 200
    assert not np.array_equal(other.data, pictures[40].data)
    shown = [place_of(remasked(picture, [face.box]), face.box) for picture in (pictures[40], other)]
    assert shown[0] == shown[1]


def test_remasking_leaves_the_given_picture_alone() -> None:
    picture = next(masked_pictures())
    before = picture.data.copy()
    assert not np.array_equal(remasked(picture, [(10, 10, 60, 60)]).data, before)
    assert np.array_equal(picture.data, before)
    assert isinstance(remasked(picture, []), Picture)


@pytest.mark.models
def test_what_is_ignored_is_no_suspect(tmp_path: Path) -> None:
    video = write_masked(tmp_path / "leak.mp4", [LEAKS["a face for three seconds"]])
    assert _veil(video, "--ignore", "0,0,0.5,1", "--every", "1", "--quiet").exit_code == 0
    assert _veil(video, "--kinds", "plate", "--every", "1", "--quiet").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--kinds", "face,person"), "the auditor looks for face and plate"),
        (("--ignore", "0,0,2,1"), "a box is X1,Y1,X2,Y2"),
        (("--ignore", "corner"), "a box is X1,Y1,X2,Y2"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = _veil(tmp_path / "a.mp4", *arguments)
    assert result.exit_code == 2
    assert sentence in result.output


def test_a_missing_model_ends_with_2_and_says_what_mends_it(tmp_path: Path) -> None:
    result = _veil(tmp_path / "a.mp4", "--models", tmp_path)
    assert result.exit_code == 2
    assert "veil models install audit" in result.output


@pytest.mark.models
def test_a_file_that_is_no_video_ends_with_2_and_the_others_are_audited(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    leak = write_masked(tmp_path / "leak.mp4", [LEAKS["a face for three seconds"]])
    result = _veil(bad, tmp_path / "absent.mp4", leak, "--every", "1", "--json", tmp_path / "a.json")
    assert result.exit_code == 2
    assert "2 of 3 files could not be audited" in result.output
    assert json.loads((tmp_path / "a.json").read_text())["suspects"] == 1


class _Late:
    def look(self, picture: Picture, image: Image) -> Sequence[Find]:
        raise TimeoutError("no answer within 30 s")


def test_eyes_that_are_late_are_not_taken_for_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="no answer within 30 s"):
        audit_file(write_masked(tmp_path / "clean.mp4"), Examiner(_Late(), {}), 1.0)
