"""I2 for detectors that look once a second: between two of their looks frames stay open, but not for longer."""

from services.schema import pb
from tests.support.book import Book
from tests.unit.tracker.harness import RATE, Found, Harness, policy, result

_BOTH = policy(kinds={"face": {}, "text": {}})
_SIGN: Found = (200.0, 100.0, 320.0, 130.0, 0.8)
_FAILED = pb.DetectorResult.FAILED


def _text(*found: Found, status: pb.DetectorResult.Status = pb.DetectorResult.RAN) -> pb.DetectorResult:
    return result(found, detector="text", kind=pb.KIND_TEXT, status=status)


def _run(text_at: dict[int, pb.DetectorResult], looks: range, faces_missing: int | None = None) -> Harness:
    """Faces are looked for at every look but one; text at those named."""
    harness = Harness(Book(_BOTH))
    for seq in looks:
        results = [] if seq == faces_missing else [result()]
        harness.look(seq, *results, *([text_at[seq]] if seq in text_at else []))
    harness.end(looks[-1] + 1)
    return harness


def _open(harness: Harness) -> list[bool]:
    """Whether each frame may be shown."""
    frames: list[bool] = []
    for span in harness.spans:
        assert span.first_seq == len(frames)
        frames += [span.coverage == pb.COMPLETE] * (span.last_seq + 1 - span.first_seq)
    return frames


def test_i2_text_that_is_looked_for_once_a_second_keeps_every_frame_open() -> None:
    looks = range(0, 4 * RATE + 1, 5)
    harness = _run({seq: _text() for seq in looks if seq % RATE == 0}, looks)
    assert all(_open(harness))


def test_i2_looks_for_text_that_come_within_the_gap_keep_every_frame_open() -> None:
    looks = range(0, 4 * RATE + 1, 5)
    assert all(_open(_run({seq: _text() for seq in range(0, 4 * RATE + 1, 40)}, looks))), "1.6 s apart"


def test_i2_a_look_for_text_that_is_late_by_more_than_the_gap_closes_until_it_comes() -> None:
    looks = range(0, 4 * RATE + 1, 5)
    frames = _open(_run({0: _text(), 3 * RATE: _text(), 4 * RATE: _text()}, looks))
    # every_s and gap_max_s are 1.0 and 0.5 s; looks are 0.2 s apart, and one of them may go out a picture later.
    latest_open = max(seq for seq in range(3 * RATE) if frames[seq])
    assert 1.0 * RATE <= latest_open < (1.0 + 0.5 + 0.2 + 0.2) * RATE
    assert not any(frames[2 * RATE : 3 * RATE])
    assert all(frames[3 * RATE :])
    why = {span.why for span in _run({0: _text()}, looks).spans if span.coverage != pb.COMPLETE}
    assert "Detector text gave no result" in min(why)


def test_i2_a_failed_look_for_text_closes_until_one_runs() -> None:
    looks = range(0, 4 * RATE + 1, 5)
    text_at = {0: _text(), RATE: _text(status=_FAILED), RATE + 10: _text(), 2 * RATE: _text(), 3 * RATE: _text()}
    frames = _open(_run(text_at | {4 * RATE: _text()}, looks))
    assert [seq for seq, shown in enumerate(frames) if not shown] == list(range(RATE - 5, RATE + 10))


def test_i2_text_that_was_never_looked_for_keeps_everything_closed() -> None:
    assert not any(_open(_run({}, range(0, 51, 5))))


def test_i2_faces_missing_at_one_look_close_both_sides_of_it() -> None:
    looks = range(0, 2 * RATE + 1, 5)
    frames = _open(_run({seq: _text() for seq in looks if seq % RATE == 0}, looks, faces_missing=RATE))
    assert [seq for seq, shown in enumerate(frames) if not shown] == list(range(20, 30))


def test_a_sign_seen_once_a_second_is_masked_in_every_frame_and_follows_the_pan() -> None:
    looks = range(0, 4 * RATE + 1, 5)

    def sign(seq: int) -> Found:
        return (200.0 + 2 * seq, 100.0, 320.0 + 2 * seq, 130.0, 0.8)

    harness = _run({seq: _text(sign(seq)) for seq in looks if seq % RATE == 0}, looks)
    for span in harness.spans:
        for seq in range(span.first_seq, span.last_seq + 1):
            share = (seq - span.first_seq) / max(1, span.last_seq - span.first_seq)
            boxes = [[a + (b - a) * share for a, b in zip(t.first, t.last, strict=True)] for t in span.tracks]
            x1, y1, x2, y2, _ = sign(seq)
            assert any(
                box[0] <= x1 + 3 and box[1] <= y1 + 3 and box[2] >= x2 - 3 and box[3] >= y2 - 3 for box in boxes
            ), seq


def test_a_sign_that_one_look_misses_stays_masked_until_the_next() -> None:
    looks = range(0, 4 * RATE + 1, 5)
    seen = {0: _text(_SIGN), RATE: _text(_SIGN), 2 * RATE: _text(), 3 * RATE: _text(_SIGN), 4 * RATE: _text(_SIGN)}
    harness = _run(seen, looks)
    assert all(any(track.kind == pb.KIND_TEXT for track in span.tracks) for span in harness.spans)
