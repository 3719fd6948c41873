"""What is wrong in a review folder is said with file and line, and nothing wrong is ever read as something else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.embedded.errors import RunError
from services.policy.model import Kind, Mode
from services.policy.problems import ConfigError
from services.review import mot
from services.review.folder import load
from services.review.log import append
from tests.support.reviewed import Edit


def problems(edit: Edit) -> str:
    with pytest.raises(ConfigError) as caught:
        load(edit.folder)
    return str(caught.value).replace(f"{edit.folder}/", "")


def test_an_export_reads_back_as_it_was_written(edit: Edit) -> None:
    loaded = load(edit.folder)
    for state in (loaded.base, loaded.edited):
        face, plate = state.tracks[1], state.tracks[2]
        assert (face.kind, face.mode, plate.kind) == (Kind.FACE, Mode.MOSAIC, Kind.PLATE)
        assert face.at(7) == (17, 20, 47, 60)
        assert plate.at(30) == (200, 150.25, 240, 170)
        assert plate.at(31) is None


def test_labels_and_lines_are_what_cvat_reads(edit: Edit) -> None:
    """MOT 1.1: gt/gt.txt with frame, id, x, y, w, h, not ignored, class, visibility; gt/labels.txt, classes from 1."""
    labels = (edit.folder / "gt" / "labels.txt").read_text().splitlines()
    assert labels == [kind.value for kind in Kind]
    lines = edit.gt.read_text().splitlines()
    assert lines[:2] == ["1,1,11,20,30,40,1,1,1", "1,2,200,150.25,40,19.75,1,2,1"]
    for line in lines:
        fields = line.split(",")
        assert len(fields) == 9
        assert fields[6] == "1", "0 would mean that the line is to be ignored"
        assert labels[int(fields[7]) - 1] in ("face", "plate")


def test_labels_in_another_order_are_read_by_name(edit: Edit) -> None:
    (edit.folder / "gt" / "labels.txt").write_text("car\nplate\nface\n")
    edit.write([[*line[:7], 3 if line[1] == "1" else 2, 1] for line in edit.lines()])
    assert load(edit.folder).edited.tracks[1].kind is Kind.FACE


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("101,3,1,1,9,9,1,1,1", "gt/gt.txt:131:1: there is no frame 101: the video has 100, counted from 1"),
        ("0,3,1,1,9,9,1,1,1", "gt/gt.txt:131:1: there is no frame 0"),
        ("5,3,330,1,9,9,1,1,1", "gt/gt.txt:131:1: track 3 at frame 5: the box lies off the picture of 320×240"),
        ("5,3,1,-30,9,9,1,1,1", "off the picture"),
        ("5,3,-1e9,-1e9,2e9,2e9,1,1,1", "off the picture"),
        ("5,3,1,1,0,9,1,1,1", "width and height must be above 0"),
        ("5,3,1,1,9,-9,1,1,1", "width and height must be above 0"),
        ("5,1,1,1,9,9,1,1,1", "gt/gt.txt:131:1: track 1 is at frame 5 twice, here and in line 9"),
        ("5,3,1,1,9,9,1,8,1", "there is no class number 8; classes are face, plate"),
        ("5,3,1,1,9,9,1,0,1", "there is no class number 0"),
        ("5,1,1,1,9,9,1,2,1", "track 1 has another class here than in line 1"),
        ("5,0,1,1,9,9,1,1,1", "in CVAT: draw tracks, not shapes"),
        ("5,-1,1,1,9,9,1,1,1", "in CVAT: draw tracks, not shapes"),
        ("5.5,3,1,1,9,9,1,1,1", "whole numbers"),
        ("5,3,inf,1,9,9,1,1,1", "not a line of numbers"),
        ("5,3,1,1,9,9", "not a line of numbers"),
        ("five,3,1,1,9,9,1,1,1", "not a line of numbers"),
        ("5,99999999999999999999,1,1,9,9,1,1,1", "number is too large"),
        ("1" * 500, "not a line of numbers"),
    ],
)
def test_a_wrong_line_is_named(edit: Edit, line: str, says: str) -> None:
    edit.gt.write_text(f"{edit.gt.read_text()}{line}\n")
    assert says in problems(edit)
    assert "gt/gt.txt:131" in problems(edit)


def test_a_box_in_the_gap_of_a_track_that_was_numbered_anew_is_named(edit: Edit) -> None:
    edit.review(lambda data: data["tracks"]["2"].update(gaps=[{"first": 10, "last": 12}]))
    edit.write([[line[0], 1, *line[2:]] for line in edit.lines() if line[1] == "2"])
    says = "gt/gt.txt:10:1: track 1 has a box here, but review.json, where it is track 2, has a gap in frames 10–12"
    assert problems(edit) == says


def test_problems_are_not_told_without_end(edit: Edit) -> None:
    edit.gt.write_text("x\n" * 1000)
    told = problems(edit).splitlines()
    assert len(told) <= 22
    assert "and more after this" in problems(edit)


@pytest.mark.parametrize(("bound", "says"), [("LINES_MAX", "more than 50 lines"), ("TRACKS_MAX", "more than 1 tracks")])
def test_i7_more_than_a_person_can_have_written_is_refused(
    edit: Edit, bound: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = mot.read_mot

    def bounded(data: bytes, source: str, *rest: Any) -> Any:
        if "export" not in source:
            monkeypatch.setattr(mot, bound, 50 if bound == "LINES_MAX" else 1)
        return reading(data, source, *rest)

    monkeypatch.setattr("services.review.folder.read_mot", bounded)
    assert says in problems(edit)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data["tracks"]["1"].update(mode="glass"), "tracks.1.mode: must be one of solid, mosaic"),
        (lambda data: data["tracks"]["1"].update(mode="seal"), "a face needs another mode"),
        (lambda data: data["tracks"]["1"].update(kind="ear"), "tracks.1.kind: must be one of face"),
        (lambda data: data["tracks"]["1"].update(colour="red"), "tracks.1.colour: unknown key"),
        (lambda data: data["tracks"].update({"9": data["tracks"]["1"]}), "gt.txt has no line of this track"),
        (lambda data: data["video"].update(sha256="c" * 64), "video: can't be changed here"),
        (lambda data: data.update(closed_frames=[]), "closed_frames: can't be changed here"),
        (lambda data: data["policy"].update(strength=0.5), "policy: is not the policy"),
        (
            lambda data: data.update(opened_frames=[{"first": 49, "last": 52, "reason": "nobody there"}]),
            "frame 49 is not among closed_frames",
        ),
        (
            lambda data: data.update(opened_frames=[{"first": 55, "last": 60, "reason": "nobody there"}]),
            "frame 60 is not among closed_frames",
        ),
        (lambda data: data.update(opened_frames=[{"first": 50, "last": 51}]), "reason: is missing"),
        (lambda data: data.update(opened_frames=[{"first": 50, "last": 51, "reason": "  x "}]), "say why"),
        (
            lambda data: data.update(opened_frames=[{"first": 52, "last": 51, "reason": "nobody there"}]),
            "first must not lie behind last",
        ),
        (
            lambda data: data.update(frames_to_close=[{"first": 90, "last": 101, "reason": "a screen"}]),
            "there is no frame 101",
        ),
        (
            lambda data: data["tracks"]["1"].update(gaps=[{"first": 3, "last": 4}]),
            "gt/gt.txt:5:1: track 1 has a box here, but review.json has a gap in frames 3–4",
        ),
        (
            lambda data: data["tracks"]["1"].update(origins=[{"first": 3, "last": 4, "origin": "detected"}]),
            "it tells what was",
        ),
    ],
)
def test_a_wrong_key_is_named(edit: Edit, change: Callable[[dict[str, Any]], object], says: str) -> None:
    edit.review(change)
    assert says in problems(edit)


def test_json_that_is_none_is_named_by_its_line(edit: Edit) -> None:
    path = edit.folder / "review.json"
    path.write_text(path.read_text().replace('"looks": 10,', '"looks": 10'))
    assert "review.json:9:3: not JSON" in problems(edit)
    path.write_text("[" * 100_000)
    assert "review.json" in problems(edit)


def test_the_line_of_a_problem_in_json_is_that_of_the_track(edit: Edit) -> None:
    path = edit.folder / "review.json"
    path.write_text(path.read_text().replace('"kind": "plate", "mode": "mosaic"', '"kind": "plate", "mode": "glass"'))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "glass" in text)
    assert f"review.json:{line}:" in problems(edit)


@pytest.mark.parametrize("name", ["export/gt/gt.txt", "export/review.json", "export/gt/labels.txt"])
def test_i1_an_export_that_was_touched_compares_with_nothing(edit: Edit, name: str) -> None:
    path = edit.folder / name
    path.write_text(path.read_text() + "\n")
    with pytest.raises(RunError, match="is not as it was exported"):
        load(edit.folder)


@pytest.mark.parametrize("name", ["export/SHA256SUMS", "gt/gt.txt", "review.json", "gt/labels.txt"])
def test_a_folder_that_is_no_review_is_refused(edit: Edit, name: str) -> None:
    (edit.folder / name).unlink()
    with pytest.raises(RunError, match="there is no such file"):
        load(edit.folder)


def test_the_command_says_what_is_wrong_and_ends_with_2(edit: Edit) -> None:
    edit.gt.write_text("x\n")
    result = CliRunner().invoke(app, ["review", "check", str(edit.folder)])
    assert result.exit_code == 2
    assert "gt.txt:1:1: not a line of numbers" in result.output
    result = CliRunner().invoke(app, ["review", "check", str(edit.folder.parent)])
    assert result.exit_code == 2
    assert "veil review export" in result.output


def test_the_command_says_what_becomes_visible(edit: Edit, tmp_path: Path) -> None:
    edit.keep(lambda line: line[1] == "1")
    page = tmp_path / "check.html"
    result = CliRunner().invoke(app, ["review", "check", str(edit.folder), "--page", str(page)])
    assert result.exit_code == 0
    assert "Track 2, a plate, is removed from frames 1–30. Becomes visible: look at frame 15." in result.output
    assert "Track 2, a plate, is removed" in page.read_text()
    assert "data:image" not in page.read_text(), "no masked video, no picture"


def test_the_command_sees_a_record_that_was_changed(edit: Edit) -> None:
    path = edit.folder / "changes.jsonl"
    append(path, [{"by": "A"}, {"by": "B"}])
    assert CliRunner().invoke(app, ["review", "check", str(edit.folder)]).exit_code == 0
    path.write_text(path.read_text().replace('"A"', '"C"'))
    result = CliRunner().invoke(app, ["review", "check", str(edit.folder)])
    assert result.exit_code == 2
    assert "changes.jsonl:2:1" in result.output


def test_i3_no_picture_is_taken_of_a_video_that_is_not_the_masked_one(edit: Edit, tmp_path: Path) -> None:
    edit.keep(lambda line: line[1] == "1")
    (edit.folder / "masked.mp4").write_bytes(b"another")
    page = tmp_path / "check.html"
    result = CliRunner().invoke(app, ["review", "check", str(edit.folder), "--page", str(page)])
    assert result.exit_code == 3
    assert "is not the masked video of this review" in result.output
    assert not page.exists()


def test_review_json_has_a_line_for_each_track(edit: Edit) -> None:
    text = (edit.folder / "review.json").read_text()
    assert (
        sum('"kind": ' in line and '"mode": "mosaic"' in line and "origins" in line for line in text.splitlines()) == 2
    )
    assert json.loads(text)["closed_frames"] == [{"first": 50, "last": 59, "why": "Detector plate failed at frame 49."}]
