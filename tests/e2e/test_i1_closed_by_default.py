"""I1 and I2 on output pixels: whatever happens to detection, no frame of the real face comes out unmasked."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.detect.interface import Detector
from services.embedded.redact import RedactJob, redact_file
from services.inference.stage import InferenceStage
from services.policy.model import Policy
from services.runtime.stage import Emission
from tests.support.faults import Faulty
from tests.support.frames import luma
from tests.support.similarity import CLEAR, region_similarity

pytestmark = pytest.mark.models


def exposed(source: Path, output: Path, faces: NDArray[np.float64]) -> list[int]:
    """Numbers of the frames whose face still looks like the source."""
    pairs = zip(luma(source), luma(output), faces, strict=True)
    return [i for i, (before, after, box) in enumerate(pairs) if region_similarity(before, after, box) >= CLEAR]


def test_a_video_that_nobody_masked_is_seen_as_exposed(carphone: Path, faces: NDArray[np.float64]) -> None:
    assert exposed(carphone, carphone, faces) == list(range(120)), "otherwise the tests below could not fail"


def test_i1_every_frame_of_the_face_is_masked(
    carphone: Path, faces: NDArray[np.float64], policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    summary = redact_file(RedactJob(carphone, out, policy, detectors=detectors))
    assert exposed(carphone, out, faces) == []
    assert summary.closed == 0, "and that without closing a single frame"
    assert summary.masked["face"] >= 120


@pytest.mark.parametrize("fault", ["raise", "crash", "nan", "score"])
@pytest.mark.parametrize(
    "when",
    [lambda n: n == 0, lambda n: n == 5, lambda n: n >= 5, lambda n: n % 2 == 1],
    ids=["first", "one", "from-5", "odd"],
)
def test_i1_i2_a_failing_detector_closes_frames(
    fault: str,
    when: Callable[[int], bool],
    carphone: Path,
    faces: NDArray[np.float64],
    policy: Policy,
    detectors: Mapping[str, Detector],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.mp4"
    broken = {**detectors, "face": Faulty(detectors["face"], when, fault)}
    summary = redact_file(RedactJob(carphone, out, policy, detectors=broken))
    assert exposed(carphone, out, faces) == []
    assert summary.frames == 120
    assert summary.closed > 0


def test_i1_a_hanging_detector_closes_frames(
    carphone: Path,
    faces: NDArray[np.float64],
    policy: Policy,
    detectors: Mapping[str, Detector],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.embedded.redact._DETECTOR_TIMEOUT_S", 0.5)
    out = tmp_path / "out.mp4"
    slow = {**detectors, "face": Faulty(detectors["face"], lambda n: n == 4, "hang")}
    summary = redact_file(RedactJob(carphone, out, policy, detectors=slow))
    assert exposed(carphone, out, faces) == []
    assert summary.frames == 120
    assert summary.closed > 0
    assert any("too long" in why or "timed out" in why.lower() for why in summary.closed_why)


@pytest.mark.parametrize("missing", ["face", "plate"])
def test_i1_i2_a_missing_detector_closes_every_frame(
    missing: str,
    carphone: Path,
    faces: NDArray[np.float64],
    policy: Policy,
    detectors: Mapping[str, Detector],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.mp4"
    present = {name: detector for name, detector in detectors.items() if name != missing}
    summary = redact_file(RedactJob(carphone, out, policy, detectors=present))
    assert exposed(carphone, out, faces) == []
    assert summary.closed == summary.frames == 120


def test_i1_damaged_access_units_close_frames_and_keep_the_count(
    carphone: Path, faces: NDArray[np.float64], policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.mp4"
    data = bytearray(carphone.read_bytes())
    for start in range(len(data) // 3, len(data) // 2, 5000):
        data[start : start + 200] = bytes(200)
    damaged.write_bytes(data)
    out = tmp_path / "out.mp4"
    summary = redact_file(RedactJob(damaged, out, policy, detectors=detectors))
    assert len(luma(out)) == summary.frames == 120
    assert exposed(carphone, out, faces) == []
    assert summary.closed > 0


def test_i1_i2_lost_detections_close_frames(
    carphone: Path,
    faces: NDArray[np.float64],
    policy: Policy,
    detectors: Mapping[str, Detector],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    completed = InferenceStage.completed
    numbers = count()

    def lossy(stage: InferenceStage) -> Sequence[Emission]:
        emissions = completed(stage)
        return [Emission((), one.done) if next(numbers) % 6 == 3 else one for one in emissions]

    monkeypatch.setattr(InferenceStage, "completed", lossy)
    out = tmp_path / "out.mp4"
    summary = redact_file(RedactJob(carphone, out, policy, detectors=detectors))
    assert exposed(carphone, out, faces) == []
    assert summary.frames == 120
    assert 0 < summary.closed < 120


def test_i1_a_slow_detector_delays_a_file_and_closes_nothing(
    carphone: Path, faces: NDArray[np.float64], policy: Policy, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    slow = {**detectors, "face": Faulty(detectors["face"], lambda _: True, "delay")}
    summary = redact_file(RedactJob(carphone, out, policy, detectors=slow))
    assert exposed(carphone, out, faces) == []
    assert summary.closed == 0
