"""Access units that come without a picture: decoded by the renderer itself, closed where they can't be."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from services.schema import pb
from tests.support.videos import paint_numbered, read_number
from tests.unit.renderer.harness import Harness, Out, make_stream, segment

WIDTH, HEIGHT = 192, 128


@dataclass(frozen=True)
class Unit:
    seq: int
    keyframe: bool
    payload: bytes


def encode(frames: int, *, gop: int = 8, b_frames: int = 2) -> list[Unit]:
    """Numbered pictures as H.264 access units in decoding order."""
    context = av.VideoCodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base = Fraction(1, 25)
    context.thread_count = 1
    context.options = {
        "preset": "ultrafast",
        "x264-params": f"keyint={gop}:min-keyint={gop}:bframes={b_frames}:b-adapt=0:scenecut=0",
    }

    def pictures() -> Iterator[av.VideoFrame | None]:
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(paint_numbered(number, WIDTH, HEIGHT), format="rgb24")
            frame.pts = number
            yield frame
        yield None

    packets = [packet for picture in pictures() for packet in context.encode(picture)]
    return [Unit(packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in packets]


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    found = encode(24)
    assert [unit.seq for unit in found] != sorted(unit.seq for unit in found), "B-frames, or this shows nothing"
    return found


def feed(
    harness: Harness,
    unit: Unit,
    *,
    corrupt: bool = False,
    payload: bytes | None = None,
    picture: NDArray[np.uint8] | None = None,
) -> None:
    harness.frame(
        unit.seq,
        keyframe=unit.keyframe,
        payload=unit.payload if payload is None else payload,
        corrupt=corrupt,
        picture=picture,
        stream=make_stream(live=harness.live, width=WIDTH, height=HEIGHT),
    )


def number(out: Out) -> int:
    assert out.pixels is not None
    return read_number(out.pixels[:HEIGHT])


def test_every_frame_shows_its_own_picture(units: list[Unit]) -> None:
    harness = Harness(shared=False)
    harness.span(0, 23)
    for unit in units:
        feed(harness, unit)
        harness.run()
    harness.end(24)
    harness.run()
    assert harness.seqs == list(range(24))
    assert [number(out) for out in harness.out] == list(range(24))
    assert not any(out.message.closed for out in harness.out)


def test_pictures_are_made_only_when_a_span_allows_it(units: list[Unit]) -> None:
    harness = Harness(shared=False)
    for unit in units:
        feed(harness, unit)
    harness.run()
    payloads = sum(len(unit.payload) for unit in units)
    assert harness.stage._hold.bytes < payloads + 300 * len(units)
    harness.span(0, 11)
    harness.span(12, 23, coverage=pb.INCOMPLETE)
    harness.end(24)
    harness.run()
    assert [number(out) for out in harness.out[:12]] == list(range(12))
    assert all(out.message.closed for out in harness.out[12:])


def test_i1_frames_without_their_keyframe_are_closed(units: list[Unit]) -> None:
    harness = Harness(shared=False, live=True)
    harness.span(0, 23)
    for unit in units:
        if unit.seq != 8:
            feed(harness, unit)
    harness.end(24)
    harness.run()
    closed = [out.message.seq for out in harness.out if out.message.closed]
    assert set(range(9, 16)) <= set(closed) <= set(range(6, 16))
    clear = [out for out in harness.out if not out.message.closed]
    assert [number(out) for out in clear] == [out.message.seq for out in clear]


@pytest.mark.parametrize("damage", ["flagged", "cut", "empty"])
def test_i1_a_damaged_unit_closes_all_that_refer_to_it(units: list[Unit], damage: str) -> None:
    harness = Harness(shared=False)
    harness.span(0, 23)
    for unit in units:
        if unit.seq != 10:
            feed(harness, unit)
        elif damage == "flagged":
            feed(harness, unit, corrupt=True)
        else:
            feed(harness, unit, payload=unit.payload[:60] if damage == "cut" else b"")
    harness.end(24)
    harness.run()
    assert harness.seqs == list(range(24))
    assert harness.out[10].message.closed
    clear = [out for out in harness.out if not out.message.closed]
    assert {out.message.seq for out in clear} >= {*range(6), *range(17, 24)}
    assert [number(out) for out in clear] == [out.message.seq for out in clear]


def test_i1_an_encrypted_payload_can_not_be_shown(units: list[Unit]) -> None:
    harness = Harness(shared=False)
    unit = pb.AccessUnit(camera_id="gate-1", epoch=1, keyframe=True, stream=make_stream(), sealed=pb.Sealed())
    harness.send(harness.stage.inputs[0], pb.SourceMessage(unit=unit).SerializeToString())
    harness.span(0, 0, epoch=1)
    assert harness.run().only().message.closed


@pytest.mark.parametrize("shared", [range(4), range(10, 13)], ids=["first", "in between"])
def test_pictures_that_are_lost_midway_come_back_with_a_keyframe(units: list[Unit], shared: range) -> None:
    """After a second delivery the memory bus brings units without their pictures: then a keyframe is waited for."""
    harness = Harness(shared=False)
    harness.span(0, 23)
    for index, unit in enumerate(units):
        picture = np.full((HEIGHT * 3 // 2, WIDTH), 90, np.uint8) if index in shared else None
        feed(harness, unit, picture=picture)
    harness.end(24)
    harness.run()
    assert harness.seqs == list(range(24))
    with_picture = {units[index].seq for index in shared}
    next_keyframe = 8 if shared.start == 0 else 16
    closed = {out.message.seq for out in harness.out if out.message.closed}
    undecodable = {unit.seq for unit in units[shared.stop :] if unit.seq < next_keyframe}
    assert closed == undecodable - with_picture
    own = [out for out in harness.out if out.message.seq not in closed | with_picture]
    assert [number(out) for out in own] == [out.message.seq for out in own]


def test_closed_groups_are_skipped_without_decoding(units: list[Unit]) -> None:
    harness = Harness(shared=False)
    for unit in units:
        feed(harness, unit)
    harness.span(0, 15, coverage=pb.INCOMPLETE)
    harness.span(16, 23, segment((100, 60, 120, 90)))
    harness.end(24)
    harness.run()
    assert [number(out) for out in harness.out[16:]] == list(range(16, 24))


def test_a_live_frame_whose_picture_never_comes_is_closed_in_time(units: list[Unit]) -> None:
    harness = Harness(shared=False, live=True)
    harness.span(0, 23)
    feed(harness, units[0])
    assert harness.run().out == [], "the decoder holds it back until it knows what is shown before it"
    harness.now += 5
    assert harness.run().only().message.closed
