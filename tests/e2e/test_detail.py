"""What only the camera's own resolution shows is masked in a detail zone, on output pixels."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from services.detect.interface import Boxes, Image
from services.embedded.redact import RedactJob, redact_file
from services.policy.model import Policy
from services.schema import pb
from tests.support.frames import luma
from tests.support.similarity import CLEAR, region_similarity
from tests.support.videos import make_video

_SIZE = (1280, 720)
_SIDE = 20
_PATTERN = (
    np.random.default_rng(3).integers(150, 255, (_SIDE // 4, _SIDE // 4), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
)


def _corner(number: int) -> tuple[int, int]:
    return 840 + 4 * number, 480


def _paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), 40, np.uint8)
    x, y = _corner(number)
    picture[y : y + _SIDE, x : x + _SIDE] = _PATTERN[..., None]
    return picture


class _Faces:
    """Finds what is bright, unless it is smaller than 14 pixels."""

    name, model, version = "face", "bright", "1"

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        return [self._boxes(image) for image in images]

    def _boxes(self, image: Image) -> Boxes:
        bright = (image[..., 0] > 90).astype(np.uint8)
        _, _, found, _ = cv2.connectedComponentsWithStats(bright)
        boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in found[1:].tolist() if min(w, h) >= 14]
        score = np.full(len(boxes), 0.9, np.float32)
        kind = np.full(len(boxes), pb.KIND_FACE, np.int32)
        return Boxes(np.array(boxes, np.float32).reshape(-1, 4), score, kind)


@pytest.mark.parametrize("use", ["detail", "count"])
def test_i1_a_small_face_in_a_detail_zone_is_masked(use: str, tmp_path: Path) -> None:
    video = make_video(tmp_path / "in.mp4", frames=50, size=_SIZE, paint=_paint, options={"crf": "16"})
    policy = Policy.model_validate(
        {
            "name": "test",
            "kinds": ["face"],
            "detection": {"long_side": 640, "detail": 1.0},
            "zones": [{"name": "gate", "use": use, "polygon": [(0.6, 0.5), (1, 0.5), (1, 0.9), (0.6, 0.9)]}],
        }
    )
    out = tmp_path / "out.mp4"
    summary = redact_file(RedactJob(video, out, policy, detectors={"face": _Faces()}))
    assert summary.closed == 0
    similar = []
    for number, (before, after) in enumerate(zip(luma(video), luma(out), strict=True)):
        x, y = _corner(number)
        similar.append(region_similarity(before, after, (x, y, x + _SIDE, y + _SIDE)))
    if use == "detail":
        assert max(similar) < CLEAR
    else:
        assert min(similar) > CLEAR, "otherwise the line above could not fail"
