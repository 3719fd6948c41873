"""What a frame that may leave shows."""

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from services.media.decoding import packet_of
from services.media.picture import Picture
from services.renderer import RendererSettings
from services.schema import pb
from tests.unit.renderer.harness import HEIGHT, WIDTH, Box, Harness, make_policy, noise, segment


def visible_share(pixels: NDArray[np.uint8] | None, source: NDArray[np.uint8], box: Box) -> float:
    """Share of a box's samples, over the three planes, that still hold the source's value."""
    assert pixels is not None
    shares = []
    out, own = Picture(pixels), Picture(source)
    for scale, after, before in ((1, out.y, own.y), (2, out.u, own.u), (2, out.v, own.v)):
        x1, y1, x2, y2 = (int(value) // scale for value in box)
        shares.append(float((after[y1:y2, x1:x2] == before[y1:y2, x1:x2]).mean()))
    return max(shares)


def test_a_box_moves_in_a_straight_line_between_both_ends_of_its_span() -> None:
    harness = Harness()
    harness.frames(range(11))
    harness.span(0, 10, segment((0, 20, 20, 40), (100, 40, 120, 60)))
    harness.run()
    for seq, out in enumerate(harness.out):
        x, y = 10 * seq, 20 + 2 * seq
        assert visible_share(out.pixels, noise(seq), (x, y, x + 20, y + 20)) < 0.1
        assert not out.message.closed
        far = (x + 60) % 120
        if abs(far - x) > 30:
            assert visible_share(out.pixels, noise(seq), (far, 70, far + 8, 80)) == 1


def test_padding_is_the_kinds_own() -> None:
    harness = Harness(policy=make_policy(kinds={"face": {"padding": 0.5}, "plate": {"padding": 0}}))
    harness.frame(0)
    harness.span(0, 0, segment((20, 20, 40, 40), track=1), segment((80, 20, 100, 40), track=2, kind=pb.KIND_PLATE))
    out = harness.run().only()
    assert visible_share(out.pixels, noise(0), (10, 10, 50, 50)) < 0.1
    assert visible_share(out.pixels, noise(0), (80, 20, 100, 40)) < 0.1
    assert visible_share(out.pixels, noise(0), (104, 20, 112, 40)) == 1


def test_kinds_that_the_policy_does_not_name_stay_visible() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, segment((20, 20, 40, 40), kind=pb.KIND_VEHICLE), segment((80, 20, 100, 40), track=2))
    out = harness.run().only()
    assert visible_share(out.pixels, noise(0), (20, 20, 40, 40)) == 1
    assert [(count.kind, count.count) for count in out.message.masks] == [(pb.KIND_FACE, 1)]


@pytest.mark.parametrize("mode", ["solid", "mosaic", "blur"])
@pytest.mark.parametrize(
    "box", [(-30, -30, 10, 10), (110, 80, 400, 400), (-500, -500, 900, 900), (1e30, 0, 2e30, 5), (50, 50, 50, 50)]
)
def test_boxes_that_reach_beyond_the_picture(box: Box, mode: str) -> None:
    harness = Harness(policy=make_policy(mode=mode))
    harness.frame(0)
    harness.span(0, 0, segment(box))
    out = harness.run().only()
    assert not out.message.closed
    x1, y1, x2, y2 = np.clip(box, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
    if x2 > x1 and y2 > y1:
        assert visible_share(out.pixels, noise(0), (x1, y1, x2, y2)) < 0.1


def test_a_track_with_a_mode_of_its_own_looks_like_that() -> None:
    harness = Harness(policy=make_policy(mode="mosaic"))
    harness.frame(0)
    harness.span(0, 0, segment((20, 20, 40, 40), mode="solid"), segment((80, 20, 100, 40), track=2))
    out = harness.run().only()
    assert out.pixels is not None
    luma = Picture(out.pixels).y
    assert (luma[20:40, 20:40] == 16).all()
    assert luma[20:40, 80:100].min() > 16


@pytest.mark.parametrize("mode", ["glass", "seal", "silhouette", "SOLID"])
def test_i1_a_mode_that_is_unknown_or_does_not_suit_a_face_closes_the_frame(mode: str) -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, segment(mode=mode))
    out = harness.run().only()
    assert out.message.closed
    assert out.message.why == "The span of this frame can't be read.", "before anything is drawn"
    assert not out.leaks(noise(0))


def test_a_picture_with_nothing_to_mask_is_passed_on_without_a_copy() -> None:
    harness = Harness()
    harness.frame(0)
    harness.span(0, 0, segment(kind=pb.KIND_PERSON))
    out = harness.run().only()
    assert out.pixels is not None
    assert not out.pixels.flags.writeable


def test_the_shared_picture_is_never_written_to() -> None:
    harness = Harness(
        policy=make_policy(badge=True, zones=[{"name": "a", "polygon": [[0, 0], [1, 0], [0, 1]], "use": "mask"}])
    )
    harness.frames(range(2))
    harness.span(0, 0, segment())
    harness.span(1, 1, coverage=pb.INCOMPLETE)
    assert len(harness.run().out) == 2, "a write into the read-only array would have raised"
    assert not harness.out[0].message.closed


def test_zones_are_masked_on_every_frame() -> None:
    policy = make_policy(
        zones=[
            {"name": "window", "polygon": [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]], "use": "mask"},
            {"name": "door", "polygon": [[0, 0], [0.2, 0], [0.2, 0.2]], "use": "count"},
        ]
    )
    harness = Harness(policy=policy)
    harness.frames(range(2))
    harness.span(0, 1)
    for seq, out in enumerate(harness.run().out):
        assert visible_share(out.pixels, noise(seq), (WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)) < 0.02
        assert visible_share(out.pixels, noise(seq), (0, 0, 40, 40)) == 1


def test_the_badge_marks_masked_and_closed_frames() -> None:
    harness = Harness(policy=make_policy(badge=True))
    harness.frames(range(2))
    harness.span(0, 0)
    harness.span(1, 1, coverage=pb.INCOMPLETE)
    patches = [out.pixels[HEIGHT - 12 : HEIGHT, :30] for out in harness.run().out if out.pixels is not None]
    assert np.array_equal(patches[0], patches[1])
    assert patches[0].min() < 40
    assert patches[0].max() > 120


def test_encoded_frames_hold_the_planes_and_stay_masked() -> None:
    harness = Harness(settings=RendererSettings(transport="encoded"))
    smooth = np.tile(np.linspace(40, 200, WIDTH).astype(np.uint8), (HEIGHT * 3 // 2, 1))
    harness.frame(0, picture=smooth)
    harness.span(0, 0, segment((40, 30, 72, 70)))
    out = harness.run().only()
    assert out.pixels is None
    (frame,) = av.CodecContext.create("mjpeg", "r").decode(packet_of(out.message.jpeg))
    assert frame.format.name == "yuvj420p"
    planes = frame.to_ndarray()
    assert np.abs(planes[:25].astype(int) - smooth[:25]).mean() < 3
    assert len(np.unique(planes[36:64, 44:68] // 8)) < 16, "tiles, not the ramp"


@pytest.mark.parametrize("mode", ["solid", "mosaic", "blur"])
def test_i5_what_lies_under_a_mask_changes_no_byte_of_the_jpeg(mode: str) -> None:
    def jpeg(source: NDArray[np.uint8]) -> bytes:
        harness = Harness(policy=make_policy(mode=mode), settings=RendererSettings(transport="encoded"))
        harness.frame(0, picture=source)
        harness.span(0, 0, segment((40, 30, 72, 70)))
        return harness.run().only().message.jpeg

    one = noise(0)
    other = one.copy()
    planes = Picture(other)
    for plane, scale in ((planes.y, 1), (planes.u, 2), (planes.v, 2)):
        under = plane[30 // scale : 70 // scale, 40 // scale : 72 // scale]
        under[:] = under[::-1, ::-1]  # another picture with the same mean
    assert not np.array_equal(one, other)
    assert jpeg(one) == jpeg(other)
    other[5, 5] ^= 128
    assert jpeg(one) != jpeg(other)


@pytest.mark.parametrize("mode", ["seal", "silhouette"])
def test_i5_a_figure_does_not_stand_before_what_a_zone_hides(mode: str) -> None:
    """What is around a figure is spread into its box: a zone beside it must be black by then."""
    policy = make_policy(
        kinds={"person": {"mode": mode}},
        zones=[{"name": "door", "polygon": [[0, 0], [0.4, 0], [0.4, 1], [0, 1]], "use": "mask"}],
    )
    shown = []
    for luma in (30, 220):
        picture = noise(0).copy()
        Picture(picture).y[:, : WIDTH * 2 // 5] = luma
        harness = Harness(policy=policy)
        harness.frame(0, picture=picture)
        harness.span(0, 0, segment((WIDTH * 2 / 5 + 12, 10, WIDTH * 2 / 5 + 40, 85), kind=pb.KIND_PERSON))
        out = harness.run().only()
        assert not out.message.closed
        shown.append(out.pixels)
    assert shown[0] is not None
    assert shown[1] is not None
    assert np.array_equal(shown[0], shown[1])


def test_i1_a_figure_that_cannot_be_drawn_closes_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise FloatingPointError

    monkeypatch.setattr("services.media.seal._outline", broken)
    harness = Harness(policy=make_policy(kinds={"person": {"mode": "seal"}}))
    harness.frame(0)
    harness.span(0, 0, segment((20, 20, 40, 80), kind=pb.KIND_PERSON))
    out = harness.run().only()
    assert out.message.closed
    assert visible_share(out.pixels, noise(0), (0, 0, WIDTH, HEIGHT)) < 0.1
