"""Fragmented MP4 as written by hand: any player reads it, and its times are the stream's."""

import io

import av
import numpy as np
import pytest

from services.console.fragments import Fragmenter, Part, PartKind, nal_units
from services.media.marking import is_marked
from services.schema import pb
from tests.support.console import units


def parts_of(*epochs: list[pb.RedactedUnit]) -> list[Part]:
    fragmenter = Fragmenter()
    return [part for epoch in epochs for unit in epoch for part in fragmenter.add(unit)]


def decoded(parts: list[Part]) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(b"".join(part.data for part in parts)), format="mp4") as container:
        return list(container.decode(video=0))


def test_a_player_shows_every_picture_at_its_time() -> None:
    parts = parts_of(units("a", 30))
    frames = decoded(parts)
    assert len(frames) == 30
    assert [round(frame.time * 25) for frame in frames if frame.time is not None] == list(range(30))
    assert [part.media_us for part in parts[1:]] == [number * 40_000 for number in range(30)]
    assert parts[0].codec.startswith("avc1.")
    assert is_marked(parts[1].data), "the mark that it is redacted stays in the stream"


def test_each_access_unit_comes_out_at_once() -> None:
    fragmenter = Fragmenter()
    counts = [len(fragmenter.add(unit)) for unit in units("a", 10)]
    assert counts == [2] + [1] * 9


def test_pictures_out_of_order_keep_their_times() -> None:
    made = units("a", 40, live=False)
    assert any(unit.pts != unit.dts for unit in made), "it has B-frames"
    times = [frame.time for frame in decoded(parts_of(made))]
    assert times == sorted(times)
    assert len(times) == 40


def test_time_goes_on_over_epochs_of_any_size() -> None:
    parts = parts_of(units("a", 10), units("a", 10, epoch=2, bright=40), units("a", 10, epoch=3, width=192))
    shown = [part.media_us for part in parts if part.kind is PartKind.FRAGMENT]
    assert np.diff(shown).tolist() == [40_000] * 29
    starts = [part for part in parts if part.kind is PartKind.START]
    assert [(part.width, part.height) for part in starts] == [(160, 96), (192, 96)]


def test_nothing_comes_before_a_keyframe_nor_after_a_gap_until_the_next() -> None:
    made = units("a", 30)
    fragmenter = Fragmenter()
    assert not [part for unit in made[1:5] for part in fragmenter.add(unit)]
    assert [part.kind for part in fragmenter.add(made[10])] == [PartKind.START, PartKind.FRAGMENT]
    fragmenter.skip_to_keyframe()
    assert not fragmenter.add(made[12])
    assert [part.keyframe for part in fragmenter.add(made[20])] == [True]


@pytest.mark.parametrize("code", [b"\0\0\1", b"\0\0\0\1"])
def test_nal_units_of_either_start_code(code: bytes) -> None:
    assert nal_units(code + b"\x67abc" + code + b"\x68d\0" + code + b"\x65e") == [b"\x67abc", b"\x68d", b"\x65e"]
    assert nal_units(b"") == []
