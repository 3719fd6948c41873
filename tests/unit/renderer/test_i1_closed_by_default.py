"""I1: a frame's own pixels leave only under a COMPLETE span of its epoch that holds it. Every test looks at pixels."""

import math

import numpy as np
import pytest

from services.renderer import RendererSettings, painter
from services.schema import pb
from tests.unit.renderer.harness import EPOCH, FACE, HEIGHT, WIDTH, Harness, make_policy, noise, segment


def assert_closed(harness: Harness, seq: int = 0) -> None:
    out = harness.only()
    assert out.message.closed
    assert out.message.why
    assert out.pixels is not None
    assert not out.leaks(noise(seq))


def test_i1_a_complete_span_lets_the_frame_out() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0)
    out = harness.run().only()
    assert not out.message.closed
    assert out.leaks(noise(0)), "otherwise the tests below could not fail"


def test_i1_a_frame_waits_for_its_span() -> None:
    harness = Harness()
    harness.frame(0)
    assert harness.run().out == []


@pytest.mark.parametrize("live", [True, False])
def test_i1_no_span_in_time(live: bool) -> None:
    harness = Harness(live=live)
    harness.frame(0)
    harness.now += 4.1 if live else 120.1
    assert_closed(harness.run())


def test_i1_a_late_span_does_not_open_what_is_out() -> None:
    harness = Harness(live=True)
    harness.frame(0)
    harness.now += 4.1
    harness.run()
    late = harness.span(0, 0)
    assert_closed(harness.run())
    assert late in harness.done


@pytest.mark.parametrize("coverage", [pb.INCOMPLETE, pb.COVERAGE_UNSPECIFIED, 77])
def test_i1_any_other_coverage_than_complete(coverage: pb.Coverage) -> None:
    harness = Harness()
    harness.frame(0)
    code = pb.Closing(reason=pb.Closing.DETECTOR_FAILED, detector="face")
    harness.span(0, 0, segment(), coverage=coverage, why="detector face: killed", closing=code)
    assert_closed(harness.run())
    assert harness.only().message.why == "detector face: killed"
    assert harness.only().message.closing == code


def test_i1_a_span_of_another_epoch() -> None:
    harness = Harness(live=True)
    harness.frame(0)
    harness.span(0, 0, epoch=EPOCH + 1)
    harness.now += 4.1
    assert_closed(harness.run())


def test_i1_a_span_made_under_another_policy() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, policy="test@000000000000")
    assert_closed(harness.run())


def test_i1_a_policy_that_changed_after_the_span_was_made() -> None:
    harness = Harness()
    harness.span(0, 0)
    harness.book.policy = make_policy(kinds=["face", "plate", "person"])
    harness.frame(0)
    assert_closed(harness.run())


@pytest.mark.parametrize(
    "box",
    [
        (math.nan, 30, 70, 70),
        (40, 30, math.inf, 70),
        (40, -math.inf, 70, 70),
        (70, 30, 40, 70),
        (40, 70, 70, 30),
        (40, 30, 70),
        (),
    ],
    ids=str,
)
@pytest.mark.parametrize("end", ["first", "last"])
def test_i1_a_box_that_is_none(box: tuple[float, ...], end: str) -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, segment(box, FACE) if end == "first" else segment(FACE, box))
    assert_closed(harness.run())
    assert harness.only().message.why == "The span of this frame can't be read.", "and not for want of luck in drawing"


def test_i1_a_segment_without_a_kind() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, segment(kind=pb.KIND_UNSPECIFIED))
    assert_closed(harness.run())


def test_i1_no_readable_policy() -> None:
    harness = Harness(policy=None)
    harness.frame(0)
    harness.span(0, 0)
    assert_closed(harness.run())


def test_i1_mask_code_that_raises(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_args: object) -> None:
        raise ValueError(f"secret {noise(0)}")

    monkeypatch.setattr(painter, "mask", fail)
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, segment())
    assert_closed(harness.run())
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text, "an error's text could hold pixels"


def test_i1_a_corrupt_access_unit_is_closed_even_with_a_picture() -> None:
    harness = Harness()
    harness.frame(0, corrupt=True, picture=noise(0))
    harness.span(0, 0)
    assert_closed(harness.run())


def test_i1_a_picture_of_another_size() -> None:
    harness = Harness()
    wide = noise(0, WIDTH * 2, HEIGHT)
    harness.frame(0, picture=wide)
    harness.span(0, 0)
    out = harness.run().only()
    assert out.message.closed
    assert out.pixels is not None
    assert out.pixels.shape == (HEIGHT * 3 // 2, WIDTH)


def test_i1_a_gap_between_spans() -> None:
    harness = Harness()
    harness.frames(range(3))
    harness.span(0, 0)
    harness.span(2, 2)
    harness.run()
    assert [out.message.closed for out in harness.out] == [False, True, False]
    assert not harness.out[1].leaks(noise(1))


def test_i1_of_overlapping_spans_the_first_counts() -> None:
    """A tracker that was restarted answers again for frames that it had answered for, and knows less then."""
    harness = Harness()
    harness.frames(range(5))
    harness.span(1, 2)
    harness.span(0, 3, coverage=pb.INCOMPLETE)
    harness.span(3, 4)
    harness.run()
    assert [out.message.closed for out in harness.out] == [True, False, False, True, False]


def test_i1_what_the_first_span_masks_stays_masked() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, segment((10, 10, 30, 30), track=1))
    harness.span(0, 0)
    same = harness.run().only().same_as(noise(0))
    assert same[10:30, 10:30].mean() < 0.1


@pytest.mark.parametrize("live", [True, False])
def test_i1_redactions_that_end_early(live: bool) -> None:
    harness = Harness(live=live)
    harness.frames(range(4))
    harness.span(0, 1)
    harness.end_redactions()
    harness.run()
    assert [out.message.closed for out in harness.out] == [False, False, True, True]
    assert not harness.out[2].leaks(noise(2))


def test_i1_i7_a_full_hold_closes_the_oldest_live_frames() -> None:
    size = noise(0).nbytes
    harness = Harness(live=True, settings=RendererSettings(hold_bytes=1 << 20))
    count = (1 << 20) // size + 10
    harness.frames(range(count))
    harness.run()
    assert harness.seqs == list(range(len(harness.out)))
    assert len(harness.out) >= 10
    assert {out.message.why for out in harness.out} == {"hold overflow"}
    assert not any(out.leaks(noise(out.message.seq)) for out in harness.out)
    harness.span(0, count)
    harness.run()
    assert harness.seqs == list(range(count))
    assert not harness.out[-1].message.closed


def test_i1_the_policy_may_drop_instead() -> None:
    harness = Harness(policy=make_policy(on_incomplete="drop"))
    harness.frame(0)
    harness.span(0, 0, coverage=pb.INCOMPLETE)
    out = harness.run().only()
    assert out.message.dropped
    assert out.message.closed
    assert out.pixels is None


def test_i1_no_size_no_picture() -> None:
    harness = Harness()
    harness.frame(0, keyframe=False)
    harness.span(0, 0)
    out = harness.run().only()
    assert out.message.dropped
    assert out.pixels is None


def test_i1_a_file_whose_spans_stopped_goes_on_closed() -> None:
    harness = Harness()
    harness.frames(range(3))
    harness.now += 121
    harness.run()
    harness.frame(3)
    assert len(harness.run().out) == 4, "the next frame does not wait as long again"
    assert all(out.message.closed for out in harness.out)
    harness.span(4, 4)
    harness.frame(4)
    assert not harness.run().out[-1].message.closed


def test_i5_closed_pictures_hold_still_while_the_source_changes() -> None:
    harness = Harness()
    for seq in range(6):
        harness.frame(seq, picture=np.full((HEIGHT * 3 // 2, WIDTH), 30 + 40 * seq, np.uint8))
    harness.span(0, 3, coverage=pb.INCOMPLETE)
    harness.span(4, 4)
    harness.span(5, 5, coverage=pb.INCOMPLETE)
    harness.run()
    first = harness.out[0].pixels
    assert all(np.array_equal(out.pixels, first) for out in harness.out[:4])
    assert not np.array_equal(harness.out[5].pixels, first), "a new run looks anew"
