"""How well what moves is masked without a model: `python -m tests.eval.motion`.

On the street camera with truth (PETS 2009 S2L1, boxes of MOT15): person-frames hidden through the whole line, what else
is masked, frames closed, and the cost of a look against one for faces.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from services.embedded.redact import RedactJob, redact_file
from services.inference.load import load_detectors
from services.media.background import Background
from services.policy.loader import load_policy
from services.policy.yamltree import Layer
from tests.eval.exposure import Exposure, by_pixels
from tests.eval.persons import person_video
from tests.support.scenes import Truth, truth_path

_LOOKS = 40


def exposure(folder: Path, profile: str) -> tuple[Exposure, int, int]:
    """Masks the video by the kind motion. Returns what is exposed, frames closed, and frames."""
    video = person_video(folder)
    policy = load_policy("public", Layer.of({"kinds": ["motion"], "profile": profile}, "evaluation"))
    output = folder / f"{profile}.mp4"
    summary = redact_file(RedactJob(video, output, policy))
    return by_pixels(video, output, Truth.load(truth_path(video))), summary.closed, summary.frames


def cost_ratio() -> float:
    """CPU time of a look for motion, as a share of that of a look for faces at the usual size."""
    cv2.setNumThreads(1)
    dice = np.random.default_rng(0)
    scene = cv2.resize(dice.integers(40, 200, (72, 96), np.uint8), (768, 576), interpolation=cv2.INTER_CUBIC)
    pictures = [np.roll(scene, 3 * number, 1) if number % 9 == 8 else scene.copy() for number in range(_LOOKS)]
    for number, picture in enumerate(pictures):
        picture[200:400, 10 * number : 10 * number + 80] = 30
    background, faces = Background(), load_detectors(("face",))["face"]
    colour = [np.repeat(picture[..., None], 3, axis=2) for picture in pictures]
    motion_s = _median_s(lambda number: background.look(pictures[number], 0.3 * number))
    return motion_s / _median_s(lambda number: faces.detect([colour[number]], 10))


def _median_s(look: Callable[[int], object]) -> float:
    took = []
    for number in range(_LOOKS):
        began = time.process_time()
        look(number)
        took.append(time.process_time() - began)
    return float(np.median(took))


def main() -> None:
    """Prints the table."""
    print("profile   hidden  over-masked  closed")
    with tempfile.TemporaryDirectory() as folder:
        for profile in ("evidence", "live"):
            found, closed, frames = exposure(Path(folder), profile)
            print(f"{profile:9} {found.recall('person'):6.3f}  {found.over_masked:11.3f}  {closed} of {frames}")
    print(f"a look costs {cost_ratio():.2f} of one for faces")


if __name__ == "__main__":
    main()
