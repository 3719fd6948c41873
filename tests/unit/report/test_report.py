"""The report page: what it shows, what it never holds, and that it asks nothing of a network."""

import base64
import dataclasses
import json
import re
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from services.report.chart import WIDTH, chart
from services.report.page import write_report
from services.report.summary import FileFacts, ModelFacts, RunSummary, Timeline, write_summary
from services.report.tally import Tally
from services.report.thumbnails import interesting_times, thumbnails

_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 10 frames per second, one RGB colour a second."""
    path = tmp_path_factory.mktemp("report") / "masked.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "30"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(40):
            picture = np.full((48, 64, 3), _COLOURS[i // 10], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def _tally() -> Tally:
    tally = Tally()
    for i in range(40):
        closed = 10 <= i < 15
        tally.add(
            i / 10, {} if closed else {"face": 2, "plate": int(i >= 30)}, "the face detector failed" if closed else None
        )
    return tally


def _summary(tally: Tally, name: str = "masked.mp4") -> RunSummary:
    return RunSummary(
        input=FileFacts("in.mp4", 2_000_000, "a" * 64),
        output=FileFacts(name, 1_000, "b" * 64),
        started="2025-11-12T14:03:22+00:00",
        duration_s=4.0,
        width=64,
        height=48,
        frame_rate=10.0,
        frames=tally.frames,
        masked=tally.masked,
        tracks={"face": 2, "plate": 1},
        closed=tally.closed,
        dropped=tally.dropped,
        closed_why=tally.closed_why,
        looks=14,
        wall_s=2.0,
        cpu_s=0.8,
        policy="public@0123456789ab",
        policy_words=("Faces and number plates are mosaicked.",),
        settings={"mode": "mosaic", "kinds": {"face": {"threshold": 0.3, "mode": None}, "plate": {}}, "badge": False},
        models=(ModelFacts("face", "centerface", "1+5811f83ce3ed", "MIT"),),
        timeline=tally.timeline(),
        veil="0.1.0",
    )


def test_the_page_tells_counts_reasons_models_and_hashes(tmp_path: Path, video: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, _summary(_tally()), video)
    text = page.read_text(encoding="utf-8")
    for words in (
        "5 of 40 frames could not be checked and were masked whole.",
        '<td>the face detector failed</td><td class="number">5</td>',
        "<b>70</b>",
        "face masks in 2 tracks",
        "plate masks in 1 track<",
        "1+5811f83ce3ed",
        "sha256 " + "a" * 64,
        "sha256 " + "b" * 64,
        "<b>20</b><span>frames per second, 20 ms of one core each",
        "Faces and number plates are mosaicked.",
        "kinds.face.threshold",
        "leaves visible: build, clothes and gait",
        "12 November 2025, 14:03 UTC",
    ):
        assert words in text, words


def test_the_page_asks_nothing_of_a_network_and_runs_nothing(tmp_path: Path, video: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, _summary(_tally()), video)
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href|url|srcset|action)\s*[=(]\s*[\"']?(?!data:image/jpeg;base64,)[\w/#.]", text)
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_i3_every_picture_on_the_page_is_one_of_the_output(tmp_path: Path, video: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, _summary(_tally()), video)
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text(encoding="utf-8"))
    assert len(found) == 8
    for jpeg in found:
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), cv2.IMREAD_COLOR_RGB)
        mean = picture.reshape(-1, 3).mean(axis=0)
        assert min(np.abs(mean - colour).max() for colour in _COLOURS) < 12


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, _summary(_tally(), name="<script>alert(1)</script>.mp4"))
    assert "<script" not in page.read_text(encoding="utf-8")


def test_a_run_without_closed_frames_or_anything_masked(tmp_path: Path) -> None:
    tally = Tally()
    tally.add(0.0, {})
    page = tmp_path / "report.html"
    write_report(page, dataclasses.replace(_summary(tally), tracks={}))
    text = page.read_text(encoding="utf-8")
    assert "Every frame was checked" in text
    assert "plate masks in 0 tracks" in text
    assert "leaves visible: build, clothes and gait, readable signs." in text
    assert "<img" not in text


def test_a_page_that_can_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        write_report(tmp_path / "nowhere" / "report.html", _summary(_tally()))
    assert list(tmp_path.iterdir()) == []


def test_summary_json_has_the_keys_that_scripts_read(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_summary(path, _summary(_tally()))
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["frames"] == 40
    assert data["masked"] == {"face": 70, "plate": 10}
    assert data["closed"] == 5
    assert data["closed_why"] == {"the face detector failed": 5}
    assert data["fps"] == 20
    assert data["cpu_s_per_frame"] == 0.02
    assert data["models"][0]["licence"] == "MIT"
    assert data["timeline"]["masks"]["face"][0] == 6


def test_tally_stays_small_and_loses_nothing_over_a_long_video() -> None:
    tally = Tally()
    for i in range(20_000):
        tally.add(i / 2, {"face": 1}, f"reason {i}" if i % 100 == 0 else None, dropped=i % 200 == 0)
    timeline = tally.timeline()
    assert len(timeline.frames) <= 1024
    assert timeline.step_s == 16
    assert sum(timeline.frames) == sum(timeline.masks["face"]) == 20_000
    assert sum(timeline.closed) == tally.closed == 200
    assert tally.dropped == 100
    assert len(tally.closed_why) == 21
    assert tally.closed_why["other reasons"] == 180


def test_chart_puts_masks_and_closed_stretches_where_they_were() -> None:
    drawn = chart(_tally().timeline(), ["face", "plate"], duration_s=4.0)
    assert [row.kind for row in drawn.rows] == ["face", "plate"]
    assert drawn.rows[0].top == 2
    ((left, width),) = drawn.closed
    assert left == pytest.approx(WIDTH / 4, abs=1)
    assert width == pytest.approx(WIDTH / 8, abs=1)
    assert drawn.ticks[0] == (0, 0)
    assert drawn.ticks[-1] == (WIDTH, 4)


def test_one_closed_frame_in_hours_can_still_be_seen() -> None:
    timeline = Timeline(step_s=16, frames=(240,) * 1000, closed=(0,) * 999 + (1,), masks={})
    ((left, width),) = chart(timeline, [], 16_000).closed
    assert width >= 3
    assert left + width == pytest.approx(WIDTH)


def test_thumbnails_come_from_full_moments_and_show_a_closed_one(video: Path) -> None:
    times = interesting_times(_tally().timeline(), 4)
    assert len(times) == 4
    assert 1.0 <= times[1] < 1.5
    pictures = thumbnails(video, times)
    assert [picture.t_s for picture in pictures] == pytest.approx(times, abs=0.11)


def test_thumbnails_of_something_that_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "masked.mp4"
    path.write_bytes(b"nothing")
    assert thumbnails(path, [0.0]) == []
    assert interesting_times(Timeline(), 8) == []
