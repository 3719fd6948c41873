"""What each kind and each mode costs: milliseconds of one core, and as a share of decoding and encoding a frame.

The camera is 1920×1080 at 25 frames a second. Kinds: one look at the size that a policy without further words asks for,
and what that comes to for each frame at its default cadence when much moves. Modes: one frame with so many boxes of
known tracks, its copy included. CPU time, medians; whatever is not installed here is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from deploy.samples import sample
from services.detect.catalogue import ModelMissing
from services.detect.interface import Detector, DetectorError
from services.detect.logo import LogoDetector
from services.encoder.settings import EncoderSettings
from services.inference.load import load_detectors
from services.media.background import Background
from services.media.masks import Shades, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Kind, Mode, Policy
from tests.support.logos import drawn

_WIDTH, _HEIGHT, _FPS = 1920, 1080, 25
_FRAMES = 30
_BOXES = (1, 4, 16)
_BOX = {False: (60, 80), True: (90, 220)}  # width, height in pixels: of a face, of a body
_ROUNDS = 15


def measure(*, short: bool = False, say: Callable[[str], None] = print) -> dict[str, object]:
    """The section of eval.json."""
    say("cost")
    frames = _frames(_FRAMES)
    base = decode_and_encode(frames)
    return {
        "decode_and_encode_ms": round(base, 3),
        "kinds": {name: _shares(costs, base) for name, costs in kinds(frames)},
        "modes": {name: _shares(costs, base) for name, costs in modes(frames[0])},
    }


def _shares(costs: Mapping[str, float], base: float) -> dict[str, dict[str, float]]:
    return {what: {"ms": round(ms, 3), "share": round(ms / base, 4)} for what, ms in costs.items()}


def _frames(number: int) -> list[NDArray[np.uint8]]:
    """RGB frames of road traffic in the camera's size."""
    with av.open(str(sample("bikes.mp4"))) as reader:
        found = [frame.to_ndarray(format="rgb24") for frame in islice(reader.decode(video=0), number)]
    return [cv2.resize(frame, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC) for frame in found]


def decode_and_encode(frames: Sequence[NDArray[np.uint8]]) -> float:
    """Milliseconds for each frame, with the encoder's own settings and one thread."""
    planes = [cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420) for frame in frames]
    with TemporaryDirectory(prefix="veil-cost-") as folder:
        path = Path(folder) / "camera.mp4"
        both = _median_ms(lambda: _encode(planes, path), 3) + _median_ms(lambda: _decode(path), 3)
    return both / len(frames)


def _encode(planes: Sequence[NDArray[np.uint8]], path: Path) -> None:
    settings = EncoderSettings()
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=Fraction(_FPS))
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        stream.thread_count = settings.threads
        stream.gop_size = round(_FPS * settings.keyframe_s)
        stream.options = {"preset": settings.preset, "crf": str(settings.crf)}
        for plane in planes:
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(plane, format="yuv420p")))
        writer.mux(stream.encode(None))


def _decode(path: Path) -> None:
    with av.open(str(path)) as reader:
        reader.streams.video[0].thread_count = 1
        for _ in reader.decode(video=0):
            pass


def kinds(frames: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[str, dict[str, float]]]:
    """Every kind whose detector is installed: one look, and its part of each frame."""
    for kind in Kind:
        policy = Policy(name="cost", kinds={kind: {}})
        try:
            look = _motion(frames) if kind is Kind.MOTION else _detection(kind, policy, frames[0])
        except (ModelMissing, DetectorError, KeyError):
            continue
        frames_between = max(policy.detection.every_min, *(every * _FPS for every in policy.intervals.values()))
        yield kind.value, {"look": look, "frame": look / frames_between}


def _detection(kind: Kind, policy: Policy, frame: NDArray[np.uint8]) -> float:
    """One look at a picture of the usual size; for one logo, registered or not."""
    detectors: Mapping[str, Detector] = (
        {"logo": LogoDetector({"drawn": drawn()}, "0")} if kind is Kind.LOGO else load_detectors(policy.detectors)
    )
    side = policy.detection.side_for(_WIDTH, _HEIGHT)
    small = cv2.resize(frame, (side, round(side * _HEIGHT / _WIDTH)), interpolation=cv2.INTER_AREA)
    return sum(_median_ms(partial(each.detect, [small], 60.0)) for each in detectors.values())


def _motion(frames: Sequence[NDArray[np.uint8]]) -> float:
    """One look at the next of the camera's own pictures."""
    background = Background()
    views = cycle([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    times = count()
    return _median_ms(lambda: background.look(next(views), next(times) / _FPS))


def modes(frame: NDArray[np.uint8]) -> Iterator[tuple[str, dict[str, float]]]:
    """Every mode that masks: one frame with so many boxes."""
    own = Picture(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420))
    for mode in Mode:
        try:
            yield mode.value, {f"{number} boxes": _masking(own, mode, number) for number in _BOXES}
        except ValueError:  # named in the policy's model, not drawn yet
            continue


def _masking(own: Picture, mode: Mode, number: int) -> float:
    width, height = _BOX[mode.shows_body]
    across = 8
    corners = [(40 + 230 * (index % across), 60 + 480 * (index // across)) for index in range(number)]
    boxes = np.array([(x, y, x + width, y + height) for x, y in corners], np.float64)
    bounds = outer_bounds(boxes, np.full(number, 0.15), own.width, own.height)
    shades = Shades()
    return _median_ms(lambda: mask(own.copy(), bounds, range(number), [mode.value] * number, 1.0, shades))


def _median_ms(work: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """CPU time of this process; the first round, which loads and allocates, is not counted."""
    took = []
    for _ in range(rounds + 1):
        start = process_time()
        work()
        took.append(1e3 * (process_time() - start))
    return median(took[1:])


def table(section: Mapping[str, Any]) -> Table:
    """Kinds, then modes."""
    base = section["decode_and_encode_ms"]
    made = Table(
        title="Cost, 1920×1080, one core", caption=f"100 % is decoding and encoding one frame: {base:.1f} ms here"
    )
    for heading in ("what", "ms", "of decode and encode"):
        made.add_column(heading, justify="left" if heading == "what" else "right")
    for group in ("kinds", "modes"):
        for name, costs in section[group].items():
            for what, cost in costs.items():
                made.add_row(f"{name}, {what}", f"{cost['ms']:.2f}", f"{cost['share']:.1%}")
        made.add_section()
    return made
