"""The corner badge."""

import numpy as np
import pytest

from services.media.badge import draw_badge
from services.media.picture import Picture


def grey(width: int, height: int) -> Picture:
    return Picture(np.full((height * 3 // 2, width), 200, np.uint8))


@pytest.mark.parametrize("size", [(176, 144), (768, 576), (1920, 1080), (640, 272)])
def test_the_badge_is_small_and_in_the_lower_left_corner(size: tuple[int, int]) -> None:
    picture = grey(*size)
    draw_badge(picture)
    rows, columns = np.nonzero(picture.y != 200)
    assert rows.min() > size[1] * 0.9
    assert columns.max() < size[0] * 0.5
    assert picture.y[rows.min() :, : columns.max()].max() > 150, "bright letters"
    assert (picture.u[-2:, :4] == 128).all()
    assert (picture.v[-2:, :4] == 128).all()


def test_a_picture_too_small_for_it_stays_as_it_is() -> None:
    picture = grey(32, 32)
    draw_badge(picture)
    assert (picture.data == 200).all()
