"""How fast a day is searched: `python -m tests.bench.disclosure_find`, in CPU seconds.

A vault in a folder holds a day of a camera at 25 frames a second whose tracker speaks of every fifth frame, with so
many people in view all day. Pictures are two access units for each ten seconds: the search never opens one.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from services.disclosure.find import Search, find
from services.schema import pb
from services.vault.batch import Batch, Item, mark_of
from services.vault.segment import Kind
from services.vault.storer import Storer
from services.vault.vault import Vault
from tests.support.originals import CAMERA, SECOND_US, START_US, Clock, make_vault

_FPS = 25
_SEGMENT_S = 10
_STAYS_S = 40  # how long somebody is in view
_DAY_US = 24 * 3600 * SECOND_US


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--people", type=int, default=2, help="in view at a time, each a face and a body")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # A power cut is not what is measured, and a day is many files.
        os.fsync = lambda _: None
        vault = make_vault(Path(folder), Clock(START_US + _DAY_US), segment_s=_SEGMENT_S)
        _fill(vault, given.hours, given.people)
        spans = sum(1 for path in Path(folder).rglob("*.spans"))
        search = Search([CAMERA], START_US, START_US + given.hours * 3600 * SECOND_US, {}, "bench", "bench")
        began = time.process_time()
        found = find(vault, search)
        spent = time.process_time() - began
    print(
        f"{given.hours} h, {given.people} people in view all the time: {len(found)} tracks in {spans} segments of spans"
    )
    print(f"{spent:.1f} s of CPU on one core, {given.hours * 3600 / spent:.0f} times real time")


def _fill(vault: Vault, hours: int, people: int) -> None:
    storer = Storer(vault.settings, vault.store, vault.index, vault.hours, None, Clock(START_US))
    frames = _SEGMENT_S * _FPS
    for number in range(hours * 3600 // _SEGMENT_S):
        first = number * frames
        units = [_unit(first), _unit(first + frames - 1)]
        _store(storer, "video", [Item(unit.seq, unit.seq, unit.seq, unit.captured_us, True, unit) for unit in units])
        spans = [_span(seq, people) for seq in range(first, first + frames, 5)]
        _store(
            storer,
            "spans",
            [
                Item(mark_of(span.SerializeToString()), span.first_seq, span.last_seq, _at(span.last_seq), False, span)
                for span in spans
            ],
        )


def _store(storer: Storer, kind: Kind, items: list[Item]) -> None:
    storer(Batch(CAMERA, kind, START_US, 0, _DAY_US * 2, 0.0, items))


def _at(seq: int) -> int:
    return START_US + seq * SECOND_US // _FPS


def _unit(seq: int) -> pb.AccessUnit:
    return pb.AccessUnit(camera_id=CAMERA, epoch=START_US, seq=seq, captured_us=_at(seq), keyframe=True, inline=b"x")


def _span(seq: int, people: int) -> pb.RedactionSpan:
    tracks = []
    for place in range(people):
        person = (seq // _FPS + place * _STAYS_S // people) // _STAYS_S * people + place
        x = 200.0 * place + seq % 1000 / 10
        for kind, box in ((pb.KIND_PERSON, (x, 100, x + 100, 400)), (pb.KIND_FACE, (x + 30, 110, x + 60, 150))):
            tracks.append(
                pb.TrackSegment(
                    track_id=2 * person + (kind == pb.KIND_FACE),
                    kind=kind,
                    origin=pb.TrackSegment.DETECTED,
                    score=0.9,
                    first=box,
                    last=box,
                )
            )
    return pb.RedactionSpan(
        camera_id=CAMERA,
        epoch=START_US,
        first_seq=seq,
        last_seq=seq + 4,
        tracks=tracks,
        coverage=pb.COMPLETE,
        policy="busy@000000000000",
    )


if __name__ == "__main__":
    main()
