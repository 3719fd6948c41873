"""Samples: labels follow the pixels, what is not labelled counts neither way, a seed is a sample."""

import cv2
import numpy as np

from deploy.models.train.batches import gathered
from deploy.models.train.pictures import NO_BOXES, Picture
from deploy.models.train.plates import Draughtsman
from deploy.models.train.samples import SIZE, Sampler, Source, padded
from services.detect.cells import centres


def _picture(**boxes: list[list[float]]) -> Picture:
    """Grey, with a white area at the first box of the first kind."""
    rgb = np.full((200, 300, 3), 90, np.uint8)
    for x1, y1, x2, y2 in next(iter(boxes.values()), []):
        rgb[int(y1) : int(y2), int(x1) : int(x2)] = 255
    _, encoded = cv2.imencode(".png", rgb)
    labels = {kind: np.array(found, np.float32).reshape(-1, 4) for kind, found in boxes.items()}
    return Picture("drawn", "none", encoded.ravel(), labels)


def _sampler(*pictures: Picture, kinds: tuple[str, ...] = ("plate",), replated: float = 0.0) -> Sampler:
    return Sampler(kinds, [Source(pictures, 1.0, replated)], Draughtsman())


def test_a_seed_is_a_sample() -> None:
    first, again = (
        _sampler(_picture(plate=[[100, 80, 180, 110]]), replated=0.5).sample(np.random.default_rng(5)) for _ in range(2)
    )
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.boxes["plate"], again.boxes["plate"])


def test_wanted_boxes_are_lighter_than_their_surroundings() -> None:
    sampler = _sampler(_picture(plate=[[100, 80, 180, 110]]))
    found = 0
    for seed in range(40):
        sample = sampler.sample(np.random.default_rng(seed))
        for x1, y1, x2, y2 in sample.boxes["plate"]:
            inner = sample.rgb[round(y1) : round(y2), round(x1) : round(x2)]
            assert inner.mean() > np.median(sample.rgb)
            found += 1
    assert found > 30


def test_boxes_lie_in_the_sample_and_are_large_enough() -> None:
    sampler = _sampler(_picture(plate=[[100, 80, 180, 110], [10, 150, 40, 160]]), replated=0.6)
    for seed in range(60):
        boxes = sampler.sample(np.random.default_rng(seed)).boxes["plate"]
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes >= 0).all()
        assert (boxes[:, [0, 2]] <= SIZE[0]).all()
        assert (boxes[:, [1, 3]] <= SIZE[1]).all()


def test_a_picture_without_labels_of_a_kind_counts_neither_way() -> None:
    sampler = _sampler(_picture(plate=[]), kinds=("plate", "face"))
    batch = gathered([sampler.sample(np.random.default_rng(seed)) for seed in range(40)])
    assert batch.ignored["face"].all(axis=1).any()
    assert batch.ignored["face"].mean() > 0.6  # the rest is the ground on which small pictures lie
    assert not batch.ignored["plate"].any()


def test_a_batch_has_a_row_for_each_object() -> None:
    assert padded([NO_BOXES, np.ones((2, 4), np.float32)]).shape == (2, 2, 4)
    assert padded([NO_BOXES]).shape == (1, 0, 4)
    sampler = _sampler(_picture(plate=[[100, 80, 180, 110]]))
    batch = gathered([sampler.sample(np.random.default_rng(seed)) for seed in range(3)])
    assert batch.rgb.shape == (3, SIZE[1], SIZE[0], 3)
    assert batch.ignored["plate"].shape == (3, len(centres(SIZE[1], SIZE[0])))
