"""The floor: decode, detector calls, encode in one bare loop, and nothing else.

`python -m tests.bench.floor SOURCE OUTPUT --looks N` makes the same number of detector calls as Veil made, on pictures
of the same size, spread evenly, and compresses with Veil's own settings. It masks nothing.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av
import cv2
from av.video.reformatter import Interpolation, VideoReformatter

from services.encoder.settings import EncoderSettings
from services.inference.load import load_detectors
from services.policy.model import Policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--looks", type=int, required=True, help="frames that detectors see")
    parser.add_argument("--frames", type=int, required=True, help="frames of the source")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    policy = Policy(name="floor")
    detectors = load_detectors(policy.detectors)
    encoder = EncoderSettings()
    reformatter = VideoReformatter()
    with av.open(str(options.source)) as reader, av.open(str(options.output), "w") as writer:
        video = reader.streams.video[0]
        video.thread_count = 1
        rate = Fraction(video.average_rate or 25)
        made = writer.add_stream("libx264", rate=rate)
        made.width, made.height, made.pix_fmt = video.width, video.height, "yuv420p"
        made.thread_count = encoder.threads
        made.gop_size = round(rate * encoder.keyframe_s)
        made.options = {"preset": encoder.preset, "crf": str(encoder.crf)}
        scale = policy.detection.side_for(video.width, video.height) / max(video.width, video.height)
        width, height = round(video.width * scale), round(video.height * scale)
        for number, frame in enumerate(reader.decode(video)):
            if (number + 1) * options.looks // options.frames > number * options.looks // options.frames:
                small = reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA)
                picture = small.to_ndarray()
                for detector in detectors.values():
                    detector.detect([picture], timeout_s=30.0)
            frame.pict_type = 0
            writer.mux(made.encode(frame))
        writer.mux(made.encode(None))


if __name__ == "__main__":
    main()
