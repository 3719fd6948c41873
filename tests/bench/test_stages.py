"""The stages by themselves: a clip goes through all of them, and every frame comes out."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.bench.calibrate import policy, sizes
from tests.bench.stages import run

FRAMES = 30


def clip(path: Path) -> Path:
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        stream.options = {"tune": "zerolatency"}
        for number in range(FRAMES):
            picture = np.random.default_rng(number).integers(0, 255, (192, 320, 3), np.uint8)
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        writer.mux(stream.encode(None))
    return path


def test_every_frame_and_look_goes_through_every_stage(tmp_path: Path) -> None:
    video = clip(tmp_path / "clip.mp4")
    separate, fused = (run(video, policy(), attached=attached) for attached in (False, True))
    for found in (separate, fused):
        assert found.frames == FRAMES
        assert 3 <= found.looks <= FRAMES
        # And the end of the stream on each.
        assert found.records["video.source"] == found.records["video.redacted"] == FRAMES + 1
        assert found.records["frames.detect"] == found.records["detections"] == found.looks + 1
        assert found.size["video.source"] > found.payload
        assert all(seconds >= 0 for seconds in found.cpu_s.values())
        assert found.cpu_s["encoder"] > 0
    assert separate.size["video.rendered"] > 10 * fused.size["video.rendered"]
    assert all(value >= 0 for value in sizes(separate).values())
