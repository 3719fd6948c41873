"""I6 while tracker and renderer are scaled from one to three and back: nothing lost, nothing closed, all in order."""

import pytest

from services.schema import pb
from tests.integration.replay_world import View, World, first_answers, masked, reference_of, view


def scale(world: World, stage: str, to: int) -> None:
    while len(world.runners[stage]) < to:
        world.start(stage)
        world.step(world.random.randint(0, 3))
    while len(world.runners[stage]) > to:
        world.stop(stage)
        world.step(world.random.randint(0, 3))


def rescaled(world: World, *stages: str) -> View:
    """One process of each stage, three of those named, one again; at moments that the seed decides."""
    world.start("tracker")
    world.start("renderer")
    for number in (3, 1, 2, 1):
        for _ in range(world.random.randint(3, 8)):
            world.step(world.random.randint(1, 4))
        for stage in stages:
            scale(world, stage, number)
    world.settle()
    return view(world)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("stages", [("tracker",), ("renderer",), ("tracker", "renderer")], ids=" ".join)
@pytest.mark.parametrize("seed", range(3))
def test_i6_scaling_there_and_back_loses_and_closes_nothing(seed: int, stages: tuple[str, ...], live: bool) -> None:
    world = World(seed=seed, cameras=6, partitions=8, live=live)
    seen = rescaled(world, *stages)
    reference = reference_of(world)
    assert len(seen.frames) == 6
    for camera, frames in seen.frames.items():
        assert [frame.seq for frame, _ in frames] == list(range(world.frames)), camera
        for (frame, pixels), (_, wanted) in zip(frames, reference.frames[camera], strict=True):
            assert not frame.closed, (camera, frame.seq, frame.why)
            assert not (masked(wanted) & ~masked(pixels)).any(), (camera, frame.seq)
    assert not seen.early_ends


def test_i1_spans_of_several_trackers_answer_for_every_frame_and_the_first_counts() -> None:
    world = World(seed=5, cameras=6, partitions=8)
    rescaled(world, "tracker")
    answers = first_answers(world.spans)
    assert len(answers) == world.cameras * world.frames
    assert all(span.coverage == pb.COMPLETE for span in answers.values())
