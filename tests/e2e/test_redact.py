"""`redact_file` as a person would judge it: same length, same times, whole files only, one sentence when it can't."""

from collections.abc import Mapping
from pathlib import Path

import av
import pytest

from services.detect.interface import Detector
from services.embedded.errors import ExitCode, RunError
from services.embedded.redact import Progress, RedactJob, redact_file
from services.policy.model import Policy
from tests.support.frames import times
from tests.support.videos import make_video

pytestmark = pytest.mark.models


def test_count_and_times_equal_the_input(
    carphone: Path, policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    summary = redact_file(RedactJob(carphone, out, policy, detectors=detectors))
    assert summary.frames == 120
    before, after = times(carphone), times(out)
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < 1e-4
    with av.open(str(carphone)) as source, av.open(str(out)) as output:
        assert output.duration == pytest.approx(source.duration, abs=2000), "microseconds"


def test_progress_report_summary_and_metadata(
    carphone: Path, policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    seen: list[Progress] = []
    job = RedactJob(
        carphone,
        tmp_path / "out.mp4",
        policy,
        report=tmp_path / "report.html",
        summary=tmp_path / "summary.json",
        metadata=tmp_path / "metadata.jsonl",
        detectors=detectors,
    )
    summary = redact_file(job, seen.append)
    assert seen[-1].frames == seen[-1].total_frames == 120
    assert seen[-1].masked == summary.masked
    assert {model.detector for model in summary.models} == {"face", "plate"}
    assert summary.tracks["face"] == 1
    assert summary.looks < 60
    assert "<html" in (tmp_path / "report.html").read_text()
    lines = (tmp_path / "metadata.jsonl").read_text().splitlines()
    assert any('"track"' in line and "KIND_FACE" in line for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metadata.jsonl",
        "out.mp4",
        "report.html",
        "summary.json",
    ]


def test_an_input_that_breaks_off_leaves_no_output(
    carphone: Path, policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(carphone.read_bytes()[:1000])
    with pytest.raises(RunError) as caught:
        redact_file(RedactJob(broken, tmp_path / "out.mp4", policy, detectors=detectors))
    assert caught.value.code == ExitCode.INPUT
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.timeout(120)
def test_an_input_that_breaks_off_in_the_middle_leaves_no_output_either(
    carphone: Path, policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mkv"
    with av.open(str(carphone)) as reader, av.open(str(cut), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                writer.mux(packet)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 4])
    with pytest.raises(RunError, match=r"cut\.mkv: ends after") as caught:
        redact_file(RedactJob(cut, tmp_path / "out.mp4", policy, detectors=detectors))
    assert caught.value.code == ExitCode.INPUT
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mkv"]


@pytest.mark.parametrize("name", ["out.mp4", "index.m3u8"])
def test_an_interrupt_leaves_no_output(
    name: str, policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    long = tmp_path / "long.mp4"
    make_video(long, frames=2000, size=(320, 240))

    folder = tmp_path / "masked"
    folder.mkdir()

    def interrupt(progress: Progress) -> None:
        if progress.frames > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        redact_file(RedactJob(long, folder / name, policy, detectors=detectors), interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.mp4", "masked"]
    assert list(folder.iterdir()) == []


def test_the_same_file_is_refused(carphone: Path, policy: Policy, detectors: Mapping[str, Detector]) -> None:
    with pytest.raises(RunError, match="same file"):
        redact_file(RedactJob(carphone, carphone, policy, detectors=detectors))
