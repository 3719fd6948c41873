"""What a person changed is told, whatever the tool that it was done with makes of the files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.policy.model import Kind, Mode
from services.review import log
from services.review.changes import Change, changes, middle
from services.review.folder import load
from services.review.identity import same_tracks
from services.review.tracks import ReviewedTrack, say
from tests.support.reviewed import Edit


def made(edit: Edit) -> list[Change]:
    loaded = load(edit.folder)
    return changes(loaded.base, loaded.edited)


def test_nothing_changed(edit: Edit) -> None:
    assert made(edit) == []
    edit.write(sorted(edit.lines(), key=lambda line: (int(line[1]), -int(line[0]))))
    assert made(edit) == [], "whatever the order of the lines"
    edit.write([[*line[:2], *(round(float(value), 1) for value in line[2:6]), 0, line[7]] for line in edit.lines()])
    assert made(edit) == [], "an editor's rounding is no change, nor is a column that is not read"


def test_a_removed_track(edit: Edit) -> None:
    edit.keep(lambda line: line[1] == "1")
    (one,) = made(edit)
    assert (one.what, one.track, one.frames, one.uncovered) == ("removed", 2, ((1, 30),), ((1, 30),))
    assert one.reveals
    assert one.example == 15
    assert one.box == (200, 150.25, 240, 170)
    assert one.before == {"kind": "plate", "mode": "mosaic", "frames": [[1, 30]]}
    assert one.after is None


def test_an_added_track(edit: Edit) -> None:
    edit.add(3, {5: (100, 100, 120, 120), 9: (104, 100, 124, 120)}, label=6)
    (one,) = made(edit)
    assert (one.what, one.track, one.frames, one.reveals) == ("added", 3, ((5, 9),), False)
    assert one.after == {"kind": "text", "mode": "mosaic", "frames": [[5, 9]]}


def test_a_shortened_and_an_extended_track(edit: Edit) -> None:
    edit.keep(lambda line: not (line[1] == "1" and int(line[0]) > 90))
    edit.add(2, {35: (200, 150, 240, 170)}, label=2)
    short, longer = made(edit)
    assert (short.what, short.track, short.frames, short.reveals) == ("shortened", 1, ((91, 100),), True)
    assert (longer.what, longer.track, longer.frames, longer.reveals) == ("extended", 2, ((31, 35),), False)


def test_lines_left_out_are_no_gap_and_a_gap_is(edit: Edit) -> None:
    edit.keep(lambda line: not (line[1] == "1" and 10 <= int(line[0]) <= 20))
    assert made(edit) == []
    edit.review(lambda data: data["tracks"]["1"].update(gaps=[{"first": 10, "last": 20}]))
    (one,) = made(edit)
    assert (one.what, one.frames, one.reveals) == ("gap", ((10, 20),), True)


def test_a_moved_box_tells_how_far_and_what_it_uncovers(edit: Edit) -> None:
    edit.write([[*line[:2], float(line[2]) + 25 * (line[:2] == ["42", "1"]), *line[3:]] for line in edit.lines()])
    (one,) = made(edit)
    assert (one.what, one.frames, one.uncovered) == ("moved", ((42, 42),), ((42, 42),))
    assert "by up to 25 pixels (frame 42)" in one.text
    assert one.before == [52, 20, 30, 40]
    assert one.after == [77, 20, 30, 40]
    assert one.box == (52, 20, 82, 60)


def test_a_box_that_grows_uncovers_nothing(edit: Edit) -> None:
    edit.write([[*line[:4], float(line[4]) + 10, *line[5:]] for line in edit.lines()])
    assert [(one.what, one.reveals) for one in made(edit)] == [("moved", False), ("moved", False)]


@pytest.mark.parametrize(
    ("change", "what", "before", "after"),
    [
        (lambda data: data["tracks"]["1"].update(mode="solid"), "mode", "mosaic", "solid"),
        (lambda data: data["tracks"]["1"].update(kind="head"), "kind", "face", "head"),
    ],
)
def test_another_mode_and_another_kind(
    edit: Edit, change: Callable[[dict[str, Any]], object], what: str, before: str, after: str
) -> None:
    edit.review(change)
    (one,) = made(edit)
    assert (one.what, one.track, one.before, one.after) == (what, 1, before, after)


def test_another_class_in_gt_is_another_kind(edit: Edit) -> None:
    edit.write([[*line[:7], 3 if line[1] == "1" else 2, 1] for line in edit.lines()])
    (one,) = made(edit)
    assert (one.what, one.before, one.after) == ("kind", "face", "person")


def test_tracks_numbered_anew_are_known_by_where_they_are(edit: Edit) -> None:
    edit.review(lambda data: data.update(tracks={}))
    edit.write([[line[0], {"1": 2, "2": 1}[line[1]], *line[2:]] for line in edit.lines()])
    assert [(one.what, one.before, one.after) for one in made(edit)] == [("renumbered", 1, 2), ("renumbered", 2, 1)]


def renumber(edit: Edit, numbers: dict[str, int]) -> None:
    edit.write([[line[0], numbers[line[1]], *line[2:]] for line in edit.lines()])


def test_with_one_track_taken_out_the_others_are_known_under_their_new_numbers(edit: Edit) -> None:
    edit.review(lambda data: data["tracks"]["2"].update(mode="solid", gaps=[{"first": 10, "last": 12}]))
    edit.keep(lambda line: line[1] == "2" and not 10 <= int(line[0]) <= 12)
    renumber(edit, {"2": 1})
    told = [(one.what, one.track, one.before, one.after) for one in made(edit)]
    assert told[0] == ("renumbered", 1, 2, 1)
    assert [what for what, *_ in told] == ["renumbered", "mode", "gap", "removed"]
    assert told[-1][1] == 1, "by its number in the export"
    plate = load(edit.folder).edited.tracks[1]
    assert (plate.kind, plate.mode) == (Kind.PLATE, Mode.SOLID), "mode and gaps have come along"
    assert plate.at(11) is None
    assert plate.at(13) is not None


def test_i5_a_new_track_under_the_number_of_another_gets_nothing_of_it(edit: Edit) -> None:
    edit.review(lambda data: data["tracks"]["1"].update(mode="blur", gaps=[{"first": 50, "last": 60}]))
    edit.keep(lambda line: line[1] == "2" or not 50 <= int(line[0]) <= 60)
    renumber(edit, {"1": 7, "2": 2})
    edit.add(1, {50: (250, 100, 290, 140), 60: (250, 100, 290, 140)})
    tracks = load(edit.folder).edited.tracks
    assert (tracks[1].mode, tracks[1].gaps) == (Mode.MOSAIC, ())
    assert tracks[1].at(55) is not None
    assert (tracks[7].mode, tracks[7].gaps) == (Mode.BLUR, ((50, 60),))


def test_tracks_that_touch_are_not_taken_for_each_other() -> None:
    def track(number: int, x: float, side: float = 30) -> ReviewedTrack:
        frames = np.arange(1, 31, dtype=np.int64)
        boxes = np.tile([x, 20.0, x + side, 20 + side], (30, 1))
        return ReviewedTrack(number, Kind.FACE, Mode.MOSAIC, frames, boxes, (), 1)

    base = {number: track(number, 20 * number) for number in (1, 2, 3)}
    assert same_tracks(base, {1: track(1, 40), 2: track(2, 60)}) == {1: 2, 2: 3}
    assert same_tracks(base, {1: track(1, 20), 2: track(2, 50), 3: track(3, 60)}) == {1: 1, 2: 2, 3: 3}, "moved"
    base = {1: track(1, 20), 2: track(2, 90, side=50)}
    assert same_tracks(base, {1: track(1, 200)}) == {1: 1}, "moved far away"
    assert same_tracks(base, {1: track(1, 200, side=50)}) == {1: 2}, "and numbered anew"


def test_what_an_editors_library_makes_of_the_text_is_no_change(edit: Edit) -> None:
    """Datumaro reads 32 bit, rounds to the hundredth, writes all digits of that, CRLF, and labels without an end."""
    numbers = [[float(np.float32(round(float(value), 2))) for value in line[2:6]] for line in edit.lines()]
    rows = [[*line[:2], *box, 1, line[7], "1.0"] for line, box in zip(edit.lines(), numbers, strict=True)]
    edit.gt.write_bytes("".join(",".join(map(str, row)) + "\r\n" for row in rows).encode())
    labels = edit.gt.with_name("labels.txt")
    labels.write_text(labels.read_text().rstrip("\n"))
    assert made(edit) == []


def test_opened_and_closed_frames(edit: Edit) -> None:
    opened = {"first": 50, "last": 52, "reason": "nobody there"}
    closed = {"first": 7, "last": 7, "reason": "a screen can be read"}
    edit.review(lambda data: data.update(opened_frames=[opened], frames_to_close=[closed]))
    first, second = made(edit)
    assert (first.what, first.frames, first.reveals) == ("opened", ((50, 52),), True)
    assert first.before == "Detector plate failed at frame 49."
    assert second.text == "Frame 7 is masked whole: a screen can be read"
    assert not second.reveals


def test_words_for_frames() -> None:
    assert say([(3, 3)]) == "frame 3"
    assert say([(3, 9), (12, 12), (40, 44)]) == "frames 3–9, 12 and 40–44"
    assert say([(n, n) for n in range(1, 20, 2)]) == "frames 1, 3, 5, 7, 9, 11 and 4 more stretches"
    assert middle([(1, 2), (10, 12)]) == 10


def test_the_record_shows_that_a_line_was_changed_or_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    log.append(path, [{"n": 1}, {"n": 2}])
    log.append(path, [{"n": 3}])
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    assert [json.loads(line)["n"] for line in lines] == [1, 2, 3]
    assert json.loads(lines[2])["previous"] == hashlib.sha256(lines[1]).hexdigest()
    assert log.broken_at(data) is None
    assert log.broken_at(data.replace(b'"n": 2', b'"n": 4')) == 3
    assert log.broken_at(lines[0] + lines[2]) == 2
    assert log.broken_at(lines[1] + lines[2]) == 1
    assert log.broken_at(data + b"x\n") == 4
