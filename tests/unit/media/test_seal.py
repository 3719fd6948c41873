"""Figures in the place of people, and I5: that they show an outline at body scale and nothing else of who is there."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture
from services.media.seal import HEAD, ROWS
from tests.support.similarity import CLEAR, region_similarity

WIDTH, HEIGHT = 240, 260
BODY = (80.0, 40.0, 150.0, 230.0)
MODES = ["seal", "silhouette"]

Box = tuple[float, float, float, float]
Plane = NDArray[np.uint8]


def street(seed: int = 0) -> Picture:
    """A flat, coloured ground with a lighter strip, as much of it left of people as right."""
    picture = Picture(np.zeros((HEIGHT * 3 // 2, WIDTH), np.uint8))
    picture.y[:], picture.u[:], picture.v[:] = 150, 120, 134
    picture.y[200:] = 165
    return picture


def rough_street(width: int) -> Picture:
    """A ground with a pattern of pixels."""
    picture = Picture(np.full((HEIGHT * 3 // 2, width), 128, np.uint8))
    picture.y[:] = np.random.default_rng(5).integers(140, 161, picture.y.shape)
    return picture


def outline(stride: float = 0.2) -> Plane:
    """Somebody in BODY, 255 inside; `stride` is the distance of the feet, share of the width."""
    x1, y1, x2, y2 = BODY
    width, height, middle = x2 - x1, y2 - y1, (x1 + x2) / 2
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(drawn, (round(middle), round(y1 + 0.09 * height)), round(0.08 * height), 255, -1)
    top, hip = round(y1 + 0.18 * height), round(y1 + 0.56 * height)
    cv2.rectangle(drawn, (round(middle - 0.27 * width), top), (round(middle + 0.27 * width), hip), 255, -1)
    for side in (-1, 1):
        foot = round(middle + side * stride * width), round(y2 - 3)
        cv2.line(drawn, (round(middle + side * 0.12 * width), hip), foot, 255, round(0.2 * width))
    return drawn


def person(clothes: Plane, shape: Plane | None = None, face: Plane | None = None) -> Picture:
    """Somebody in clothes of this luma, (HEIGHT, WIDTH), before the street; colours follow the luma."""
    picture = street()
    shape = outline() if shape is None else shape
    picture.y[shape > 0] = clothes[shape > 0]
    small = cv2.resize(shape, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) > 127
    picture.u[small] = 60 + clothes[::2, ::2][small] // 2
    picture.v[small] = 190 - clothes[::2, ::2][small] // 2
    if face is not None:
        x = round((BODY[0] + BODY[2]) / 2) - face.shape[1] // 2
        picture.y[42 : 42 + face.shape[0], x : x + face.shape[1]] = face
    return picture


def texture(seed: int, scale: float) -> Plane:
    """Clothes with patterns that are darker than the street."""
    fine = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH))
    plane = cv2.GaussianBlur(fine, (0, 0), scale)
    return np.clip(40 + 12 * plane / plane.std(), 10, 75).astype(np.uint8)


def apply(
    picture: Picture,
    *bodies: Box,
    mode: str = "seal",
    strength: float = 1.0,
    shades: Shades | None = None,
    tracks: Sequence[int] | None = None,
) -> Picture:
    out = picture.copy()
    boxes = np.array(bodies or (BODY,), float)
    bounds = outer_bounds(boxes, np.full(len(boxes), 0.15), out.width, out.height)
    mask(out, bounds, tracks or range(len(boxes)), [mode] * len(boxes), strength, shades or Shades(), boxes)
    return out


def difference(first: Picture, second: Picture) -> NDArray[np.int64]:
    return np.abs(first.data.astype(int) - second.data.astype(int))


class TestIrreversible:
    """I5."""

    @pytest.mark.parametrize("mode", MODES)
    def test_i5_two_people_of_one_outline_give_one_picture(self, mode: str) -> None:
        """Whatever they wear: pixels differ at the outline at most, where cells are half filled."""
        people = [person(np.full((HEIGHT, WIDTH), 35, np.uint8)), person(texture(1, 1.5)), person(texture(2, 5.0))]
        shown = [apply(one, mode=mode) for one in people]
        for other in shown[1:]:
            apart = difference(shown[0], other)[:HEIGHT]
            assert (apart > 8).mean() < 0.004
            inner = np.zeros((HEIGHT, WIDTH), np.uint8)
            inner[80:140, 105:126] = 1
            assert apart[inner > 0].max() <= 1

    @pytest.mark.parametrize("mode", MODES)
    def test_i5_a_face_leaves_no_trace(self, mode: str) -> None:
        """Not one sample of the whole picture depends on what is in the head's part of the box."""
        plain = apply(person(texture(1, 3.0)), mode=mode)
        for seed in range(5):
            face = np.random.default_rng(seed).integers(0, 256, (36, 40), np.uint8)
            assert np.array_equal(apply(person(texture(1, 3.0), face=face), mode=mode).data, plain.data)

    def test_i5_the_head_is_one_grey(self) -> None:
        out = apply(person(texture(1, 3.0), face=np.full((36, 40), 250, np.uint8)))
        head = out.y[50:64, 110:120]
        assert int(head.max()) - int(head.min()) <= 2

    @pytest.mark.parametrize("mode", MODES)
    def test_i5_a_mark_on_the_clothes_is_not_cut_out_of_the_figure(self, mode: str) -> None:
        """A logo of the street's own colour looks like the street: the body's middle is closed all the same."""
        clothes = texture(1, 3.0)
        marked = clothes.copy()
        marked[95:125, 104:128] = 150
        plain, shown = (apply(person(each), mode=mode) for each in (clothes, marked))
        assert difference(plain, shown)[95:125, 106:126].max() <= 2

    @pytest.mark.parametrize("mode", MODES)
    def test_i5_repeated_frames_average_to_nothing_more(self, mode: str) -> None:
        """Sensor noise and moving folds don't shimmer through: each frame shows the same figure."""
        shades = Shades()
        rng = np.random.default_rng(3)
        shown = []
        for number in range(30):
            own = person(texture(number, 2.0))
            own.y[:] = np.clip(own.y + rng.normal(0, 2, own.y.shape), 0, 255)
            shown.append(apply(own, mode=mode, shades=shades, tracks=[7]).y[80:140, 105:126].astype(float))
        spread = np.std(shown[5:], axis=0)
        assert spread.max() < 1.0
        average = np.zeros((HEIGHT, WIDTH), np.uint8)
        average[80:140, 105:126] = np.mean(shown, axis=0)
        assert abs(region_similarity(person(texture(4, 2.0)).y, average, (105, 80, 126, 140))) < CLEAR

    @pytest.mark.parametrize("mode", MODES)
    def test_i5_a_figure_that_moves_keeps_its_looks(self, mode: str) -> None:
        shades = Shades()
        seen = []
        for step in range(0, 40, 2):
            own = person(texture(1, 3.0))
            for plane, by in ((own.y, step), (own.u, step // 2), (own.v, step // 2)):
                plane[:] = np.roll(plane, by, axis=1)
            body = (BODY[0] + step, BODY[1], BODY[2] + step, BODY[3])
            out = apply(own, body, mode=mode, shades=shades, tracks=[1])
            seen.append(out.y[80:140, 105 + step : 126 + step].astype(int))
        assert max(int(np.abs(one - seen[0]).max()) for one in seen) <= 2

    @pytest.mark.parametrize("mode", MODES)
    def test_i5_everything_within_the_box_is_replaced(self, mode: str) -> None:
        source = person(texture(1, 1.0))
        source.data[:] = np.random.default_rng(0).integers(0, 256, source.data.shape, np.uint8)
        out = apply(source, mode=mode)
        for after, before, scale in ((out.y, source.y, 1), (out.u, source.u, 2), (out.v, source.v, 2)):
            x1, y1, x2, y2 = (int(value) // scale for value in (70, 12, 160, 258))
            assert (after[y1:y2, x1:x2] == before[y1:y2, x1:x2]).mean() < 0.05
        assert abs(region_similarity(source.y, out.y, BODY)) < CLEAR

    def test_i5_what_is_around_is_taken_from_no_box(self) -> None:
        """Between two masked people stands what may be seen of the street, never what the other one wears."""
        shown = []
        for luma in (20, 240):
            picture = street()
            picture.y[40:230, 100:160] = luma
            out = apply(picture, (30, 40, 90, 230), (100, 40, 160, 230), tracks=[1, 2])
            shown.append(out.y[:, :80].copy())
        assert np.array_equal(shown[0], shown[1])

    @pytest.mark.parametrize("gap", [0, 6, 20, 60])
    @pytest.mark.parametrize("mode", MODES)
    def test_i5_grain_is_taken_from_no_box(self, mode: str, gap: int) -> None:
        """The pattern of the street is drawn on, from a place near enough to be somebody else's: never from there."""
        left, right = (30.0, 60.0, 90.0, 230.0), (90.0 + gap, 60.0, 150.0 + gap, 230.0)
        shown = []
        for seed in (1, 2):
            picture = rough_street(480)
            clothes = np.random.default_rng(seed).integers(0, 256, (170, 60), np.uint8)
            picture.y[60:230, 90 + gap : 150 + gap] = clothes
            shown.append(apply(picture, left, right, tracks=[1, 2], mode=mode).y)
        # Left of the figure and above it: an outline's last cells may see who touches it.
        assert np.array_equal(shown[0][:, :30], shown[1][:, :30])
        assert np.array_equal(shown[0][:60, :80], shown[1][:60, :80])

    @pytest.mark.parametrize("mode", MODES)
    def test_i5_a_picture_without_surroundings_shows_a_plain_one(self, mode: str) -> None:
        out = apply(person(texture(1, 3.0)), (-50, -50, WIDTH + 50, HEIGHT + 50), mode=mode)
        assert np.isin(np.unique(out.u), [128]).all()

    def test_i5_more_strength_draws_a_coarser_outline(self) -> None:
        """How far the figures of two strides stand apart, at each strength."""
        apart = [
            difference(*(apply(person(texture(1, 3.0), outline(s)), strength=strength) for s in (0.05, 0.42))).sum()
            for strength in (1.0, 2.0, 4.0)
        ]
        assert apart[0] > apart[1] > apart[2]


class TestAround:
    """What stands around a figure looks like the street: a detector must not learn people by a patch without grain."""

    def test_it_has_the_grain_of_the_street(self) -> None:
        out = apply(rough_street(480), (200, 60, 260, 230))
        beside = out.y[70:120, 193:199].astype(float)
        assert beside.std() > 0.5 * out.y[70:120, 300:350].astype(float).std()

    def test_it_stands_still_while_others_pass(self) -> None:
        """The place that grain is taken from is kept for as long as nobody covers it."""
        shades, street = Shades(), rough_street(480)
        shown = []
        for other in (100.0, 40.0, -20.0):
            out = apply(street, (200, 60, 260, 230), (other, 60, other + 60, 230), shades=shades, tracks=[1, 2])
            shown.append(out.y[56:230, 192:199].astype(int))
        assert max(int(np.abs(one - shown[0]).max()) for one in shown) <= 4

    def test_lines_are_only_hinted_at(self) -> None:
        """Whatever stands beside, not found by any detector, is not drawn a second time."""
        picture = rough_street(480)
        for x in (86, 300):
            picture.y[60:230, x : x + 4] = 10
        out = apply(picture, (200, 60, 260, 230))
        drawn = out.y[70:220, 192:199]
        assert 95 < int(drawn.min()) < 130

    def test_a_crowd_has_none(self) -> None:
        bodies = [(x, 60.0, x + 60.0, 230.0) for x in range(0, 480, 60)]
        out = apply(rough_street(480), *bodies)
        assert out.y.shape == (HEIGHT, 480)


class TestFigure:
    def test_the_legs_follow_the_stride(self) -> None:
        """What a detector learns from is kept: feet that stand apart are drawn apart."""
        closed, apart = (apply(person(texture(1, 3.0), outline(stride)), mode="silhouette") for stride in (0.05, 0.42))
        row = round(BODY[3]) - 8
        ground = int(closed.y[row, 74])
        widths = [np.ptp(np.nonzero(np.abs(out.y[row].astype(int) - ground) > 15)[0]) for out in (closed, apart)]
        assert widths[1] > 1.3 * widths[0]

    @pytest.mark.parametrize("mode", MODES)
    def test_it_stands_out_from_what_is_around(self, mode: str) -> None:
        for seed in range(12):
            out = apply(person(texture(1, 3.0)), mode=mode, shades=Shades(seed=seed))
            assert abs(float(out.y[90:125, 108:122].mean()) - 150) > 12

    def test_a_silhouette_has_one_tone(self) -> None:
        out = apply(person(texture(1, 3.0)), mode="silhouette")
        assert np.ptp(out.y[90:215:5, 114:117].astype(int)[:12]) <= 1
        assert int(out.y[56, 115]) == int(out.y[110, 115])

    def test_a_tone_does_not_come_from_the_person(self) -> None:
        shown = [apply(person(np.full((HEIGHT, WIDTH), luma, np.uint8))).y[110, 115] for luma in (20, 70, 230)]
        assert len(set(shown)) == 1

    def test_nobody_visible_is_a_template(self) -> None:
        """Somebody of the street's own tone: nothing to see an outline by, and yet a figure is drawn."""
        out = apply(street())
        assert abs(int(out.y[110, 115]) - 150) > 12

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("strength", [0.5, 1.0, 4.0])
    @pytest.mark.parametrize(
        "body",
        [(0, 0, 2, 2), (10, 10, 10, 10), (-40, -40, 30, 60), (200, 100, 900, 1200), (5, 5, 200, 40), (50, 3, 51, 250)],
    )
    def test_bodies_of_any_shape(self, mode: str, strength: float, body: Box) -> None:
        source = Picture(np.random.default_rng(0).integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8))
        out = apply(source, body, mode=mode, strength=strength)
        x1, y1, x2, y2 = (int(value) for value in np.clip(body, 0, (WIDTH, HEIGHT) * 2))
        if (x2 - x1) * (y2 - y1) > 200:
            assert (out.y[y1:y2, x1:x2] == source.y[y1:y2, x1:x2]).mean() < 0.06

    def test_figures_are_forgotten_one_by_one(self) -> None:
        shades = Shades(capacity=2)
        first = shades.figure(1, flat=False)
        assert shades.figure(1, flat=False) is first
        shades.figure(2, flat=False)
        shades.figure(3, flat=False)
        assert shades.figure(1, flat=False) is not first

    def test_the_head_is_a_whole_number_of_rows(self) -> None:
        assert round(HEAD * ROWS) == 7
