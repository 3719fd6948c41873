"""What the bench measures with: processes, memory over time, slopes, and looped video."""

import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.bench.processes import Residence, Usage, measured, residence
from tests.bench.run import Clip, Runs, cut, per_frame, summary, whole
from tests.bench.soak import looped
from tests.support.scenes import VideoWriter


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_cpu_time_is_told_from_wall_time() -> None:
    asleep = measured(python("import time; time.sleep(0.6)"))
    busy = measured(python("import time\nwhile time.process_time() < 0.6: pass"))
    assert asleep.wall_s > 0.6
    assert asleep.cpu_s < 0.4
    assert 0.6 <= busy.cpu_s < 1.2


def test_cost_of_children_is_included() -> None:
    child = "import time\nwhile time.process_time() < 0.5: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    assert measured(python(code)).cpu_s >= 0.5


def test_peak_memory_is_the_programs_own() -> None:
    ballast = np.ones(200 * 2**20, np.uint8)
    small, large = measured(python("pass")), measured(python("b = b'x' * (100 << 20)"))
    assert ballast.nbytes > 0
    assert small.peak_rss_mb < 60
    assert 100 < large.peak_rss_mb < 160


def test_a_failing_program_is_named_with_its_last_words() -> None:
    with pytest.raises(RuntimeError, match="ended with 3: no such thing"):
        measured(python("import sys; print('no such thing', file=sys.stderr); sys.exit(3)"))


def test_growth_is_the_slope_of_the_second_half() -> None:
    seconds = np.arange(0.0, 120.0)
    filling = np.where(seconds < 60, seconds * 5, 300 + (seconds - 60) * 0.5)
    assert Residence(seconds, filling, finished=True).growth_mb_per_min == pytest.approx(30)


def test_a_growing_program_is_seen_growing_and_stopped() -> None:
    code = "import time\nheld = []\nwhile True: held.append(b'x' * (1 << 20)); time.sleep(0.05)"
    grown = residence(python(code), limit_s=2.5, every_s=0.1)
    assert not grown.finished
    assert grown.growth_mb_per_min > 300


def test_a_further_frame_costs_the_slope() -> None:
    clip = Clip("c", Path("s"), Path("w"), 100, 300, None)

    def runs(start: float, each: float) -> Runs:
        noisy = [1.0, 9.0, 0.9]
        short = [Usage(start + 100 * each * n, 1, 10) for n in (1.0, 9.0, 0.9)]
        return Runs(short, [Usage(start + 300 * each * n, 3, 10) for n in noisy])

    programs = {"veil": runs(2.0, 0.02), "deface": runs(1.0, 0.16), "floor": runs(1.0, 0.016)}
    assert per_frame(programs["veil"], clip, "cpu_s") == pytest.approx(0.02)
    assert whole(programs["veil"], clip, "cpu_s") == pytest.approx(8 / 300)
    figures = summary(programs, clip)
    assert figures["deface_over_veil"] == 8
    assert figures["veil_over_floor"] == 1.25
    assert figures["whole_process"] == {"deface_over_veil": round(49 / 8, 3), "veil_over_floor": round(8 / 5.8, 3)}


def test_a_looped_video_runs_on_evenly(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 64, 48, 25) as writer:
        for level in range(12):
            writer.write(np.full((48, 64, 3), 20 * level, np.uint8))
    looped(tmp_path / "a.mp4", tmp_path / "b.mp4", 3)
    with av.open(str(tmp_path / "b.mp4")) as container:
        frames = [(frame.pts, int(frame.to_ndarray()[0, 0])) for frame in container.decode(video=0)]
    assert len(frames) == 36
    assert len({b[0] - a[0] for a, b in pairwise(frames)}) == 1
    assert [level for _, level in frames[12:24]] == pytest.approx([level for _, level in frames[:12]], abs=3)


def test_a_cut_keeps_the_first_frames(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 64, 48, 25) as writer:
        for level in range(9):
            writer.write(np.full((48, 64, 3), 20 * level, np.uint8))
    assert cut(tmp_path / "a.mp4", tmp_path / "b.mp4", 4) == 4
    assert cut(tmp_path / "a.mp4", tmp_path / "c.mp4", 99) == 9
