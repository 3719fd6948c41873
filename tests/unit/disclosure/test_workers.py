"""Several processes draw what one would have drawn, within bounds; when one dies, it is said and nothing is left."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.disclosure import chunks
from services.disclosure.account import account_of
from services.disclosure.chunks import Chunk, Cutter, Epoch, cut
from services.disclosure.errors import Unavailable
from services.disclosure.render import Job, render
from services.disclosure.request import Correction, Sight
from services.disclosure.workers import draw_all
from services.policy.model import Kind
from services.schema import pb
from tests.support.disclosures import EPOCH
from tests.support.own_footage import ME, SEES, Footage, Piece, Unit, film, luma, pieces, truth

FRAMES = 100


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[pb.AccessUnit]:
    return film(tmp_path_factory.mktemp("film") / "film.mp4", FRAMES)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk for each group of pictures."""
    monkeypatch.setattr(chunks, "_FRAMES", 25)


def job(policies: Any = None) -> Job:
    sight = Sight(camera="gate", epoch=EPOCH, track=ME, kind=Kind.PERSON, first_seq=5, last_seq=FRAMES - 1)
    why = Correction(camera="gate", epoch=EPOCH, first_seq=48, last_seq=52, why="a mirror")
    return Job(EPOCH, EPOCH + 3600_000_000, [sight], [why], policies or {SEES.fingerprint: SEES}, "kim", "request 1")


@pytest.mark.usefixtures("small")
def test_two_processes_make_the_same_video_as_one(units: list[pb.AccessUnit], tmp_path: Path) -> None:
    footage = Footage({"gate": list(pieces(units, truth(FRAMES)))})
    folders = {workers: tmp_path / str(workers) for workers in (1, 2)}
    for workers, folder in folders.items():
        folder.mkdir()
        (part,) = render(footage, job(), folder, workers).parts
        assert (part.frames, part.open, part.with_subject) == (95, 90, 90)
        assert len(part.stretches) == 1
    one, two = (folder / "video-1.mp4" for folder in folders.values())
    assert one.read_bytes() == two.read_bytes()
    assert account_of(one).read_bytes() == account_of(two).read_bytes()
    assert len(luma(two)) == 95


class Deadly:
    """Ends every process that it is sent to."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


@pytest.mark.usefixtures("small")
def test_when_a_process_dies_it_is_said_and_nothing_is_left(units: list[pb.AccessUnit], tmp_path: Path) -> None:
    footage = Footage({"gate": list(pieces(units, truth(FRAMES)))})
    with pytest.raises(Unavailable, match="has died"):
        render(footage, job({SEES.fingerprint: SEES, "x": Deadly()}), tmp_path, 2)
    assert list(tmp_path.iterdir()) == []


def epoch() -> Epoch:
    given = job()
    return Epoch.of(("gate", EPOCH), truth(FRAMES), given.sights, given.corrections, given.policies)


@pytest.mark.usefixtures("small")
def test_no_more_chunks_are_in_memory_than_processes_need(
    units: list[pb.AccessUnit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is slow to take what is drawn holds up the reading, with one process and with two."""
    read = 0

    def chunked() -> Iterator[Chunk]:
        nonlocal read
        for item in cut(pieces(units, truth(FRAMES)), {EPOCH: epoch()}):
            assert isinstance(item, Chunk)
            read += 1
            yield item

    for workers in (1, 2):
        read = 0
        drawn = draw_all(chunked(), workers)
        next(drawn)
        assert read <= workers + 1
        drawn.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("small")
def test_a_chunk_has_what_it_needs_and_no_more(units: list[pb.AccessUnit]) -> None:
    found = [item for item in cut(pieces(units, truth(FRAMES)), {EPOCH: epoch()}) if isinstance(item, Chunk)]
    assert [(one.first_seq, one.last_seq) for one in found] == [(5, 49), (50, 74), (75, 99)]
    assert [sum(shown for _, shown in one.units) for one in found] == [45, 25, 25]
    # The group before is there for the decoder only.
    assert [len(one.units) for one in found] == [50, 50, 50]
    assert [[number for number, _ in one.corrections] for one in found] == [[0], [0], []]


def test_a_group_that_never_ends_is_cut_and_what_is_behind_it_closed(
    units: list[pb.AccessUnit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded for a camera that sends no keyframes; what can't be decoded then is not shown."""
    monkeypatch.setattr(chunks, "_FRAMES", 30)
    monkeypatch.setattr(chunks, "_FRAMES_MAX", 40)
    monkeypatch.setattr(chunks, "_LEAD_MAX", 20)
    endless = []
    for unit in units:
        copied = pb.AccessUnit()
        copied.CopyFrom(unit)
        copied.keyframe = unit.seq == 0
        if unit.seq:
            copied.ClearField("stream")
        endless.append(copied)
    cutter = Cutter(epoch())
    piece = Piece("gate", EPOCH, [Unit(unit) for unit in endless], ())
    found = [*cutter.take(piece), *cutter.end()]
    assert [sum(shown for _, shown in one.units) for one in found] == [35, 40, 20]
    frames = [frame for _, clips in draw_all(found, 1) for clip in clips for frame in clip.frames]
    assert len(frames) == 95
    # Forty access units in decoding order, of which five come before the subject.
    shown = [frame.seq for frame in frames if not frame.why]
    assert shown[:34] == list(range(5, 39))
    assert len(shown) == 35


def test_what_has_no_keyframe_at_all_is_left_out(units: list[pb.AccessUnit]) -> None:
    piece = Piece("gate", EPOCH, [Unit(unit) for unit in units if 0 < unit.seq < 25], ())
    (chunk,) = [item for item in cut([piece], {EPOCH: epoch()}) if isinstance(item, Chunk)]
    assert list(draw_all([chunk], 1)) == [(chunk, [])]
