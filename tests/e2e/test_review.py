"""`veil review` on output pixels: what is rendered again shows what a person decided, and not a pixel more."""

import base64
import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import services.review.render
from services.cli import app
from services.embedded.errors import ExitCode, RunError
from services.embedded.redact import mask_file
from services.media.encoding import EncodedPicture, H264Encoder
from services.media.picture import Picture
from services.policy.model import Incomplete, Kind, KindRule, Mode, Policy
from services.policy.problems import ConfigError
from services.report.summary import RunSummary
from services.review import capture, log
from services.review.changes import changes
from services.review.export import ExportJob, export_review
from services.review.folder import load
from services.review.page import masked_video, pictures, write_page
from services.review.render import RenderJob, render_review
from tests.support.frames import luma
from tests.support.reviewed import FRAMES, Edit, Knowing, difference, face_at, make, masked
from tests.support.videos import read_number

POLICY = Policy(name="test", kinds={Kind.FACE: KindRule()}, mode=Mode.MOSAIC)
ENCODED = 12
"""Levels by which encoding changes a pixel."""
ELSEWHERE = (200.0, 70.0, 240.0, 110.0)
"""Where nothing is masked."""


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("original") / "street.mp4")


@pytest.fixture(scope="session")
def exported(original: Path) -> Path:
    folder = original.with_name("review")
    export_review(ExportJob(original, folder, POLICY, detectors={"face": Knowing()}))
    return folder


@pytest.fixture(scope="session")
def exported_closed(original: Path) -> Path:
    """The detector failed once in the middle."""
    folder = original.with_name("review-closed")
    detectors = {"face": Knowing(lambda number: 15 <= number < 22)}
    export_review(ExportJob(original, folder, POLICY, detectors=detectors))
    return folder


@pytest.fixture
def edit(exported: Path, tmp_path: Path) -> Edit:
    return Edit(Path(shutil.copytree(exported, tmp_path / "review")))


@pytest.fixture
def edit_closed(exported_closed: Path, tmp_path: Path) -> Edit:
    return Edit(Path(shutil.copytree(exported_closed, tmp_path / "review")))


def render(edit: Edit, original: Path, report: Path | None = None) -> tuple[Path, RunSummary]:
    out = edit.folder.with_name("out.mp4")
    return out, render_review(RenderJob(edit.folder, original, out, "A. Kim", "looked through it", report))


def face_masked(original: Path, out: Path) -> list[bool]:
    return [masked(change, face_at(number)) for number, change in enumerate(difference(original, out))]


def test_without_edits_the_same_pixels_come_out(
    edit: Edit, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, drawn = H264Encoder.encode, []

    def note(self: H264Encoder, picture: Picture, pts: int) -> list[EncodedPicture]:
        drawn.append(picture.data.copy())
        return encode(self, picture, pts)

    monkeypatch.setattr(H264Encoder, "encode", note)
    export_review(ExportJob(original, tmp_path / "again", POLICY, detectors={"face": Knowing()}))
    first = drawn.copy()
    drawn.clear()
    out, summary = render(edit, original)
    assert len(first) == len(drawn) == FRAMES
    # What the encoder makes of the same pictures is not the same to the last bit on a busy machine.
    assert all((a == b).all() for a, b in zip(first, drawn, strict=True))
    assert all((change > ENCODED).mean() < 0.01 for change in difference(edit.folder / "masked.mp4", out))
    assert face_masked(original, out) == [True] * FRAMES
    assert summary.closed == 0
    assert summary.review is not None
    assert summary.review.changes == ()


def test_i5_a_box_that_is_added_masks_these_frames_and_no_others(edit: Edit, original: Path) -> None:
    edit.add(7, {11: ELSEWHERE, 20: ELSEWHERE})
    out, summary = render(edit, original)
    shown = [masked(change, ELSEWHERE) for change in difference(original, out)]
    assert [number + 1 for number, there in enumerate(shown) if there] == list(range(11, 21)), "and those in between"
    assert face_masked(original, out) == [True] * FRAMES
    assert summary.masked == {"face": FRAMES + 10}


def test_i5_the_gap_of_a_track_that_was_numbered_anew_opens_no_other(edit: Edit, original: Path) -> None:
    edit.review(lambda data: data["tracks"]["1"].update(gaps=[{"first": 15, "last": 20}]))
    edit.write([[line[0], 2, *line[2:]] for line in edit.lines() if not 15 <= int(line[0]) <= 20])
    edit.add(1, {1: ELSEWHERE, FRAMES: ELSEWHERE})
    out, _ = render(edit, original)
    assert all(masked(change, ELSEWHERE) for change in difference(original, out))
    assert [number + 1 for number, there in enumerate(face_masked(original, out)) if not there] == list(range(15, 21))


def test_a_box_of_a_kind_that_the_policy_does_not_have_is_masked_too(edit: Edit, original: Path) -> None:
    edit.add(7, {1: ELSEWHERE, FRAMES: ELSEWHERE}, label=6)
    out, summary = render(edit, original)
    assert all(masked(change, ELSEWHERE) for change in difference(original, out))
    assert summary.masked["text"] == FRAMES


def test_a_track_that_is_moved_masks_there_and_no_longer_here(edit: Edit, original: Path) -> None:
    edit.write([[*line[:3], float(line[3]) - 48, *line[4:]] for line in edit.lines()])
    out, summary = render(edit, original)
    for number, change in enumerate(difference(original, out)):
        x1, y1, x2, y2 = face_at(number)
        assert masked(change, (x1, y1 - 48, x2, y2 - 48))
        assert not masked(change, (x1, y1 + 8, x2, y2))
    assert summary.review is not None
    assert [(one.what, one.reveals) for one in summary.review.changes] == [("moved", True)]


def test_a_track_that_is_removed_shows_the_source_and_is_in_the_report(edit: Edit, original: Path) -> None:
    edit.keep(lambda _: False)
    report = edit.folder.with_name("report.html")
    out, summary = render(edit, original, report)
    assert face_masked(original, out) == [False] * FRAMES
    page = report.read_text()
    assert "Track 1, a face, is removed from frames 1–40." in page
    assert "Something is visible that was masked." in page
    assert "A. Kim" in page
    assert "looked through it" in page
    assert "Every frame was checked" not in page
    lines = [json.loads(line) for line in (edit.folder / "changes.jsonl").read_text().splitlines()]
    assert [line["type"] for line in lines] == ["render", "change"]
    assert lines[0]["output"]["sha256"] == summary.output.sha256
    assert (lines[1]["what"], lines[1]["track"], lines[1]["frames"]) == ("removed", 1, [[1, 40]])
    assert all((line["by"], line["reason"]) == ("A. Kim", "looked through it") for line in lines)
    assert all(line["at"] for line in lines)


def test_a_gap_shows_the_source_in_these_frames_and_missing_lines_alone_do_not(edit: Edit, original: Path) -> None:
    edit.keep(lambda line: not 11 <= int(line[0]) <= 20)
    out, summary = render(edit, original)
    assert face_masked(original, out) == [True] * FRAMES
    edit.review(lambda data: data["tracks"]["1"].update(gaps=[{"first": 11, "last": 20}]))
    out.unlink()
    out, summary = render(edit, original)
    bare = [number + 1 for number, there in enumerate(face_masked(original, out)) if not there]
    assert bare == list(range(11, 21))
    assert summary.review is not None
    assert [one.what for one in summary.review.changes] == ["gap"]


def test_another_mode_looks_different(edit: Edit, original: Path) -> None:
    edit.review(lambda data: data["tracks"]["1"].update(mode="solid"))
    out, summary = render(edit, original)
    for number, picture in enumerate(luma(out)):
        x1, y1, x2, y2 = (round(value) for value in face_at(number))
        assert picture[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].max() < 40, "as black as solid is"
    assert summary.review is not None
    assert [one.what for one in summary.review.changes] == ["mode"]


def test_i1_closed_frames_stay_closed(edit_closed: Edit, original: Path) -> None:
    out, summary = render(edit_closed, original)
    closed = json.loads((edit_closed.folder / "review.json").read_text())["closed_frames"]
    assert closed
    assert summary.closed == sum(one["last"] - one["first"] + 1 for one in closed)
    assert set(summary.closed_why) == {one["why"] for one in closed}
    changed = difference(original, out)
    for one in closed:
        for number in range(one["first"] - 1, one["last"]):
            assert masked(changed[number], (0, 60, 320, 240))


def test_i1_taking_frames_out_of_the_list_opens_nothing(edit_closed: Edit, original: Path) -> None:
    edit_closed.review(lambda data: data.update(closed_frames=[]))
    with pytest.raises(ConfigError, match="closed_frames: can't be changed here"):
        render(edit_closed, original)
    assert not edit_closed.folder.with_name("out.mp4").exists()


def test_i1_frames_open_only_by_name_with_a_reason(edit_closed: Edit, original: Path) -> None:
    closed = json.loads((edit_closed.folder / "review.json").read_text())["closed_frames"]
    first = closed[0]["first"]
    opened = {"first": first, "last": first + 1, "reason": "nobody in it but the face that is masked"}
    edit_closed.review(lambda data: data.update(opened_frames=[{**opened, "reason": " "}]))
    with pytest.raises(ConfigError, match="say why"):
        render(edit_closed, original)
    edit_closed.review(lambda data: data.update(opened_frames=[opened]))
    out, summary = render(edit_closed, original)
    changed = difference(original, out)
    bare = [number + 1 for number, change in enumerate(changed) if not masked(change, ELSEWHERE)]
    closed_now = set(range(1, FRAMES + 1)) - set(bare)
    assert closed_now == {n for one in closed for n in range(one["first"], one["last"] + 1)} - {first, first + 1}
    assert masked(changed[first - 1], face_at(first - 1)), "with the masks that are known there"
    assert summary.review is not None
    assert summary.review.opened == 2


def test_i1_frames_that_were_left_out_stay_out(original: Path, tmp_path: Path) -> None:
    policy = POLICY.model_copy(update={"on_incomplete": Incomplete.DROP})
    detectors = {"face": Knowing(lambda number: 15 <= number < 22)}
    edit = Edit(tmp_path / "review")
    first = export_review(ExportJob(original, edit.folder, policy, detectors=detectors))
    assert first.dropped > 0
    closed = load(edit.folder).base.review.closed_frames
    assert sum(one.last - one.first + 1 for one in closed) == first.dropped
    out, summary = render(edit, original)
    assert summary.dropped == first.dropped
    assert len(luma(out)) == len(luma(edit.folder / "masked.mp4")) == FRAMES - first.dropped


def test_frames_closed_by_hand_are_masked_whole(edit: Edit, original: Path) -> None:
    edit.review(lambda data: data.update(frames_to_close=[{"first": 5, "last": 8, "reason": "a screen can be read"}]))
    out, summary = render(edit, original)
    shown = [masked(change, (0, 60, 320, 240)) for change in difference(original, out)]
    assert [number + 1 for number, there in enumerate(shown) if there] == [5, 6, 7, 8]
    assert summary.closed == 4


def test_another_video_is_refused(edit: Edit, original: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(original.read_bytes() + b"\0")
    with pytest.raises(RunError, match="is not the video that was reviewed") as caught:
        render(edit, other)
    assert caught.value.code == ExitCode.INPUT
    assert not (tmp_path / "out.mp4").exists()
    assert not (edit.folder / "changes.jsonl").exists()


def test_the_command_renders_and_says_who_changed_what(edit: Edit, original: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    edit.add(7, {1: ELSEWHERE, 3: ELSEWHERE})
    words = ["review", "render", str(edit.folder), str(original), str(out)]
    answer = ["--by", "A. Kim", "--reason", "a face at the window"]
    assert CliRunner().invoke(app, words).exit_code == ExitCode.USAGE, "nobody answers for it"
    assert CliRunner().invoke(app, [*words, "--by", " ", "--reason", "none at all"]).exit_code == ExitCode.USAGE
    assert CliRunner().invoke(app, [*words, "--by", "A. Kim", "--reason", "-"]).exit_code == ExitCode.USAGE
    assert not out.exists()
    done = CliRunner().invoke(app, [*words, *answer])
    assert done.exit_code == 0
    assert "40 frames, 1 change by A. Kim on record" in done.output
    again = CliRunner().invoke(app, [*words, *answer])
    assert again.exit_code == ExitCode.USAGE
    assert "--overwrite replaces it" in again.output
    other = CliRunner().invoke(app, ["review", "render", str(edit.folder), str(out), str(tmp_path / "2.mp4"), *answer])
    assert other.exit_code == ExitCode.INPUT
    assert log.broken_at((edit.folder / "changes.jsonl").read_bytes()) is None


def test_i3_the_checks_page_shows_what_is_masked_still(edit: Edit, original: Path, tmp_path: Path) -> None:
    edit.keep(lambda _: False)
    loaded = load(edit.folder)
    page = tmp_path / "check.html"
    shown = pictures(loaded, changes(loaded.base, loaded.edited), masked_video(loaded, None))
    write_page(page, loaded, shown)
    (found,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", page.read_text())
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(found), np.uint8), cv2.IMREAD_GRAYSCALE)
    number = shown[0].change.example - 1
    assert read_number(picture) == number, "the very frame that it speaks of"
    x1, y1, x2, y2 = face_at(number)
    inside = (x1 + 3, y1 + 3, x2 - 3, y2 - 3)
    before = luma(original)[number].astype(float)
    assert masked(np.abs(picture - before), inside)
    assert not masked(np.abs(picture - before), ELSEWHERE)


def test_an_export_into_a_folder_that_is_there_touches_nothing(edit: Edit, original: Path) -> None:
    before = {path: path.read_bytes() for path in edit.folder.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="is there already"):
        export_review(ExportJob(original, edit.folder, POLICY, detectors={"face": Knowing()}))
    assert {path: path.read_bytes() for path in edit.folder.rglob("*") if path.is_file()} == before


def test_i7_more_masks_than_anybody_reviews_leave_the_masked_video_and_no_review(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "LINES_MAX", 10)
    job = ExportJob(original, tmp_path / "review", POLICY, tmp_path / "out.mp4", detectors={"face": Knowing()})
    with pytest.raises(RunError, match="cut the video into parts"):
        export_review(job)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert face_masked(original, tmp_path / "out.mp4") == [True] * FRAMES


def test_a_review_beside_a_masking_holds_no_second_video(original: Path, tmp_path: Path) -> None:
    out = tmp_path / "masked.mp4"
    job = ExportJob(original, tmp_path / "review", POLICY, out, detectors={"face": Knowing()})
    export_review(job)
    names = sorted(str(path.relative_to(job.folder)) for path in job.folder.rglob("*") if path.is_file())
    assert names == [
        "export/SHA256SUMS",
        "export/gt/gt.txt",
        "export/gt/labels.txt",
        "export/review.json",
        "gt/gt.txt",
        "gt/labels.txt",
        "review.json",
    ]
    assert masked_video(load(job.folder), out) == out


def test_an_original_that_changes_meanwhile_leaves_no_output(
    edit: Edit, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*arguments: Any) -> RunSummary:
        done = mask_file(*arguments)
        return dataclasses.replace(done, input=dataclasses.replace(done.input, sha256="0" * 64))

    monkeypatch.setattr(services.review.render, "mask_file", changed)
    with pytest.raises(RunError, match="was changed while it was read"):
        render(edit, original)
    assert sorted(path.name for path in edit.folder.parent.iterdir()) == ["review"]


@pytest.mark.parametrize(
    "garbage", [b"\xff\xfe\0garbage", b"1,1,a,b,c,d,1,1,1\n", b"1,1,nan,1,2,2,1,1,1\n", b"," * 3000, b"1\n" * 500]
)
def test_i1_garbage_in_gt_gives_sentences_and_no_output(edit: Edit, original: Path, garbage: bytes) -> None:
    edit.gt.write_bytes(garbage)
    with pytest.raises(ConfigError, match=r"gt\.txt:1"):
        render(edit, original)
    assert not edit.folder.with_name("out.mp4").exists()


def test_no_video_without_a_record(edit: Edit, original: Path) -> None:
    (edit.folder / "changes.jsonl").mkdir()
    with pytest.raises(RunError, match="no video without it"):
        render(edit, original)
    assert sorted(path.name for path in edit.folder.parent.iterdir()) == ["review"]


def test_i1_an_export_that_was_changed_is_refused(edit_closed: Edit, original: Path) -> None:
    """Otherwise anybody could have nothing closed by editing what is compared with."""
    path = edit_closed.folder / "export" / "review.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "closed_frames": []}))
    shutil.copy(path, edit_closed.folder / "review.json")
    with pytest.raises(RunError, match="is not as it was exported"):
        render(edit_closed, original)
