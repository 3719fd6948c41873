"""Ctrl-C and SIGTERM: exit code 130, and nothing half-written under any name."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Children hear Ctrl-C even where the tests were started in the background, with that signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.models
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, sent: signal.Signals) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out"
    target.mkdir()
    picture = np.full((480, 640, 3), 90, np.uint8)
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for _ in range(300):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    command = [sys.executable, "-m", "services", "redact", str(source), str(target / "out.mp4")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not any(target.iterdir()) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert any(target.iterdir()), "the run never began to write"
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "error: interrupted; nothing half-written was left\n"
    assert list(target.iterdir()) == []
