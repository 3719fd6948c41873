"""What a person changed is told, whatever the tool that it was done with makes of the files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.review import log
from services.review.changes import Change, changes, middle
from services.review.folder import load
from services.review.tracks import say
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
