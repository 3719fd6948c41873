"""The head of whoever turns away is masked on output pixels, from the person's box alone."""

from collections.abc import Sequence
from pathlib import Path

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

_SIZE = (320, 192)
_FRAMES = 60
_HEIGHT, _WIDTH, _HEAD = 150, 50, 20
_SKIN = (
    np.random.default_rng(5).integers(130, 255, (_HEIGHT // 5, _WIDTH // 5), dtype=np.uint8).repeat(5, 0).repeat(5, 1)
)


def _left(number: int) -> int:
    return 20 + 3 * number


def _paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A figure in a pattern of bright blocks walks over a dark ground."""
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[30 : 30 + _HEIGHT, _left(number) : _left(number) + _WIDTH] = _SKIN[..., None]
    return picture


class _Persons:
    """Finds what is bright."""

    name, model, version = "person", "bright", "1"

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        return [self._boxes(image) for image in images]

    def _boxes(self, image: Image) -> Boxes:
        rows, columns = np.nonzero(image[..., 0] > 110)
        box = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
        return Boxes(np.array(box, np.float32), np.array([0.9], np.float32), np.array([pb.KIND_PERSON], np.int32))


@pytest.mark.parametrize("kind", ["head", "person"])
def test_i1_a_head_without_a_face_is_masked_and_the_body_is_not(kind: str, tmp_path: Path) -> None:
    video = make_video(tmp_path / "in.mp4", frames=_FRAMES, size=_SIZE, paint=_paint)
    out = tmp_path / "out.mp4"
    policy = Policy.model_validate({"name": "test", "kinds": [kind], "tracking": {"look_ahead_s": 0.5}})
    summary = redact_file(RedactJob(video, out, policy, detectors={"person": _Persons()}))
    assert summary.closed == 0
    heads, bodies = [], []
    for number, (before, after) in enumerate(zip(luma(video), luma(out), strict=True)):
        left, right = _left(number), _left(number) + _WIDTH
        heads.append(region_similarity(before, after, (left, 30, right, 30 + _HEAD)))
        bodies.append(region_similarity(before, after, (left, 30 + _HEIGHT / 2, right, 30 + _HEIGHT)))
    assert max(heads) < CLEAR
    if kind == "head":
        assert min(bodies) > CLEAR, "only the head is masked"
    else:
        assert max(bodies) < CLEAR, "otherwise the line above could not fail"
