"""What each detector costs beside that of faces: `python -m tests.bench.detectors` prints a table.

CPU time of one look in process, the smallest of some runs, at pictures of one street scene in several sizes.
"""

import sys
import time

import av
import cv2
import numpy as np

from deploy.samples import sample
from services.detect.interface import Detector, Image
from services.detect.logo import LogoDetector
from services.inference.load import load_detectors
from tests.support.logos import drawn

_SIZES = ((640, 360), (640, 480), (1280, 720))
_RUNS = 7
_NETWORKS = ("face", "plate", "person", "text")


def main() -> None:
    """Measures and prints."""
    cv2.setNumThreads(1)
    detectors: dict[str, Detector] = dict(load_detectors(_NETWORKS))
    detectors["logo, 1"] = _logos(1)
    detectors["logo, 10"] = _logos(10)
    with av.open(str(sample("bikes.mp4"))) as container:
        scene = next(container.decode(video=0)).to_ndarray(format="rgb24")
    for size in _SIZES:
        picture = cv2.resize(scene, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        costs = {name: _cost(detector, picture) for name, detector in detectors.items()}
        for name, seconds in costs.items():
            ratio = seconds / costs["face"]
            sys.stdout.write(f"{size[0]}×{size[1]}  {name:9} {seconds * 1e3:6.0f} ms  {ratio:4.1f} × face\n")
        sys.stdout.flush()


def _logos(count: int) -> LogoDetector:
    return LogoDetector({f"logo-{i}": drawn(f"AB{i}C", i) for i in range(count)}, "0")


def _cost(detector: Detector, picture: Image) -> float:
    def run() -> float:
        began = time.process_time()
        detector.detect([picture], 600)
        return time.process_time() - began

    return min(run() for _ in range(_RUNS))


if __name__ == "__main__":
    main()
