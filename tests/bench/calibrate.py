"""Measures what `veil plan` reckons with: `python -m tests.bench.calibrate [--stack FILE] [--out FILE]`.

CPU time of the real stages on one clip in two sizes (tests/bench/stages.py), of each detector's look at two sizes, and
the bytes of every topic. A cost is a straight line through the two: so much for each frame or look, and so much for
each megapixel. What a process, a record and the broker take beside that comes from the figures of `make bench-stack`
(tests/bench/overheads.py); without them that part of the file stays as it was.

The file that is written is what `veil plan --calibration` reads. `load` in it is how much else ran: CPU time grows by
half and more where cores are shared.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from importlib import metadata
from itertools import islice
from pathlib import Path
from statistics import mean, median, stdev
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from deploy.samples import sample
from services.detect.catalogue import ModelMissing
from services.detect.interface import Detector
from services.detect.logo import LogoDetector
from services.inference.load import load_detectors
from services.planning.calibration import MEASURED
from services.policy.loader import load_policy
from services.policy.model import Policy
from tests.bench.overheads import overheads
from tests.bench.stages import Run, run
from tests.support.logos import drawn
from tests.support.scene_sources import REPOSITORY

OUT = REPOSITORY / "out" / "bench" / "calibration.yaml"
STACK = OUT.with_name("stack.json")
SIZES = ((640, 360), (1920, 1080))
_LOOKS = ((640, 360), (1280, 720))
_FRAMES, _RATE = 120, 25
_ROUNDS = 3
_LOOK_ROUNDS = 9
_NETWORKS = ("face", "plate", "person", "text")
_STAGES = ("decoder", "renderer", "encoder")

Line = dict[str, float]
"""`each`: ms for each frame or look; `per_megapixel`: ms for each megapixel; `spread`: standard deviation over mean."""


def policy() -> Policy:
    """Faces and plates, looked for at the usual cadence, with a short look-ahead."""
    return load_policy("public", {"kinds": ["face", "plate"], "tracking": {"look_ahead_s": 0.3}})


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """The part of the file for which no broker is needed."""
    load = round(os.getloadavg()[0], 1)
    with TemporaryDirectory(prefix="veil-calibrate-") as folder:
        clips = [_clip(Path(folder) / f"{width}.mp4", width, height) for width, height in SIZES]
        say("stages, separate …")
        separate = [[run(clip, policy()) for _ in range(_ROUNDS)] for clip in clips]
        say("stages, renderer and encoder in one process …")
        fused = [[run(clip, policy(), attached=True) for _ in range(_ROUNDS)] for clip in clips]
    say("the clip in its own size …")
    own = run(sample("bikes.mp4"), policy())
    say("detectors …")
    return {
        "machine": machine(),
        "measured": {
            "load": load,
            "command": "python -m tests.bench.calibrate",
            "date": datetime.now(UTC).date().isoformat(),
            "clip": f"bikes.mp4 at {' and '.join(f'{w}×{h}' for w, h in SIZES)}, {_FRAMES} frames",
        },
        "stages": {
            **{name: _line(separate, lambda each, name=name: each.cpu_s[name] / each.frames) for name in _STAGES},
            "fused_renderer": _line(fused, lambda each: each.cpu_s["renderer"] / each.frames),
            "fused_encoder": _line(fused, lambda each: each.cpu_s["encoder"] / each.frames),
            "look": _line(separate, lambda each: each.cpu_s["look"] / each.looks, looks=True),
            "inference": _line(separate, lambda each: each.cpu_s["inference"] / each.looks, looks=True),
            "tracker": _line(separate, lambda each: each.cpu_s["tracker"] / each.looks, looks=True),
        },
        "detectors": detectors(),
        "bytes": sizes(own),
    }


def sizes(own: Run) -> dict[str, float]:
    """Bytes of records, from the clip in its own size: enlarged pictures would compress better than a camera's."""

    def each(topic: str) -> float:
        return own.size[topic] / own.records[topic]

    return {
        "source_overhead": round((own.size["video.source"] - own.payload) / own.frames),
        "look_per_megapixel": round(each("frames.detect") / own.look_megapixels),
        "detections": round(each("detections")),
        "redactions": round(each("redactions")),
        "metadata_per_look": round(
            sum(own.size.get(topic, 0) for topic in ("metadata.tracks", "metadata.stats")) / own.looks, 1
        ),
        "rendered_per_megapixel": round(each("video.rendered") / own.megapixels),
        "redacted_per_megapixel": round(each("video.redacted") / own.megapixels),
    }


def detectors() -> dict[str, Line]:
    """One look of every detector that is installed."""
    cv2.setNumThreads(1)
    with av.open(str(sample("bikes.mp4"))) as container:
        scene = next(container.decode(video=0)).to_ndarray(format="rgb24")
    pictures = [cv2.resize(scene, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False) for size in _LOOKS]
    found: dict[str, Line] = {}
    for name in (*_NETWORKS, "logo"):
        try:
            detector = _logo() if name == "logo" else load_detectors([name])[name]
        except ModelMissing:
            continue
        costs = [_looks(detector, picture) for picture in pictures]
        points = [(width * height / 1e6, median(cost)) for (width, height), cost in zip(_LOOKS, costs, strict=True)]
        found[name] = _through_two(points, mean(stdev(cost) / mean(cost) for cost in costs))
    return found


def _logo() -> Detector:
    return LogoDetector({"drawn": drawn()}, "0")


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    flags = next((line for line in _lines("/proc/cpuinfo") if line.startswith("flags")), "")
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    packages = ("av", "numpy", "onnxruntime", "opencv-python-headless")
    return {
        "cpu": names[0] if names else platform.processor() or "unknown",
        "vnni": "avx512_vnni" in flags or "avx_vnni" in flags,
        "cores": os.cpu_count() or 1,
        "memory_gb": round(int(memory) / 1e6, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def _looks(detector: Detector, picture: NDArray[np.uint8]) -> list[float]:
    took = []
    for _ in range(_LOOK_ROUNDS + 1):
        began = time.process_time()
        detector.detect([picture], 600.0)
        took.append(1e3 * (time.process_time() - began))
    return took[1:]  # the first loads and allocates


def _line(runs: Sequence[Sequence[Run]], cost: Callable[[Run], float], *, looks: bool = False) -> Line:
    points = [(one[0].look_megapixels if looks else one[0].megapixels, 1e3 * median(map(cost, one))) for one in runs]
    spread = mean(stdev(map(cost, one)) / max(1e-9, mean(map(cost, one))) for one in runs)
    return _through_two(points, spread)


def _through_two(points: Sequence[tuple[float, float]], spread: float) -> Line:
    """The straight line through two points; none of its parts is under 0, and it is never under the larger point."""
    (x, low), (far, high) = points
    slope = max(0.0, (high - low) / (far - x)) if far > x else 0.0
    each = max(0.0, low - slope * x)
    slope = max(slope, (high - each) / far) if each == 0 else slope
    return {"each": round(each, 4), "per_megapixel": round(slope, 4), "spread": round(spread, 3)}


def _clip(path: Path, width: int, height: int) -> Path:
    """Road traffic in a camera's size, without B-frames, a keyframe every two seconds."""
    with av.open(str(sample("bikes.mp4"))) as reader, av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=Fraction(_RATE))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size, stream.thread_count = 2 * _RATE, 1
        stream.options = {"preset": "veryfast", "crf": "23", "tune": "zerolatency"}
        for frame in islice(reader.decode(video=0), _FRAMES):
            pixels = cv2.resize(frame.to_ndarray(format="rgb24"), (width, height), interpolation=cv2.INTER_CUBIC)
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        writer.mux(stream.encode(None))
    return path


def write(path: Path, figures: Mapping[str, Any]) -> None:
    """Writes the file as `veil plan` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "# Made by `python -m tests.bench.calibrate`: measured, CPU time in milliseconds. See docs/planning.md.\n"
    path.write_text(head + yaml.safe_dump(dict(figures), sort_keys=False, allow_unicode=True), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("--stack", type=Path, default=STACK, help="figures of make bench-stack")
    parser.add_argument("--only-stack", action="store_true", help="take only those in; the rest stays as it was")
    parser.add_argument("--out", type=Path, default=OUT, help="the file that is written")
    options = parser.parse_args(arguments)
    start = options.out if options.out.is_file() else MEASURED
    kept: dict[str, Any] = yaml.safe_load(start.read_text(encoding="utf-8")) if start.is_file() else {}
    figures = kept if options.only_stack else {**kept, **measure(lambda words: print(words, flush=True))}
    if options.stack.is_file():
        stack = json.loads(options.stack.read_text(encoding="utf-8"))
        written = datetime.fromtimestamp(options.stack.stat().st_mtime, UTC).date().isoformat()
        figures["processes"] = overheads(figures["stages"], stack, written)
    write(options.out, figures)
    print(f"written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
