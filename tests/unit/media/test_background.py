"""The background model: what moves gets a box, and a picture that does not fit the background is no look at all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from services.media.background import ABSORB_S, LEARN_OTHER_S, LEARN_S, Background, Sight
from services.schema import pb

Plane = NDArray[np.float64]

W, H = 320, 240
LOOK_S = 0.25
BODY_W, BODY_H = 32, 80
RAN = pb.DetectorResult.RAN


def texture(seed: int, width: int, height: int, low: float = 60, high: float = 190) -> Plane:
    """A pattern of coarse and fine patches."""
    dice = np.random.default_rng(seed)
    sizes = [(max(2, width // cell), max(2, height // cell)) for cell in (32, 12, 4)]
    layers = [
        cv2.resize(dice.random(size[::-1]), (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
        for size in sizes
    ]
    total = np.sum(layers, axis=0)
    return low + (high - low) * (total - total.min()) / (total.max() - total.min())


WORLD = texture(3, W + 80, H + 80)
BODY = texture(9, BODY_W, BODY_H, 20, 120)


def view(dx: int = 0, dy: int = 0) -> Plane:
    return WORLD[40 + dy : 40 + dy + H, 40 + dx : 40 + dx + W].copy()


def with_body(x: int, y: int = 100, base: Plane | None = None) -> Plane:
    picture = view() if base is None else base
    left, right = max(0, x), min(W, x + BODY_W)
    if right > left:
        picture[y : y + BODY_H, left:right] = BODY[:, left - x : right - x]
    return picture


def luma(picture: Plane) -> NDArray[np.uint8]:
    return picture.clip(0, 255).astype(np.uint8)


@dataclass
class Run:
    """A background that looks four times a second."""

    background: Background
    looks: int = 0

    def look(self, picture: Plane, *, cut: bool = False) -> Sight:
        self.looks += 1
        return self.background.look(luma(picture), self.looks * LOOK_S, cut=cut)

    def still(self, seconds: float, picture: Callable[[], Plane] = view) -> list[Sight]:
        return [self.look(picture()) for _ in range(round(seconds / LOOK_S))]


@pytest.fixture
def run() -> Run:
    """One that knows the empty view."""
    run = Run(Background())
    assert run.still(2 * LEARN_S)[-1].status == RAN
    return run


def covered(sight: Sight, x: int, y: int = 100) -> float:
    """Share of the body that lies in boxes."""
    inside = masked(sight)[y : y + BODY_H, max(0, x) : x + BODY_W]
    return float(inside.mean())


def masked(sight: Sight) -> NDArray[np.bool_]:
    mask = np.zeros((H, W), np.bool_)
    for x1, y1, x2, y2 in sight.boxes.round().astype(int):
        mask[y1:y2, x1:x2] = True
    return mask


def most_masked(sights: Iterable[Sight]) -> float:
    return max(float(masked(sight).mean()) for sight in sights)


def test_until_the_background_is_learnt_no_look_counts() -> None:
    run = Run(Background())
    sights = run.still(LEARN_S + 2 * LOOK_S)
    began = next(number for number, sight in enumerate(sights) if sight.status == RAN)
    assert began * LOOK_S == LEARN_S
    for sight in sights[:began]:
        assert sight.status == pb.DetectorResult.SKIPPED
        assert sight.reason == "The background is being learnt."
        assert len(sight.boxes) == 0


def test_a_slow_camera_is_learnt_from_a_few_looks() -> None:
    background = Background()
    statuses = [background.look(luma(view()), 20.0 * number).status for number in range(5)]
    assert [status == RAN for status in statuses] == [False, False, False, True, True]


def test_nothing_moves_nothing_is_masked(run: Run) -> None:
    sights = run.still(20)
    assert all(sight.status == RAN and len(sight.boxes) == 0 for sight in sights)


def test_a_body_that_walks_through_is_in_one_box(run: Run) -> None:
    for x in range(10, 280, 9):
        sight = run.look(with_body(x))
        assert sight.status == RAN
        assert covered(sight, x) == 1
        assert len(sight.boxes) == 1
        assert masked(sight).sum() < 2.2 * BODY_W * BODY_H


def test_one_who_comes_in_at_the_edge_is_seen_there(run: Run) -> None:
    sight = run.look(with_body(-BODY_W + 8))
    assert covered(sight, -BODY_W + 8) == 1
    assert sight.boxes[0, 0] == 0


def test_boxes_are_in_pixels_of_the_picture_that_was_given() -> None:
    background, size = Background(), (W * 4 + 3, H * 4 + 2)
    for number in range(8):
        picture = with_body(200) if number > 5 else view()
        sight = background.look(luma(cv2.resize(picture, size).astype(float)), number * LOOK_S)
    x1, y1, x2, y2 = sight.boxes[0]
    assert (x1, y1, x2, y2) == pytest.approx((800, 400, 800 + 4 * BODY_W, 400 + 4 * BODY_H), abs=24)


@pytest.mark.parametrize("sigma", [4, 12, 25])
def test_sensor_noise_does_not_move_and_hides_nobody(sigma: int) -> None:
    dice = np.random.default_rng(1)
    run = Run(Background())
    sights = run.still(12, lambda: view() + dice.normal(0, sigma, (H, W)))[8:]
    assert all(sight.status == RAN for sight in sights)
    assert most_masked(sights) < 0.03
    for x in range(10, 250, 12):
        assert covered(run.look(with_body(x) + dice.normal(0, sigma, (H, W))), x) > 0.9


def test_a_picture_of_nothing_but_noise_is_no_look(run: Run) -> None:
    dice = np.random.default_rng(1)
    sights = run.still(6, lambda: dice.uniform(0, 255, (H, W)))
    assert all(sight.status == pb.DetectorResult.FAILED for sight in sights)


def streaks(dice: np.random.Generator) -> Plane:
    """What 200 drops of rain add to a picture twice as wide, and what of it is left at this size."""
    drops = np.zeros((2 * H, 2 * W), np.float32)
    for x, y, length in dice.integers((0, 0, 8), (2 * W, 2 * H, 22), (200, 3)).tolist():
        cv2.line(drops, (x, y), (x + 2, y + length), 50.0, 1)
    return cv2.resize(drops, (W, H), interpolation=cv2.INTER_AREA).astype(float)


def flakes(dice: np.random.Generator) -> Plane:
    snow = np.zeros((2 * H, 2 * W), np.float32)
    for x, y in dice.integers((0, 0), (2 * W, 2 * H), (200, 2)).tolist():
        cv2.circle(snow, (x, y), 1, 90.0, -1)
    return cv2.resize(snow, (W, H), interpolation=cv2.INTER_AREA).astype(float)


@pytest.mark.parametrize("weather", [streaks, flakes])
def test_rain_and_snow_do_not_move(weather: Callable[[np.random.Generator], Plane]) -> None:
    dice = np.random.default_rng(5)
    run = Run(Background())
    sights = run.still(12, lambda: view() + weather(dice))[8:]
    assert all(sight.status == RAN for sight in sights)
    assert most_masked(sights) < 0.03
    for x in range(10, 250, 12):
        assert covered(run.look(with_body(x) + weather(dice)), x) > 0.9


def test_a_shaking_camera_is_aligned() -> None:
    dice = np.random.default_rng(2)
    run = Run(Background())
    run.still(5, lambda: view(*dice.integers(-1, 2, 2)))
    for x in range(10, 250, 6):
        dx, dy = (int(value) for value in dice.integers(-3, 4, 2))
        sight = run.look(with_body(x - dx, 100 - dy, view(dx, dy)))
        assert sight.status == RAN
        assert covered(sight, x - dx, 100 - dy) == 1
        assert masked(sight).mean() < 0.12


def test_what_a_shift_brings_into_the_picture_is_masked(run: Run) -> None:
    run.still(0.5, lambda: view(3, 0))
    sight = run.still(0.5, lambda: view(6, 0))[-1]
    assert sight.status == RAN
    assert masked(sight)[:, -6:].all()
    assert masked(sight).mean() < 0.05


def test_a_camera_that_is_shaken_too_much_is_no_look(run: Run) -> None:
    dice = np.random.default_rng(2)
    sights = run.still(10, lambda: view(*(int(value) for value in dice.choice([-24, -16, 16, 24], 2))))
    assert all(sight.status == pb.DetectorResult.FAILED for sight in sights)
    assert sights[0].reason == "The camera is shaken too much."
    assert run.still(0.5)[-1].status == RAN, "and when it is still again, the background is known"


def test_a_camera_that_was_pushed_learns_anew_and_holds_who_stands_there(run: Run) -> None:
    for x in range(10, 101, 10):
        run.look(with_body(x))
    sights = run.still(2 * LEARN_S, lambda: with_body(100 - 20, 100 - 8, view(20, 8)))
    assert sights[0].status == pb.DetectorResult.FAILED
    assert sights[-1].status == RAN
    assert covered(sights[-1], 80, 92) == 1


def test_dawn_and_clouds_do_not_move_and_open_nobody(run: Run) -> None:
    for number in range(240):
        light = 1 + 0.25 * np.sin(number / 40)
        x = min(100, 10 + 10 * number)
        sight = run.look(with_body(x) * light)
        assert sight.status == RAN
        assert covered(sight, x) == 1
        assert masked(sight).mean() < 0.12


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("lamp", [0.5, 1.5, "left"])
def test_a_light_that_is_switched_closes_until_it_is_learnt_and_opens_nobody(
    lamp: float | str, cut: bool, run: Run
) -> None:
    gain = np.linspace(1.8, 0.5, W)[None] if isinstance(lamp, str) else np.float64(lamp)
    for x in range(10, 101, 10):
        run.look(with_body(x))
    sights = [run.look(with_body(100) * gain, cut=cut), *run.still(2 * LEARN_S, lambda: with_body(100) * gain)]
    closed = [sight.status == pb.DetectorResult.FAILED for sight in sights]
    assert closed[: round(LEARN_S / LOOK_S)] == [True] * round(LEARN_S / LOOK_S)
    assert all(sight.reason == "The light of the whole picture has changed." for sight in sights if sight.reason)
    assert sights[-1].status == RAN
    assert covered(sights[-1], 100) == 1, "who stood still in the old light does so in the new one"
    back = run.look(with_body(100))
    assert back.status == RAN, "the old light is known"
    assert covered(back, 100) == 1


def test_another_view_closes_until_it_is_learnt(run: Run) -> None:
    other = texture(77, W, H)
    sights = run.still(LEARN_OTHER_S + LOOK_S, lambda: other)
    assert [sight.status == RAN for sight in sights] == [False] * (len(sights) - 1) + [True]
    assert sights[0].reason == "The view has changed."


def test_another_scene_is_learnt_as_fast_as_the_first(run: Run) -> None:
    other = texture(77, W, H)
    sights = [run.look(other, cut=True), *run.still(LEARN_S, lambda: other)]
    assert [sight.status == RAN for sight in sights] == [False] * (len(sights) - 1) + [True]


def test_one_who_comes_and_stands_still_stays_masked_for_minutes() -> None:
    run = Run(Background())
    run.still(2)
    for x in range(10, 101, 10):
        run.look(with_body(x))
    sights = run.still(ABSORB_S - 5, lambda: with_body(100))
    assert all(covered(sight, 100) == 1 for sight in sights)


def test_what_stands_still_for_long_becomes_background_and_is_seen_when_it_leaves() -> None:
    run = Run(Background(absorb_s=60))
    run.still(2)
    run.look(with_body(100))
    assert len(run.still(70, lambda: with_body(100))[-1].boxes) == 0
    assert covered(run.look(view()), 100) == 1


def test_the_place_that_somebody_left_stays_masked_until_it_is_absorbed() -> None:
    run = Run(Background(absorb_s=60))
    run.still(2, lambda: with_body(100))
    for x in range(109, 281, 9):
        assert covered(run.look(with_body(x)), x) == 1
    assert all(covered(sight, 100) == 1 for sight in run.still(50))
    assert len(run.still(15)[-1].boxes) == 0


def test_one_who_walks_in_while_the_background_is_learnt_and_stops_is_masked() -> None:
    run = Run(Background())
    places = [60, *[100] * 12]
    sights = [run.look(with_body(x)) for x in places]
    assert sights[-1].status == RAN
    assert covered(sights[-1], 100) == 1


def test_something_that_fills_the_picture_is_closed_or_masked(run: Run) -> None:
    coat = texture(5, 250, 230, 10, 90)
    for x in [*range(300, 30, -20), *[30] * 60]:
        picture = view()
        picture[5:235, x : x + 250] = coat[:, : W - x]
        sight = run.look(picture)
        assert sight.status != RAN or masked(sight)[5:235, x : x + 250].mean() > 0.95


def test_more_things_than_can_be_followed_are_no_look(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr("services.media.background._BOXES_MAX", 0)
    assert run.look(with_body(100)).reason == "More than 200 things move."


def test_a_change_of_size_begins_anew(run: Run) -> None:
    assert run.background.look(luma(view()[:100]), 100).status == pb.DetectorResult.SKIPPED


def test_tiny_pictures_are_taken() -> None:
    background = Background()
    statuses = [background.look(np.full((4, 2), 90, np.uint8), number * LOOK_S).status for number in range(8)]
    assert statuses[-1] == RAN
