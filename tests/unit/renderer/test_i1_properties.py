"""I1 over random span layouts: whatever comes, in whatever order, only covered frames show their pixels."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.schema import pb
from tests.unit.renderer.harness import EPOCH, Harness, noise, segment

FRAMES = 12

spans = st.tuples(
    st.integers(0, FRAMES + 2),
    st.integers(0, 6),
    st.sampled_from([pb.COMPLETE, pb.COMPLETE, pb.COMPLETE, pb.INCOMPLETE, pb.COVERAGE_UNSPECIFIED]),
    st.sampled_from([0, 0, 0, -1, 1]),
    st.sampled_from([(10.0, 10.0, 40.0, 40.0), (float("nan"), 0.0, 1.0, 1.0), None]),
)
events = st.permutations(range(FRAMES)).flatmap(
    lambda order: st.tuples(st.just(sorted(order, key=lambda seq: (seq // 4, order.index(seq)))), st.lists(spans))
)


@settings(max_examples=60, deadline=None)
@given(events, st.lists(st.booleans(), min_size=FRAMES, max_size=FRAMES), st.booleans(), st.data())
def test_i1_every_frame_that_shows_its_pixels_has_a_complete_span(
    layout: tuple[list[int], list[tuple[int, int, pb.Coverage, int, tuple[float, ...] | None]]],
    corrupt: list[bool],
    live: bool,
    data: st.DataObject,
) -> None:
    order, said = layout
    harness = Harness(live=live)
    pending = [*order]
    sent = []
    for first, length, coverage, other_epoch, box in said:
        while pending and data.draw(st.booleans()):
            seq = pending.pop(0)
            harness.frame(seq, corrupt=corrupt[seq], keyframe=seq == 0)
        tracks = () if box is None else (segment(box),)
        harness.span(first, first + length, *tracks, coverage=coverage, epoch=EPOCH + other_epoch)
        sent.append((first, first + length, coverage, other_epoch, box))
        harness.run()
        harness.now += data.draw(st.sampled_from([0.0, 0.5, 5.0, 130.0]))
    for seq in pending:
        harness.frame(seq, corrupt=corrupt[seq], keyframe=seq == 0)
    harness.end(FRAMES)
    harness.end_redactions()
    harness.run()
    harness.now += 1000
    harness.run()

    assert harness.seqs == list(range(FRAMES)), "in order, each once"
    assert harness.bodies[-1] == "end"
    for out in harness.out:
        seq = out.message.seq
        holding = [span for span in sent if span[0] <= seq <= span[1] and span[3] == 0]
        valid = [
            span for span in holding[:1] if span[2] == pb.COMPLETE and (span[4] is None or span[4][0] == span[4][0])
        ]
        assert out.message.closed == (not out.leaks(noise(seq)))
        if out.leaks(noise(seq)):
            assert valid
            assert not corrupt[seq]
