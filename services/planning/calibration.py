"""Measured costs on CPUs, published ones of GPUs: the two files that a plan reckons with, which never mix."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, RootModel

from services.planning.errors import PlanError
from services.planning.files import Model, read

_FOLDER = Path(__file__).parent
MEASURED = _FOLDER / "cpu.yaml"
PUBLISHED = _FOLDER / "gpu.yaml"


class Cost(Model):
    """CPU time in milliseconds: a straight line over megapixels.

    Attributes:
        each: for each frame or look.
        per_megapixel: for each megapixel of it.
        spread: standard deviation over mean, as measured.
    """

    each: float = Field(ge=0)
    per_megapixel: float = Field(ge=0)
    spread: float = Field(0.0, ge=0)

    def ms(self, megapixels: float) -> float:
        """Milliseconds for one of so many megapixels."""
        return self.each + self.per_megapixel * megapixels


class Stages(Model):
    """What the stages take by themselves, without the broker's client; per frame, or per look."""

    decoder: Cost
    look: Cost
    inference: Cost
    tracker: Cost
    renderer: Cost
    encoder: Cost
    fused_renderer: Cost
    fused_encoder: Cost


class Processes(Model):
    """What a process on Kafka takes beside its stage, and the broker.

    Attributes:
        idle_ms_per_s: CPU of a process that has nothing to do.
        per_frame_ms, per_look_ms: of each frame or look that passes through it.
        broker_idle_ms_per_s, broker_per_frame_ms: of the brokers together; the latter with all topics of a frame.
        hop_ms: from one process to the next over the broker: p50 and p95.
        command, date: how and when it was measured.
    """

    idle_ms_per_s: Mapping[str, float]
    per_frame_ms: Mapping[str, float]
    per_look_ms: Mapping[str, float]
    broker_idle_ms_per_s: float = Field(ge=0)
    broker_per_frame_ms: float = Field(ge=0)
    hop_ms: Mapping[str, float]
    command: str
    date: str


class Bytes(Model):
    """Bytes of records.

    Attributes:
        source_overhead: beside the camera's own access unit.
        look_per_megapixel: a picture for detectors.
        detections, redactions, metadata_per_look: one record each.
        rendered_per_megapixel: a masked picture between two processes.
        redacted_per_megapixel: a masked access unit of the clip that was measured.
    """

    source_overhead: float = Field(ge=0)
    look_per_megapixel: float = Field(gt=0)
    detections: float = Field(ge=0)
    redactions: float = Field(ge=0)
    metadata_per_look: float = Field(ge=0)
    rendered_per_megapixel: float = Field(gt=0)
    redacted_per_megapixel: float = Field(gt=0)


class Machine(Model):
    """What the figures were measured on."""

    cpu: str
    vnni: bool
    cores: int = Field(ge=1)
    memory_gb: float = Field(gt=0)
    system: str
    python: str
    packages: Mapping[str, str]


class Measured(Model):
    """How and when; `load` is how many other processes wanted the cores meanwhile."""

    command: str
    load: float = Field(ge=0)
    date: str
    clip: str


class Calibration(Model):
    """Measured on one machine, by `python -m tests.bench.calibrate`."""

    machine: Machine
    measured: Measured
    stages: Stages
    detectors: Mapping[str, Cost]
    bytes: Bytes
    processes: Processes


class Scaled(Model):
    """The same network on the GPU in question and on the one whose figure is scaled, pictures a second."""

    theirs: float = Field(gt=0)
    reference: float = Field(gt=0)


class PublishedDetection(Model):
    """How many pictures a second a small detector looks at, by somebody's word."""

    runtime: Literal["onnxruntime", "tensorrt"]
    network: str
    pictures_per_s: float = Field(gt=0)
    megapixels: float = Field(gt=0)
    scaled: Scaled | None
    sources: tuple[str, ...] = Field(min_length=1)
    caution: str

    @property
    def megapixels_per_s(self) -> float:
        """Megapixels a second of one network."""
        share = self.scaled.theirs / self.scaled.reference if self.scaled else 1.0
        return self.pictures_per_s * self.megapixels * share


class PublishedVideo(Model):
    """What a video engine does, by its maker's word."""

    what: str
    frames_per_s: float = Field(gt=0)
    sources: tuple[str, ...] = Field(min_length=1)


class Gpu(Model):
    """One model of GPU; None where no figure was found."""

    name: str
    detect: PublishedDetection | None
    decode: PublishedVideo | None
    encode: PublishedVideo | None


class _Gpus(RootModel[Mapping[str, Gpu]]):
    pass


def calibration(path: Path | None = None) -> Calibration:
    """The figures of a file, or those that come with Veil. Raises PlanError."""
    return read(path or MEASURED, Calibration)


@cache
def gpus() -> Mapping[str, Gpu]:
    """The GPUs of which anything was published."""
    return read(PUBLISHED, _Gpus).root


def detection_on(gpu: str) -> PublishedDetection:
    """The published figure of detection on a GPU. Raises PlanError where there is none."""
    known = gpus().get(gpu)
    if known is None:
        raise PlanError(f"there is no GPU '{gpu}'; there are {', '.join(gpus())}")
    if known.detect is None:
        raise PlanError(f"no figure was found for a small detector on the {known.name}: plan without --gpu, on CPUs")
    return known.detect
