"""The pixels of a disclosure: the subject is there to be seen, and nobody else, also where they overlap."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.disclosure.errors import Invalid
from services.disclosure.render import Job, Rendered, render
from services.disclosure.request import Correction, Sight
from services.policy.model import Kind, Policy, Zone
from services.schema import pb
from tests.support.disclosures import EPOCH
from tests.support.own_footage import (
    FPS,
    ME,
    SEES,
    SIZE,
    THEM,
    Footage,
    Gap,
    Piece,
    film,
    inside,
    likeness,
    luma,
    me_at,
    pieces,
    segment,
    span,
    them_at,
    truth,
)

FRAMES = 75
Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[pb.AccessUnit]:
    return film(tmp_path_factory.mktemp("film") / "film.mp4", FRAMES)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, units: list[pb.AccessUnit]) -> list[Picture]:
    path = tmp_path_factory.mktemp("original") / "film.mp4"
    film(path, FRAMES)
    return luma(path)


def sight(track: int = ME, first: int = 0, last: int = FRAMES - 1, **fields: Any) -> Sight:
    usual = {"camera": "gate", "epoch": EPOCH, "kind": Kind.PERSON}
    return Sight(track=track, first_seq=first, last_seq=last, **(usual | fields))


def job(*sights: Sight, **fields: Any) -> Job:
    usual: dict[str, Any] = {
        "start_us": EPOCH,
        "end_us": EPOCH + 3600_000_000,
        "sights": sights or (sight(),),
        "corrections": (),
        "policies": {SEES.fingerprint: SEES},
        "who": "kim",
        "purpose": "request 1",
    }
    return Job(**(usual | fields))


def footage(units: Sequence[pb.AccessUnit], spans: Sequence[pb.RedactionSpan]) -> Footage:
    return Footage({"gate": list(pieces(units, spans))})


def hidden(original: Picture, shown: Picture, box: tuple[float, float, float, float]) -> bool:
    """Nothing of what is in the box can be made out."""
    where = inside(box, *SIZE)
    return not where.any() or abs(likeness(original, shown, where)) < 0.35


def visible(original: Picture, shown: Picture, where: NDArray[np.bool_]) -> bool:
    assert where.any()
    return bool(np.abs(original[where].astype(int) - shown[where]).mean() < 6)


def closed(shown: Picture) -> bool:
    """The neutral picture that stands for a closed frame: coarse tiles of nearly one grey."""
    return bool(shown.std() < 30 and abs(float(shown.mean()) - 128) < 40)


def test_the_subject_is_seen_and_nobody_else_also_where_they_overlap(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    done = render(footage(units, truth()), job(), tmp_path)

    (part,) = done.parts
    shown = luma(tmp_path / "video-1.mp4")
    assert len(shown) == FRAMES == part.frames == part.open == part.with_subject
    overlaps = 0
    for seq, (before, after) in enumerate(zip(original, shown, strict=True)):
        padded = inside(them_at(seq), *SIZE, padding=0.25)
        free = inside(me_at(seq), *SIZE) & ~padded
        if free.sum() > 100:
            assert visible(before, after, free), seq
        assert hidden(before, after, them_at(seq)), seq
        overlaps += bool((inside(me_at(seq), *SIZE) & inside(them_at(seq), *SIZE)).any())
    assert overlaps > 20


def test_the_other_way_round_the_other_one_is_seen(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    render(footage(units, truth()), job(sight(THEM)), tmp_path)

    for seq, after in enumerate(luma(tmp_path / "video-1.mp4")):
        assert hidden(original[seq], after, me_at(seq)), seq
        free = inside(them_at(seq), *SIZE) & ~inside(me_at(seq), *SIZE, padding=0.25)
        if free.sum() > 100:
            assert visible(original[seq], after, free), seq


def test_only_the_frames_that_show_the_subject_are_given(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    done = render(footage(units, truth()), job(sight(first=10, last=14), sight(first=60, last=69)), tmp_path)

    shown = luma(tmp_path / "video-1.mp4")
    assert len(shown) == 15
    for after, seq in zip(shown, [*range(10, 15), *range(60, 70)], strict=True):
        if seq < 66 and seq > 14:
            continue  # somebody walks by in front
        assert visible(original[seq], after, inside(me_at(seq), *SIZE) & ~inside(them_at(seq), *SIZE, padding=0.25))
    stretches = [(one.first_seq, one.last_seq, one.at_ms) for one in done.parts[0].stretches]
    assert stretches == [(10, 14, 0), (60, 69, 200)]
    assert [one.start_us for one in done.parts[0].stretches] == [EPOCH + 400_000, EPOCH + 2_400_000]


Spoil = Callable[[list[pb.RedactionSpan]], list[pb.RedactionSpan]]


def _each(**fields: Any) -> Spoil:
    def spoil(spans: list[pb.RedactionSpan]) -> list[pb.RedactionSpan]:
        for one in spans[4:6]:
            for name, value in fields.items():
                setattr(one, name, value)
        return spans

    return spoil


def _box(values: Sequence[float]) -> Spoil:
    def spoil(spans: list[pb.RedactionSpan]) -> list[pb.RedactionSpan]:
        for one in spans[4:6]:
            one.tracks[1].first[:] = values
        return spans

    return spoil


def _kindless(spans: list[pb.RedactionSpan]) -> list[pb.RedactionSpan]:
    for one in spans[4:6]:
        one.tracks[1].kind = pb.KIND_UNSPECIFIED
    return spans


PLATES = Policy(name="plates", kinds={"plate": None})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spans: spans[:4] + spans[6:],
        _each(coverage=pb.INCOMPLETE),
        _each(coverage=pb.COVERAGE_UNSPECIFIED),
        _each(policy="another@000000000000"),
        _each(policy=PLATES.fingerprint),
        _box([1, 2, 3]),
        _box([float("nan"), 2, 3, 4]),
        _box([9, 2, 3, 4]),
        _kindless,
    ],
    ids=["missing", "incomplete", "unspecified", "unknown policy", "no people", "3", "nan", "upside", "kind"],
)
def test_a_frame_of_which_anything_is_uncertain_is_closed_whole(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path, spoil: Spoil
) -> None:
    spans = spoil(truth())
    policies = {SEES.fingerprint: SEES, PLATES.fingerprint: PLATES}

    done = render(footage(units, spans), job(policies=policies), tmp_path)

    shown = luma(tmp_path / "video-1.mp4")
    assert sum(done.parts[0].closed.values()) == 10
    for seq in range(20, 30):
        assert closed(shown[seq]), seq
        assert hidden(original[seq], shown[seq], me_at(seq))
        assert hidden(original[seq], shown[seq], them_at(seq))
    assert visible(original[10], shown[10], inside(me_at(10), *SIZE))


@pytest.mark.parametrize("origin", [pb.TrackSegment.PREDICTED, pb.TrackSegment.BACKFILLED, 0])
def test_the_subject_is_masked_where_its_box_is_a_guess(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path, origin: int
) -> None:
    spans = truth()
    for one in spans[4:6]:
        one.tracks[0].origin = origin

    render(footage(units, spans), job(), tmp_path)

    shown = luma(tmp_path / "video-1.mp4")
    for seq in range(20, 30):
        assert hidden(original[seq], shown[seq], me_at(seq)), seq
    assert visible(original[10], shown[10], inside(me_at(10), *SIZE))


def test_a_track_of_the_same_number_in_another_epoch_or_kind_is_somebody_else(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    spans = truth()
    for one in spans:
        one.tracks.append(segment(ME, them_at(one.first_seq), them_at(one.last_seq), kind=pb.KIND_FACE))
        del one.tracks[1]

    render(footage(units, spans), job(), tmp_path)

    for seq, after in enumerate(luma(tmp_path / "video-1.mp4")):
        assert hidden(original[seq], after, them_at(seq)), seq


@pytest.mark.parametrize(
    "kind", [pb.KIND_FACE, pb.KIND_PLATE, pb.KIND_TEXT, pb.KIND_LOGO, pb.KIND_MOTION, pb.KIND_HEAD]
)
def test_whatever_was_found_is_masked_also_what_the_policy_does_not_name(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path, kind: int
) -> None:
    spans = truth()
    for one in spans:
        one.tracks[1].kind = kind

    done = render(footage(units, spans), job(), tmp_path)

    for seq, after in enumerate(luma(tmp_path / "video-1.mp4")):
        assert hidden(original[seq], after, them_at(seq)), seq
    assert sum(done.parts[0].masks.values()) == FRAMES


def test_a_bystander_is_no_figure_whatever_the_policy_draws(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    drawing = Policy(name="drawing", kinds={"person": None}, mode="seal")
    spans = truth()
    for one in spans:
        one.policy = drawing.fingerprint

    render(footage(units, spans), job(policies={drawing.fingerprint: drawing}), tmp_path)

    for seq, after in enumerate(luma(tmp_path / "video-1.mp4")):
        where = inside(them_at(seq), *SIZE) & ~inside(me_at(seq), *SIZE)
        # Few tones: tiles of one grey, not the street that a figure stands before.
        assert where.sum() < 100 or after[where].std() < 30, seq


def test_who_is_first_found_later_is_masked_before(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    """A camera that looks ahead half a second only has not masked them for as long as evidence asks for."""
    spans = truth()
    for one in spans[:5]:
        del one.tracks[1]

    render(footage(units, spans), job(), tmp_path)

    shown = luma(tmp_path / "video-1.mp4")
    for seq in range(15, 25):  # in reach of where they were first found
        x1, y1, x2, y2 = them_at(seq)
        assert hidden(original[seq], shown[seq], (x1, y1, x2 - 10, y2)), seq


def test_who_is_first_found_behind_the_range_is_masked_in_it(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    """What the spans say behind the end of what is asked for hides what comes into view before it."""
    spans = truth()
    for one in spans[:5]:
        del one.tracks[1]

    render(footage(units, spans), job(end_us=EPOCH + 24 * 40_000), tmp_path)

    shown = luma(tmp_path / "video-1.mp4")
    assert len(shown) == 24
    for seq in range(15, 24):
        x1, y1, x2, y2 = them_at(seq)
        assert hidden(original[seq], shown[seq], (x1, y1, x2 - 10, y2)), seq


def test_zones_that_the_policy_always_masks_stay_masked_over_the_subject(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    zone = Zone(name="window", polygon=((0, 0), (1, 0), (1, 1), (0, 1)), use="mask")
    zoned = Policy(name="zoned", kinds={"person": None}, zones=(zone,))
    spans = truth()
    for one in spans:
        one.policy = zoned.fingerprint

    render(footage(units, spans), job(policies={zoned.fingerprint: zoned}), tmp_path)

    assert all(after.max() < 40 for after in luma(tmp_path / "video-1.mp4"))


def test_corrections_only_ever_mask_more(units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path) -> None:
    where = {"camera": "gate", "epoch": EPOCH}
    shut = Correction(first_seq=20, last_seq=24, why="a mirror", **where)
    boxed = Correction(first_seq=0, last_seq=9, box=(20, 60, 90, 156), why="a child", **where)

    render(footage(units, truth()), job(corrections=(shut, boxed)), tmp_path)

    shown = luma(tmp_path / "video-1.mp4")
    assert all(closed(shown[seq]) for seq in range(20, 25))
    assert all(shown[seq][inside((20, 60, 90, 156), *SIZE)].max() < 40 for seq in range(10))
    assert visible(original[15], shown[15], inside(me_at(15), *SIZE))


def test_a_damaged_picture_is_closed_up_to_the_next_keyframe(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    damaged = []
    for unit in units:
        copied = pb.AccessUnit()
        copied.CopyFrom(unit)
        if unit.seq == 30:
            copied.inline = copied.inline[: len(copied.inline) // 2]
            copied.corrupt = True
        damaged.append(copied)

    done = render(footage(damaged, truth()), job(), tmp_path)

    shown = luma(tmp_path / "video-1.mp4")
    assert len(shown) == FRAMES
    assert closed(shown[30])
    assert sum(done.parts[0].closed.values()) >= 1
    assert visible(original[72], shown[72], inside(me_at(72), *SIZE) & ~inside(them_at(72), *SIZE, padding=0.25))


def test_frames_outside_the_range_are_never_shown(
    units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path
) -> None:
    done = render(footage(units, truth()), job(start_us=EPOCH + 30 * 40_000, end_us=EPOCH + 40 * 40_000), tmp_path)

    (stretch,) = done.parts[0].stretches
    assert (stretch.first_seq, stretch.last_seq) == (30, 39)
    assert len(luma(tmp_path / "video-1.mp4")) == 10


def test_a_range_that_spans_a_reconnect_and_a_change_of_policy(tmp_path: Path, units: list[pb.AccessUnit]) -> None:
    later = EPOCH + 60_000_000
    again = film(tmp_path / "again.mp4", 50, epoch=later)
    stricter = Policy(name="stricter", kinds={"person": None}, mode="solid")
    second = truth(50, epoch=later)
    for one in second:
        one.policy = stricter.fingerprint
    gap = Gap(EPOCH + 3_000_000, later, "reconnect", "A new epoch begins: the camera broke off.")
    parts: list[Piece | Gap] = [*pieces(units, truth()), gap, *pieces(again, second)]
    policies = {SEES.fingerprint: SEES, stricter.fingerprint: stricter}
    out = tmp_path / "out"
    out.mkdir()

    done: Rendered = render(Footage({"gate": parts}), job(sight(), sight(epoch=later, last=49), policies=policies), out)

    assert [(part.name, part.epoch, part.frames, part.open) for part in done.parts] == [
        ("video-1.mp4", EPOCH, 75, 75),
        ("video-2.mp4", later, 50, 50),
    ]
    assert [part.policies for part in done.parts] == [{SEES.fingerprint}, {stricter.fingerprint}]
    assert [(lack.kind, lack.why) for lack in done.lacks] == [("reconnect", gap.why)]
    for seq, after in enumerate(luma(out / "video-2.mp4")):
        where = inside(them_at(seq), *SIZE)
        assert not where.any() or after[where].max() < 40


def test_nothing_is_left_where_nothing_can_be_shown(units: list[pb.AccessUnit], tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="Nothing can be shown"):
        render(footage(units, []), job(), tmp_path)
    with pytest.raises(Invalid, match="Nothing can be shown"):
        render(footage(units, truth()), job(sight(track=9)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_sound_and_the_range_is_opened_with_name_and_purpose(
    units: list[pb.AccessUnit], tmp_path: Path
) -> None:
    import av

    given = footage(units, truth())
    render(given, job(), tmp_path)

    with av.open(str(tmp_path / "video-1.mp4")) as container:
        assert len(container.streams.audio) == 0
        assert float(container.duration or 0) / 1e6 == pytest.approx(FRAMES / FPS, abs=0.1)
    assert [(camera, who, why) for camera, _, _, why, who, _ in given.asked] == [("gate", "kim", "request 1")]


def test_the_first_span_that_came_counts(units: list[pb.AccessUnit], original: list[Picture], tmp_path: Path) -> None:
    """A tracker that was restarted knows less when it says things again."""
    again = span(20, 29, [segment(ME, me_at(20), me_at(29))])

    render(footage(units, [*truth(), again]), job(), tmp_path)

    for seq, after in enumerate(luma(tmp_path / "video-1.mp4")):
        assert hidden(original[seq], after, them_at(seq)), seq
