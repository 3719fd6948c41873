"""The pictures that the auditor is measured on: everything masked but what is to be found."""

from collections.abc import Sequence

import numpy as np
import pytest

from services.auditor.eyes import Eyes
from services.auditor.find import Find
from services.auditor.settings import AuditorSettings
from services.detect.interface import Image
from services.media.picture import Picture
from tests.eval.auditor import Still, audited, hits

_BOXES = np.array([(20, 20, 60, 70), (100, 30, 140, 80), (180, 20, 220, 70)], np.float64)


class Seeing(Eyes):
    """Keeps what it is shown, and finds a face at the second place, shifted as the picture is."""

    def __init__(self) -> None:
        self.shown: list[Image] = []

    def look(self, picture: Picture, image: Image) -> Sequence[Find]:
        shift = 4.0 * len(self.shown)
        self.shown.append(image)
        x1, y1, x2, y2 = _BOXES[1].tolist()
        return [Find("face", 0.5, (x1 + shift, y1, x2 + shift, y2))]


@pytest.mark.parametrize("mode", ["solid", "mosaic", "blur"])
@pytest.mark.parametrize("leak", [None, 1])
def test_everything_is_masked_but_the_leak(mode: str, leak: int | None) -> None:
    texture = np.random.default_rng(0).integers(0, 255, (60, 65, 3), np.uint8)
    image = np.kron(texture, np.ones((2, 4, 1), np.uint8))
    eyes = Seeing()
    (suspect,) = audited(Still(image, _BOXES), "face", mode, eyes, AuditorSettings(), leak)
    assert suspect.sightings == len(eyes.shown) == 2
    for number, (x1, y1, x2, y2) in enumerate(_BOXES.astype(int).tolist()):
        shown, true = (one[y1:y2, x1:x2].mean(axis=2) for one in (eyes.shown[0], image))
        alike = float(((shown - shown.mean()) * (true - true.mean())).mean() / true.var())
        assert (alike > 0.5) == (number == leak), f"{mode}: {alike}"


def test_a_line_of_text_in_a_plate_is_that_plate_and_in_a_face_is_not_that_face() -> None:
    plate, line = (10.0, 10.0, 110.0, 60.0), (15.0, 30.0, 105.0, 50.0)
    assert hits("plate", line, plate)
    assert not hits("face", (15.0, 30.0, 60.0, 50.0), plate)
    assert not hits("plate", (100.0, 50.0, 200.0, 90.0), plate)
