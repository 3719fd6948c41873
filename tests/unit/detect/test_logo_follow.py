"""Logos that are registered, replaced or spoilt while a service runs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from services.detect import logo_features
from services.detect.interface import DetectorError
from services.detect.logo_folder import LogoError, LogoFolder
from services.detect.logo_follow import FollowedLogos
from services.inference import InferenceSettings, InferenceStage, load_detectors
from services.schema import pb
from tests.support.logos import background, drawn, pasted
from tests.unit.inference.harness import message_of, statuses, wait

OTHER = np.random.default_rng(3).integers(0, 255, (10, 16, 3), np.uint8).repeat(20, 0).repeat(20, 1)
STREET, _ = pasted(background(), OTHER, (480, 270), 0.8)
"""A picture with a logo in it that is not registered at first."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogoFolder:
    monkeypatch.setenv("VEIL_LOGOS", str(tmp_path / "logos"))
    add("acme", drawn(), tmp_path)
    return LogoFolder()


def add(name: str, logo: NDArray[np.uint8], scratch: Path) -> None:
    cv2.imwrite(str(scratch / "in.png"), logo[..., ::-1])
    LogoFolder().add(name, scratch / "in.png")


def count(detector: FollowedLogos) -> int:
    (boxes,) = detector.detect([STREET], 60)
    return len(boxes)


def test_a_logo_added_replaced_or_removed_counts_after_the_next_check(folder: LogoFolder, tmp_path: Path) -> None:
    clock = Clock()
    detector = FollowedLogos(folder, 0.3, 5, clock)
    first = detector.version
    assert count(detector) == 0
    add("other", OTHER, tmp_path)
    clock.now = 4.9
    assert (count(detector), detector.version) == (0, first), "between two checks nothing is looked at"
    clock.now = 5
    assert count(detector) == 1
    assert detector.version == f"1+{folder.read_all()[1]}" != first
    folder.remove("other")
    clock.now = 10
    assert (count(detector), detector.version) == (0, first)
    add("acme", OTHER, tmp_path)
    clock.now = 15
    assert count(detector) == 1, "replaced under its name"


def test_logos_that_have_not_changed_are_not_read_again(folder: LogoFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    detector = FollowedLogos(folder, 0.3, 5, clock)
    monkeypatch.setattr(LogoFolder, "read_all", lambda _: pytest.fail("read again"))
    for clock.now in (5, 10, 15):
        assert count(detector) == 0


def test_only_logos_that_are_new_are_studied(
    folder: LogoFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = FollowedLogos(folder, 0.3, 0.001)
    studied = []
    study = logo_features._features_of
    monkeypatch.setattr(logo_features, "_features_of", lambda logo: studied.append(logo.shape) or study(logo))
    fresh = np.random.default_rng(7).integers(0, 255, (9, 12, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    add("other", fresh, tmp_path)
    count(detector)
    assert studied == [(180, 240, 3)], "a look has little time, and 32 logos take seconds"


def test_i1_a_folder_that_can_not_be_used_fails_every_look_until_it_is_right(
    folder: LogoFolder, tmp_path: Path
) -> None:
    clock = Clock()
    detector = FollowedLogos(folder, 0.3, 5, clock)
    good = (folder.folder / "acme.png").read_bytes()
    for now, spoil in ((5, good[: len(good) // 2]), (10, b"no picture"), (15, None)):
        (folder.folder / "acme.png").unlink()
        if spoil is not None:
            (folder.folder / "acme.png").write_bytes(spoil)
        else:
            (folder.folder / "acme.png").symlink_to(tmp_path / "nowhere.png")
        clock.now = now
        for _ in range(2):
            with pytest.raises(DetectorError, match="acme"):
                count(detector)
    (folder.folder / "acme.png").unlink()
    clock.now = 20
    with pytest.raises(DetectorError, match="no logo is registered: run `veil logo add NAME PICTURE`"):
        count(detector)
    add("other", OTHER, tmp_path)
    clock.now = 25
    assert count(detector) == 1


def test_0_keeps_the_logos_of_the_start(folder: LogoFolder, tmp_path: Path) -> None:
    clock = Clock()
    detector = FollowedLogos(folder, 0.3, 0, clock)
    add("other", OTHER, tmp_path)
    clock.now = 1e6
    assert count(detector) == 0


def test_what_can_not_be_used_at_the_start_is_refused(folder: LogoFolder) -> None:
    folder.remove("acme")
    with pytest.raises(LogoError, match="no logo is registered"):
        FollowedLogos(folder, 0.3, 5)


def test_i1_i2_the_running_stage_says_what_became_of_the_look(folder: LogoFolder, tmp_path: Path) -> None:
    settings = InferenceSettings(logos_recheck_s=0.001, timeout_s=60)
    stage = InferenceStage(settings, load_detectors(["logo"], settings))
    found = [look(stage, 0)]
    add("other", OTHER, tmp_path)
    found.append(look(stage, 1))
    (folder.folder / "other.png").write_bytes(b"spoilt")
    found.append(look(stage, 2))
    stage.close()
    stage.join(5)
    ran, failed = pb.DetectorResult.RAN, pb.DetectorResult.FAILED
    assert found == [({"logo": ran}, 0), ({"logo": ran}, 1), ({"logo": failed}, 0)]


def look(stage: InferenceStage, seq: int) -> tuple[dict[str, int], int]:
    height, width, _ = STREET.shape
    frame = pb.DetectFrame(camera_id="cam", epoch=5, seq=seq, detectors=["logo"], width=width, height=height)
    frame.source_width, frame.source_height, frame.attached = width, height, True
    stage.submit(message_of(pb.DetectMessage(frame=frame), STREET))
    (answer,) = wait(stage, 1, 60)
    return statuses(answer), len(answer.detections.results[0].boxes.score)
