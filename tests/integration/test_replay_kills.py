"""I6 and I1 across kill -9 of tracker and renderer: a replay comes to the same frames, once and in order."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.integration.replay_world import View, World, masked, reference_of, run

SEEDS = range(8)


def assert_once_and_in_order(world: World, seen: View) -> None:
    assert len(seen.frames) == world.cameras
    for camera, frames in seen.frames.items():
        assert [frame.seq for frame, _ in frames] == list(range(world.frames)), camera
    assert not seen.early_ends


def assert_same_pictures(seen: View, reference: View) -> None:
    for camera, frames in seen.frames.items():
        for (frame, pixels), (_, wanted) in zip(frames, reference.frames[camera], strict=True):
            assert np.array_equal(pixels, wanted), (camera, frame.seq, frame.closed, frame.why)


def assert_nothing_less_is_masked(seen: View, reference: View) -> None:
    for camera, frames in seen.frames.items():
        for (frame, pixels), (_, wanted) in zip(frames, reference.frames[camera], strict=True):
            if not frame.closed:
                less = masked(wanted) & ~masked(pixels)
                assert not less.any(), (camera, frame.seq)


def kill_at_random(*stages: str, chance: float = 0.15) -> Callable[[World], None]:
    """Each process named may die before any step, in the midst of what it does, and come back a little later."""

    def act(world: World) -> None:
        for stage in stages:
            if not world.runners[stage]:
                if world.random.random() < 0.6:
                    world.start(stage)
            elif world.random.random() < chance:
                world.kill(stage)
                world.start(stage, uses=world.random.randint(1, 60))

    return act


def test_without_a_kill_nothing_is_closed() -> None:
    reference = reference_of(World())
    assert_once_and_in_order(World(), reference)
    assert reference.closed_frames == 0
    assert reference.repeats == 0
    assert any(masked(pixels).any() for _, pixels in reference.frames["cam-0"])


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_i6_a_killed_renderer_renders_the_same_frames_again(seed: int, live: bool) -> None:
    world = World(seed=seed, live=live, commit_every_s=[0.0, 0.2, 1.0][seed % 3])
    seen = run(world, kill_at_random("renderer"))
    assert world.kills
    assert_once_and_in_order(world, seen)
    assert_same_pictures(seen, reference_of(world))
    assert seen.repeats
    assert not seen.altered, "what goes out again is the same picture, never a closed one"


@pytest.mark.parametrize("seed", SEEDS)
def test_i1_a_killed_tracker_masks_no_less_and_closes_nothing(seed: int) -> None:
    world = World(seed=seed, frames=140, commit_every_s=[0.0, 0.2, 1.0][seed % 3])
    seen = run(world, kill_at_random("tracker"))
    assert world.kills
    assert_once_and_in_order(world, seen)
    assert seen.closed_frames == 0
    assert_nothing_less_is_masked(seen, reference_of(world))


@pytest.mark.parametrize("seed", SEEDS)
def test_i6_i1_both_killed_at_once(seed: int) -> None:
    world = World(seed=seed, cameras=5, commit_every_s=[0.0, 0.2, 1.0][seed % 3])
    seen = run(world, kill_at_random("tracker", "renderer"))
    assert world.kills
    assert_once_and_in_order(world, seen)
    assert seen.closed_frames == 0
    assert_nothing_less_is_masked(seen, reference_of(world))


@pytest.mark.parametrize("seed", range(4))
def test_counts_come_out_as_if_nobody_had_been_killed(seed: int) -> None:
    """Readers keep the first record of each interval."""

    def counts(world: World) -> dict[tuple[str, int], list[tuple[int, int, int, int]]]:
        first: dict[tuple[str, int], list[tuple[int, int, int, int]]] = {}
        for stats in world.stats:
            kinds = [(kind.kind, kind.present, kind.entered, kind.left) for kind in stats.kinds]
            first.setdefault((stats.camera_id, stats.from_us), kinds)
        return first

    calm, world = World(frames=140), World(seed=seed, frames=140)
    run(calm, lambda _: None)
    run(world, kill_at_random("tracker"))
    assert world.kills
    assert counts(world) == counts(calm)
