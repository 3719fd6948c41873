"""Masks on colour planes: what they cover, and I5: that nothing of a face can be read out of them again."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.media.masks import CELLS, Shades, Zone, close_picture, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Mode
from tests.support.similarity import CLEAR, region_similarity

WIDTH, HEIGHT = 160, 120
MODES = [mode.value for mode in Mode]
TILES = [mode.value for mode in Mode if not mode.shows_body]
"""Modes that show one grey of what is under them; tests/unit/media/test_seal.py holds the others to their promises."""
FACE = (50.0, 30.0, 98.0, 94.0)

Box = tuple[float, float, float, float]


def noise(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """Every sample differs from what a mask would put there, but for chance."""
    return Picture(np.random.default_rng(seed).integers(0, 256, (height * 3 // 2, width), np.uint8))


def flat(y: int, u: int, v: int, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    picture = Picture(np.zeros((height * 3 // 2, width), np.uint8))
    picture.y[:], picture.u[:], picture.v[:] = y, u, v
    return picture


def face(shift: int = 0, seed: int = 0) -> Picture:
    """A picture with structure of every size that moves sideways by whole pixels."""
    fine = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH + 64))
    plane = sum(cv2.GaussianBlur(fine, (0, 0), sigma) * sigma for sigma in (1.0, 3.0, 9.0, 20.0))
    plane = np.clip(128 + 60 * plane / plane.std(), 16, 235).astype(np.uint8)
    picture = flat(0, 118, 140)
    picture.y[:] = plane[:, 32 - shift : 32 - shift + WIDTH]
    return picture


def apply(
    picture: Picture,
    *boxes: Box,
    mode: str = "mosaic",
    padding: float = 0.0,
    strength: float = 1.0,
    shades: Shades | None = None,
    tracks: Sequence[int] | None = None,
) -> Picture:
    out = picture.copy()
    bounds = outer_bounds(np.array(boxes, float), np.full(len(boxes), padding), picture.width, picture.height)
    mask(out, bounds, tracks or range(len(boxes)), [mode] * len(boxes), strength, shades or Shades())
    return out


def inside(picture: Picture, box: Box) -> list[NDArray[np.uint8]]:
    """What the three planes hold within a box of corners divisible by 2."""
    x1, y1, x2, y2 = (int(value) for value in box)
    half = slice(y1 // 2, y2 // 2), slice(x1 // 2, x2 // 2)
    return [picture.y[y1:y2, x1:x2], picture.u[half], picture.v[half]]


class TestCover:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("strength", [0.5, 1.0, 2.0, 4.0])
    @pytest.mark.parametrize("padding", [0.0, 0.15, 1.0])
    def test_all_three_planes_are_covered_to_the_padded_edge(self, mode: str, strength: float, padding: float) -> None:
        source = noise()
        out = apply(source, FACE, mode=mode, padding=padding, strength=strength)
        x1, y1, x2, y2 = FACE
        margin_x, margin_y = padding * (x2 - x1), padding * (y2 - y1)
        padded = np.clip((x1 - margin_x, y1 - margin_y, x2 + margin_x, y2 + margin_y), 0, (WIDTH, HEIGHT) * 2)
        outer = tuple(float(value) for value in (*(padded[:2] // 2 * 2), *(-(-padded[2:] // 2) * 2)))
        for before, after in zip(inside(source, outer), inside(out, outer), strict=True):
            assert (before == after).mean() < 0.03

    @pytest.mark.parametrize("mode", MODES)
    def test_nothing_else_is_touched(self, mode: str) -> None:
        source = noise()
        out = apply(source, FACE, mode=mode)
        for plane, own, scale in ((out.y, source.y, 1), (out.u, source.u, 2), (out.v, source.v, 2)):
            changed = np.argwhere(plane != own) * scale
            assert changed.min(axis=0) == pytest.approx((30, 50), abs=2)
            assert changed.max(axis=0) == pytest.approx((94, 98), abs=2)

    @pytest.mark.parametrize("mode", TILES)
    def test_colours_do_not_shine_through(self, mode: str) -> None:
        """Colour bars of one luma: what is left of them is in the chroma planes alone."""
        source = flat(120, 128, 128)
        for bar in range(8):
            source.u[:, bar * 10 : (bar + 1) * 10] = 40 + 24 * bar
            source.v[:, bar * 10 : (bar + 1) * 10] = 220 - 24 * bar
        out = apply(source, FACE, mode=mode)
        _, u, v = inside(out, FACE)
        assert len(np.unique(u)) == len(np.unique(v)) == 1

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.tuples(*[st.floats(-400, 600)] * 2, *[st.floats(0, 400)] * 2).map(
                lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
            ),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from(MODES),
        st.floats(0, 2),
    )
    def test_boxes_anywhere(self, boxes: list[Box], mode: str, padding: float) -> None:
        source = noise()
        out = apply(source, *boxes, mode=mode, padding=padding)
        for box in boxes:
            x1, y1, x2, y2 = (int(v) for v in np.clip(box, 0, (WIDTH, HEIGHT) * 2))
            if (x2 - x1) * (y2 - y1) >= 200:
                assert (source.y[y1:y2, x1:x2] == out.y[y1:y2, x1:x2]).mean() < 0.05

    def test_what_lies_off_the_picture_is_not_counted(self) -> None:
        boxes = np.array([[10, 10, 30, 30], [-50, 0, -10, 20], [200, 0, 220, 20], [50, 50, 50, 50], [0, 130, 9, 140]])
        bounds = outer_bounds(boxes.astype(float), np.zeros(5), WIDTH, HEIGHT)
        assert mask(noise(), bounds, range(5), ["solid"] * 5, 1, Shades()) == [0, 3]

    def test_a_mask_that_opencv_draws_elsewhere_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resize = cv2.resize
        monkeypatch.setattr(cv2, "resize", lambda tiles, size, dst, interpolation: resize(tiles, size))
        with pytest.raises(RuntimeError, match="beside"):
            apply(noise(), FACE)

    def test_an_unknown_mode_raises(self) -> None:
        with pytest.raises(ValueError, match="glass"):
            apply(noise(), FACE, mode="glass")


class TestIrreversible:
    """I5."""

    @pytest.mark.parametrize("mode", TILES)
    def test_i5_what_is_under_a_mask_makes_no_difference(self, mode: str) -> None:
        """The strongest statement there is, for a box whose neighbour is masked too."""
        near = (100.0, 30.0, 130.0, 94.0)
        first = apply(face(seed=1), FACE, near, mode=mode)
        for under in (flat(16, 128, 128), flat(235, 60, 200), face(seed=2)):
            other = face(seed=1)
            for box in (FACE, near):
                for plane, hidden in zip(inside(other, box), inside(under, box), strict=True):
                    plane[:] = hidden
            assert np.array_equal(apply(other, FACE, near, mode=mode).data, first.data)

    def test_a_mask_is_as_bright_as_what_lies_around_it(self) -> None:
        means = [inside(apply(flat(level, 128, 128), FACE), FACE)[0].mean() for level in (20, 230)]
        assert means[0] < 100 < 160 < means[1]

    def test_a_mask_with_nothing_around_it_is_neutral(self) -> None:
        shown = {inside(apply(flat(level, 128, 128), (0, 0, WIDTH, HEIGHT)), FACE)[0].mean() for level in (20, 230)}
        assert len(shown) == 1

    def test_i5_six_greys_are_possible(self) -> None:
        shown = set()
        rng = np.random.default_rng(0)
        for y, u, v in rng.integers(0, 256, (3000, 3)):
            out = apply(flat(y, u, v, 32, 32), (8, 8, 24, 24), mode="mosaic")
            shown.add((out.y[8, 8], out.u[6, 6], out.v[6, 6]))
        assert len(shown) <= 6

    @pytest.mark.parametrize(("strength", "most"), [(0.5, CELLS), (1.0, CELLS), (2.0, 2), (4.0, 1)])
    def test_i5_a_mosaic_has_few_flat_tiles(self, strength: float, most: int) -> None:
        luma, *_ = inside(apply(face(), FACE, strength=strength), FACE)
        columns = 1 + np.count_nonzero(np.any(np.diff(luma.astype(int), axis=1), axis=0))
        rows = 1 + np.count_nonzero(np.any(np.diff(luma.astype(int), axis=0), axis=1))
        assert columns <= most
        assert rows <= most
        assert len(np.unique(luma)) <= most * most

    @pytest.mark.parametrize("side", [2, 6, 10, 15])
    def test_i5_a_small_box_is_one_tile_or_two(self, side: int) -> None:
        luma, *_ = inside(apply(face(), (20, 20, 20 + side, 20 + side)), (20, 20, 20 + side, 20 + side))
        assert len(np.unique(luma)) <= 4

    @pytest.mark.parametrize("mode", TILES)
    def test_i5_a_mask_is_held_while_its_face_moves(self, mode: str) -> None:
        shades = Shades()
        seen = []
        for step in range(40):
            box = (FACE[0] + step % 20 - 10, FACE[1], FACE[2] + step % 20 - 10, FACE[3])
            even = tuple(float(int(value) // 2 * 2) for value in box)
            out = apply(face(shift=step % 20 - 10), even, mode=mode, shades=shades, tracks=[7])
            seen.append(np.concatenate([plane.reshape(-1) for plane in inside(out, even)]))
        assert all(np.array_equal(one, seen[0]) for one in seen), "an average of all is no more than one of them"

    @pytest.mark.parametrize("mode", TILES)
    def test_i5_many_frames_of_a_moving_face_do_not_add_up_to_it(self, mode: str) -> None:
        shades = Shades()
        total = np.zeros((HEIGHT, WIDTH))
        for step in range(60):
            shift = step % 21 - 10
            box = (FACE[0] + shift, FACE[1], FACE[2] + shift, FACE[3])
            out = apply(face(shift=shift), box, mode=mode, padding=0.15, shades=shades, tracks=[7])
            total += np.roll(out.y, -shift, axis=1)
        average = np.round(total / 60).astype(np.uint8)
        assert region_similarity(face().y, average, FACE) < CLEAR

    def test_i5_light_does_not_change_a_held_mask(self) -> None:
        shades = Shades()
        first = apply(flat(40, 128, 128), FACE, shades=shades)
        assert np.array_equal(apply(flat(230, 90, 180), FACE, shades=shades).y[40:80, 60:90], first.y[40:80, 60:90])

    def test_i5_tiles_follow_a_face_that_comes_near_but_its_colour_does_not(self) -> None:
        shades = Shades()
        small = apply(flat(100, 128, 150), (20, 20, 32, 32), shades=shades)
        large = apply(flat(230, 90, 90), (20, 20, 100, 100), shades=shades)
        assert len(np.unique(inside(small, (20, 20, 32, 32))[0])) <= 4
        assert 4 < len(np.unique(inside(large, (20, 20, 100, 100))[0])) <= 16
        assert small.v[12, 12] == large.v[12, 12] != flat(230, 90, 90).v[12, 12]

    def test_tracks_are_forgotten_one_by_one(self) -> None:
        shades = Shades(capacity=2)
        for track in (1, 2, 3):
            apply(flat(40, 128, 128), FACE, shades=shades, tracks=[track])
        again = [inside(apply(flat(200, 128, 128), FACE, shades=shades, tracks=[track]), FACE)[0] for track in (3, 1)]
        assert again[0].mean() < 90
        assert again[1].mean() > 150

    @pytest.mark.shared_data
    def test_i5_an_attacker_who_masks_his_own_gallery_stays_under_twice_chance(self) -> None:
        """The level of the mask against a gallery of 5 pictures of 40 people; chance .025."""
        root = Path(__file__).resolve().parents[4] / "shared/data/identity/att"
        if not root.is_dir():
            pytest.skip("no evaluation pictures")
        shades = Shades()
        shown, people = [], []
        for person, folder in enumerate(sorted(root.iterdir())):
            for file in sorted(folder.iterdir()):
                grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
                if grey is None:
                    continue
                picture = flat(0, 128, 128, grey.shape[1], grey.shape[0])
                picture.y[:] = grey
                out = apply(picture, (0, 0, *grey.shape[::-1]), shades=shades, tracks=[len(shown)])
                shown.append(round((out.y.mean() - 32) / 64))
                people.append(person)
        levels, names = np.array(shown), np.array(people)
        known = np.arange(len(names)) % 10 < 5
        hits = [
            (names[known][levels[known] == level] == name).mean()
            for level, name in zip(levels[~known], names[~known], strict=True)
        ]
        assert len(hits) == 200
        assert np.mean(hits) <= 0.05


class TestClosed:
    @pytest.mark.parametrize("size", [(768, 576), (1920, 1080), (176, 144), (64, 48), (16, 16), (2, 2), (48, 640)])
    def test_i1_nothing_of_a_closed_picture_is_left(self, size: tuple[int, int]) -> None:
        source = noise(0, *size)
        out = source.copy()
        close_picture(out)
        assert len(np.unique(out.y)) <= 64
        assert len(np.unique(out.u)) == len(np.unique(out.v)) == 1
        if size[0] * size[1] > 1000:
            assert (out.data == source.data).mean() < 0.03

    def test_i5_pictures_of_one_mean_are_closed_alike(self) -> None:
        first, second = face(seed=3), flat(*(int(plane.mean()) for plane in (face(seed=3).y,)), 118, 140)
        close_picture(first)
        close_picture(second)
        assert np.array_equal(first.data, second.data)

    def test_i5_half_the_picture_is_at_most_four_tiles_wide(self) -> None:
        picture = face()
        close_picture(picture)
        half = picture.y[:, : WIDTH // 2].astype(int)
        assert 1 + np.count_nonzero(np.any(np.diff(half, axis=1), axis=0)) <= 4


class TestZone:
    POLYGON = ((0.2, 0.1), (0.9, 0.4), (0.3, 0.9))

    def test_every_pixel_the_polygon_touches_is_black(self) -> None:
        source = flat(200, 60, 200)
        Zone(self.POLYGON, WIDTH, HEIGHT).draw(source)
        exact = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(exact, [np.round(np.array(self.POLYGON) * (WIDTH, HEIGHT)).astype(np.int32)], 1)
        assert (source.y[exact == 1] == 16).all()
        near = cv2.dilate(exact, np.ones((9, 9), np.uint8))
        assert (source.y[near == 0] == 200).all()
        for plane in (source.u, source.v):
            assert (plane[exact[::2, ::2] == 1] == 128).all()

    def test_the_whole_picture_can_be_a_zone(self) -> None:
        source = noise()
        Zone(((0, 0), (1, 0), (1, 1), (0, 1)), WIDTH, HEIGHT).draw(source)
        assert (source.y == 16).all()
        assert (source.u == 128).all()

    def test_a_zone_without_area_still_covers_its_line(self) -> None:
        source = flat(200, 128, 128)
        Zone(((0.5, 0.2), (0.5, 0.8), (0.5, 0.5)), WIDTH, HEIGHT).draw(source)
        assert (source.y[30:90, WIDTH // 2] == 16).all()
