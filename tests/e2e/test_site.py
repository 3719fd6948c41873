"""`run_site`: several cameras in one process, live, each masked by its own policy, stopped cleanly."""

import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from services.detect.interface import Detector
from services.embedded.errors import ExitCode, RunError
from services.embedded.site import run_site
from services.policy.site import load_site
from tests.support.frames import luma
from tests.support.rtsp_camera import RtspCamera
from tests.support.rtsp_server import Receiver
from tests.support.similarity import CLEAR, region_similarity

pytestmark = pytest.mark.models

SITE = """\
name: test
policy: {policy}
cameras:
  - id: hall
    source: {video}
    loop: true
    outputs: {{mp4: hall.mp4, hls: hall}}
  - id: gate
    source: {video}
    loop: true
    overrides: {{mode: solid}}
    outputs: {{mp4: gate.mp4}}
"""


def run_for(site: Path, seconds: float, detectors: Mapping[str, Detector]) -> None:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    began = time.monotonic()
    run_site(load_site(site), stop, detectors=detectors)
    assert time.monotonic() - began < seconds + 15, "a stop is prompt"


def test_i1_i7_two_live_cameras_are_masked_recorded_and_stopped(
    carphone: Path, faces: NDArray[np.float64], detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE.format(policy="store", video=carphone))
    run_for(site, 8, detectors)
    source = luma(carphone)
    for camera in ("hall", "gate"):
        recordings = sorted(tmp_path.glob(f"{camera}-*.mp4"))
        assert recordings, "a live recording carries the time of its epoch"
        shown = 0
        for recording in recordings:
            frames = luma(recording)
            shown += len(frames)
            for before, after, box in zip(source, frames, faces, strict=False):
                assert region_similarity(before, after, box) < CLEAR
        assert 60 < shown < 260, "about eight seconds of 30 frames, in the camera's own time"
    playlist = (tmp_path / "hall" / "index.m3u8").read_text()
    segments = [line for line in playlist.splitlines() if line.endswith(".ts")]
    assert segments
    with av.open(str(tmp_path / "hall" / segments[-1])) as segment:
        assert sum(1 for _ in segment.decode(video=0)) > 0


def test_a_port_that_is_taken_is_told(detectors: Mapping[str, Detector], tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("name: x\ncameras: [{id: hall, source: none.mp4, outputs: {mp4: hall.mp4}}]\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RunError, match=f"can't listen on port {port}: address already in use") as caught:
            run_site(load_site(site), threading.Event(), health_port=port, detectors=detectors)
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.timeout(60)
def test_a_site_whose_only_file_is_missing_ends_with_one_sentence(
    detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("name: x\ncameras: [{id: hall, source: none.mp4, outputs: {mp4: hall.mp4}}]\n")
    with pytest.raises(RunError, match=r"camera hall: .*none\.mp4: there is no such file") as caught:
        run_site(load_site(site), threading.Event(), detectors=detectors)
    assert caught.value.code == ExitCode.INPUT


LIVE = """\
name: test
cameras:
  - id: gate
    source: {source}
    outputs: {{rtsp: {target}, mp4: gate.mp4}}
"""


def test_i1_a_live_camera_goes_in_and_out_over_rtsp_and_comes_back_after_a_break(
    carphone: Path, faces: NDArray[np.float64], detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    video = tmp_path / "camera.h264"
    source = _without_b_frames(carphone, video)
    site = tmp_path / "site.yaml"
    with RtspCamera(video, hang_up_after=[70], silent_at_end=True, pause_s=1 / 30) as camera, Receiver() as receiver:
        site.write_text(LIVE.format(source=camera.url, target=receiver.url))
        run_for(site, 10, detectors)
    assert camera.connections >= 2, "it was opened again after the break"
    recordings = sorted(tmp_path.glob("gate-*.mp4"))
    assert len(recordings) >= 2, "each connection is an epoch of its own"
    assert receiver.pictures > 60
    for recording in recordings:
        for before, after, box in zip(source, luma(recording), faces, strict=False):
            assert region_similarity(before, after, box) < CLEAR
    for after in receiver.shown[::7]:
        likeness = [region_similarity(before, after, box) for before, box in zip(source[::3], faces[::3], strict=True)]
        assert max(likeness) < CLEAR


def _without_b_frames(video: Path, raw: Path) -> list[NDArray[np.uint8]]:
    """Writes the video as cameras send it; returns the luma of its pictures."""
    with av.open(str(video)) as reader, av.open(str(raw), "w", format="h264") as writer:
        stream = writer.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        stream.options = {"bf": "0", "crf": "18", "g": "30", "tune": "zerolatency"}
        for frame in reader.decode(video=0):
            frame.pict_type = 0
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return luma(raw)
