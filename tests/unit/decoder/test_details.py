"""Detail zones: what is small there is looked at in the camera's own resolution, within a budget."""

from itertools import pairwise

import numpy as np
import pytest

from services.decoder.details import Details, Tile, compose, tiles
from services.policy.model import Policy, Zone


def zone(x1: float, y1: float, x2: float, y2: float) -> Zone:
    return Zone(name=f"far {x1:g} {y1:g}", polygon=((x1, y1), (x2, y1), (x2, y2), (x1, y2)), use="detail")


def policy(share: float, *zones: Zone) -> Policy:
    return Policy.model_validate({"name": "test", "detection": {"detail": share}, "zones": zones})


@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160), (640, 360), (98, 62)])
@pytest.mark.parametrize("area", [(0, 0, 1, 1), (0.2, 0.3, 0.7, 0.35), (0.9, 0.9, 1, 1), (0.5, 0.5, 0.5, 0.5)])
def test_tiles_cover_the_zone_within_the_picture(
    size: tuple[int, int], area: tuple[float, float, float, float]
) -> None:
    width, height = size
    covered = np.zeros((height, width), bool)
    for tile in tiles(zone(*area), width, height):
        assert all(value % 2 == 0 for value in tile)
        assert 2 <= tile.width <= 1024
        assert 2 <= tile.height <= 1024
        assert tile.x >= 0
        assert tile.y >= 0
        assert tile.x + tile.width <= width
        assert tile.y + tile.height <= height
        covered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] = True
    x1, y1, x2, y2 = (round(share * side) for share, side in zip(area, (width, height, width, height), strict=True))
    assert covered[y1:y2, x1:x2].all()


def test_neighbouring_tiles_overlap() -> None:
    found = sorted({(tile.x, tile.x + tile.width) for tile in tiles(zone(0, 0, 1, 1), 3840, 2160)})
    assert len(found) > 3
    assert all(right - left >= 32 for (_, right), (left, _) in pairwise(found))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 2.0])
def test_i7_detail_looks_stay_within_their_share_of_pixels(share: float) -> None:
    details = Details(policy(share, zone(0, 0, 0.5, 0.5), zone(0.5, 0.5, 1, 1)), 1920, 1080)
    looked_at, spent, seen = 0, 0, set()
    for _ in range(300):
        looked_at += 1280 * 720
        for tile in details.turn(1280 * 720):
            spent += tile.pixels
            seen.add(tile)
    assert spent <= share * looked_at
    assert spent >= share * looked_at * 0.9 or share == 2.0
    assert len(seen) == (2 if share else 0), "zones take turns"


def test_after_a_pause_there_is_no_burst() -> None:
    details = Details(policy(0.5, zone(0, 0, 0.2, 0.2)), 1920, 1080)
    assert len(details.turn(10**12)) == 1


def test_other_zones_are_no_detail_zones() -> None:
    counted = Zone(name="door", polygon=((0, 0), (1, 0), (1, 1)))
    assert Details(policy(4, counted), 1920, 1080).turn(10**9) == []


def test_a_composed_picture_holds_every_view_where_it_says() -> None:
    random = np.random.default_rng(1)
    overview, part = (random.integers(0, 255, shape, dtype=np.uint8) for shape in ((36, 64, 3), (20, 80, 3)))
    picture, views = compose(overview, [(Tile(100, 50, 80, 20), part)], 640, 360)
    assert picture.shape == (56, 80, 3)
    for view, wanted in zip(views, (overview, part), strict=True):
        assert np.array_equal(picture[view.y : view.y + view.height, view.x : view.x + view.width], wanted)
    assert [(v.source_x, v.source_y, v.source_width, v.source_height) for v in views] == [
        (0, 0, 640, 360),
        (100, 50, 80, 20),
    ]


def test_without_a_tile_the_picture_is_the_overview() -> None:
    overview = np.zeros((36, 64, 3), np.uint8)
    picture, views = compose(overview, [], 640, 360)
    assert picture is overview
    assert views == []
