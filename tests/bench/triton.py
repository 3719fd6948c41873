"""Measures detectors on Triton against the same in process: `python -m tests.bench.triton [--repeats N]`.

Both homes look at the same picture in turn, so that the machine's mood hits both alike; figures are medians of wall
time. What Triton's statistics call computing is taken off the time of the calls; the rest is transfer.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
from rich.console import Console
from rich.table import Table
from tritonclient.grpc import service_pb2

from deploy.samples import sample
from deploy.stack.triton import TritonServer
from services.detect.catalogue import catalogue
from services.detect.interface import Detector, Image, Session, Tensors
from services.detect.triton import TritonSession
from services.detect.triton_servers import TritonServers
from services.inference import InferenceSettings, load_detectors
from services.inference.load import detector_of
from tests.support.scene_sources import REPOSITORY

OUT = REPOSITORY / "out" / "bench"
SIZES = ((640, 360), (1280, 720))
BATCHES = (1, 4, 8)
_KINDS = ("face", "plate", "person")
_TIMEOUT_S = 60.0
_WARM_UP = 3


@dataclass(frozen=True)
class Figures:
    """One detector on one size of picture, in ms for each frame.

    Attributes:
        in_process, triton: what the caller waits, with preparing pictures and decoding boxes.
        compute: of `triton`, what the model takes on the server.
        queue: of `triton`, waiting on the server.
        transfer_share: of `triton`, all of the calls that is not computing: queue, copies, the way there and back.
    """

    in_process: float
    triton: float
    compute: float
    queue: float
    transfer_share: float


class Timed:
    """A session that knows how long its calls took, in ms altogether."""

    def __init__(self, session: Session) -> None:
        self.ms = 0.0
        self._session = session

    def run_each(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> Sequence[Tensors]:
        began = time.perf_counter()
        answers = self._session.run_each(outputs, pictures, timeout_s)
        self.ms += (time.perf_counter() - began) * 1e3
        return answers


class Remote:
    """A detector on Triton, its session's clock, and the server's own."""

    def __init__(self, name: str, servers: TritonServers) -> None:
        entry = catalogue().entry(name)
        self.session = Timed(TritonSession(servers, entry.model, entry.stamp))
        self.detector = detector_of(entry, name, self.session, InferenceSettings().score_floor)
        self._stub = next(iter(servers.in_turn())).stub
        self._request = service_pb2.ModelStatisticsRequest(name=entry.model)

    def clocks(self) -> tuple[float, float, float]:
        """ms since the start: of all calls, of the model computing, of requests in its queue."""
        (model,) = self._stub.ModelStatistics(self._request, timeout=5).model_stats
        return self.session.ms, model.inference_stats.compute_infer.ns / 1e6, model.inference_stats.queue.ns / 1e6


def measure(server: TritonServer | None = None, repeats: int = 30) -> dict[str, Any]:
    """ms for each frame by size and detector, and by pictures in a call.

    `triton_over_inprocess` and `transfer_share` are those of faces and plates together on the smaller pictures.

    Args:
        server: with all models; one is started for the while if None.
        repeats: of every figure.
    """
    if server is None:
        with tempfile.TemporaryDirectory(prefix="veil-triton-") as folder:
            started = TritonServer(Path(folder), _KINDS)
            try:
                started.start()
                return measure(started, repeats)
            finally:
                started.kill()
    here = load_detectors(_KINDS, InferenceSettings(home="onnx"))
    servers = TritonServers([server.grpc])
    there = {name: Remote(name, servers) for name in _KINDS}
    images = {f"{size[0]}x{size[1]}": cv2.resize(_picture(), size) for size in SIZES}
    figures = {
        size: {name: _compare(here[name], there[name], image, repeats) for name in _KINDS}
        for size, image in images.items()
    }
    small = next(iter(images))
    usual = [figures[small][name] for name in ("face", "plate")]
    triton = sum(one.triton for one in usual)
    return {
        "ms_per_frame": {size: {name: asdict(one) for name, one in row.items()} for size, row in figures.items()},
        "ms_per_picture_by_batch": {
            name: _by_batch(remote.detector, images[small], max(3, repeats // 4)) for name, remote in there.items()
        },
        "triton_over_inprocess": triton / sum(one.in_process for one in usual),
        "transfer_share": sum(one.transfer_share * one.triton for one in usual) / triton,
    }


def _compare(here: Detector, there: Remote, image: Image, repeats: int) -> Figures:
    for detector in (here, there.detector):
        for _ in range(_WARM_UP):
            detector.detect([image], _TIMEOUT_S)
    local, remote, clocks = [], [], [there.clocks()]
    for _ in range(repeats):
        local.append(_ms(here, [image]))
        remote.append(_ms(there.detector, [image]))
        clocks.append(there.clocks())
    steps = [[after - before for before, after in zip(*pair, strict=True)] for pair in pairwise(clocks)]
    calls, compute, queue = (median(column) for column in zip(*steps, strict=True))
    triton = median(remote)
    return Figures(median(local), triton, compute, queue, (calls - compute) / triton)


def _by_batch(detector: Detector, image: Image, repeats: int) -> dict[str, float]:
    rounds = [[_ms(detector, [image] * count) / count for count in BATCHES] for _ in range(repeats)]
    return {str(count): median(column) for count, column in zip(BATCHES, zip(*rounds, strict=True), strict=True)}


def _ms(detector: Detector, images: Sequence[Image]) -> float:
    began = time.perf_counter()
    detector.detect(images, _TIMEOUT_S)
    return (time.perf_counter() - began) * 1e3


def _picture() -> Image:
    with av.open(str(sample("bikes.mp4"))) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def _table(sizes: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    table = Table("size", "detector", "in process ms", "Triton ms", "computing", "queue", "transfer", box=None)
    for size, detectors in sizes.items():
        for name, one in detectors.items():
            numbers = (f"{one[field]:.1f}" for field in ("in_process", "triton", "compute", "queue"))
            table.add_row(size, name, *numbers, f"{one['transfer_share']:.0%}")
    return table


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.triton", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    figures = measure(repeats=parser.parse_args().repeats)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "triton.json").write_text(json.dumps(figures, indent=2) + "\n")
    console = Console()
    console.print(_table(figures["ms_per_frame"]))
    for name, batches in figures["ms_per_picture_by_batch"].items():
        console.print(f"{name}: " + ", ".join(f"{ms:.1f} ms a picture in calls of {n}" for n, ms in batches.items()))
    console.print(
        f"Triton over in process: {figures['triton_over_inprocess']:.2f}, transfer {figures['transfer_share']:.0%}"
    )


if __name__ == "__main__":
    main()
