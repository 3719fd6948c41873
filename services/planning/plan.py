"""From cameras to processes, partitions, brokers, disks, network, GPUs and storage: sums, and what they assume.

A city is many cells, each with brokers of its own (k8s/overlays/city): what breaks in one darkens no other. All cells
but the last are full, so that one camera more never costs less.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import all_topics
from services.bus.topics import TOPICS
from services.planning.calibration import Calibration, PublishedDetection, detection_on
from services.planning.demand import FUSED, READERS, Camera, bytes_per_s, gpu_megapixels, stages, work
from services.planning.errors import PlanError
from services.planning.spread import by_member
from services.policy.site import SiteConfig

CELLS = (1000, 500, 250, 125, 60)
"""Cameras of a full cell, the first that fits."""
PARTITIONS_STEP = 12
PARTITIONS_LEAST = 24
BROKER_PARTITIONS = 4000
"""Copies of partitions that one broker is given at most: what Kafka's makers recommend."""
DAY_S = 86_400.0
_CROWDINGS = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be planned. Defaults are assumptions, and are shown as such.

    Attributes:
        cameras: how many.
        retention_days: for which the vault keeps originals.
        replication: copies of each partition.
        zones: that everything is spread over.
        headroom: part of the need that is there beside it.
        crowding: times as many processes as the work needs, so that names which fall together find room.
        survive_zone, survive_broker: what may fail without anything being too small.
        fused: renderer and encoder in one process.
        gpu: model of GPU that detectors run on, None for CPUs.
        gpu_share: part of the published throughput that is counted on.
        cell: cameras of a full cell, None for the most that fit.
        decoder_cores: that one decoder can use: it reads each camera on a thread of its own.
        inference_workers: calls of detectors at the same time in one process: VEIL_INFERENCE_WORKERS.
        encoder_threads: VEIL_ENCODER_THREADS.
        broker_gbit, broker_disk_tb, broker_cores: of one broker.
    """

    cameras: int
    camera: Camera = field(default_factory=Camera)
    retention_days: float = 30.0
    replication: int = 3
    zones: int = 3
    headroom: float = 0.3
    crowding: float = 1.0
    survive_zone: bool = True
    survive_broker: bool = True
    fused: bool = True
    gpu: str | None = None
    gpu_share: float = 0.5
    cell: int | None = None
    decoder_cores: int = 4
    inference_workers: int = 4
    encoder_threads: int = 1
    broker_gbit: float = 10.0
    broker_disk_tb: float = 16.0
    broker_cores: float = 8.0

    def check(self) -> None:
        """Raises PlanError with what can't be planned."""
        least = {
            "cameras": (self.cameras, 1),
            "width": (self.camera.width, 64),
            "height": (self.camera.height, 64),
            "replication": (self.replication, 1),
            "zones": (self.zones, 1),
            "cadence": (self.camera.cadence, 1),
        }
        for name, (value, low) in least.items():
            if value < low:
                raise PlanError(f"{name} must be at least {low}")
        for name, number in {
            "fps": self.camera.fps,
            "bitrate": self.camera.bitrate,
            "retention": self.retention_days,
        }.items():
            if not (math.isfinite(number) and number > 0):
                raise PlanError(f"{name} must be more than 0")
        if not 0 <= self.headroom <= 10:
            raise PlanError("headroom must be between 0 and 10")
        if not 1 <= self.crowding <= 100:
            raise PlanError("crowding must be between 1 and 100")
        if not 0 < self.gpu_share <= 1:
            raise PlanError("gpu-share must be more than 0 and at most 1")
        if self.replication > 5:
            raise PlanError("replication must be at most 5, as VEIL_KAFKA_REPLICATION is")
        if self.survive_zone and self.zones < 2:
            raise PlanError("with one zone its loss can't be survived: say --no-survive-zone, or more --zones")
        if not self.camera.kinds:
            raise PlanError("at least one kind must be masked")


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of one cell.

    Attributes:
        replicas: processes.
        cores: CPU seconds a second of all cameras, headroom and spare processes included.
        request: cores of one pod once a zone is gone, to a tenth.
        busiest: most cameras that one process gets, as their names are hashed, when what may fail has failed.
        most: cameras that one process can carry.
        late: cameras whose process has more than it can carry.
    """

    name: str
    replicas: int
    cores: float
    request: float
    busiest: int
    most: float
    late: int


@dataclass(frozen=True, slots=True)
class CellPlan:
    """One cell. Bytes are per second, of all its cameras, unless said otherwise."""

    cameras: int
    stages: Mapping[str, StagePlan]
    partitions: int
    brokers: int
    broker_cores: float
    written: float
    read: float
    copied: float
    disk: float
    gpus: int
    cross_zone: float

    @property
    def cores(self) -> float:
        """Of all stages."""
        return sum(stage.cores for stage in self.stages.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole city.

    Attributes:
        full: how many cells are full, each as `cell` says.
        rest: the last one, None if all are full.
        per_camera: bytes a second of one camera by topic, before copies.
        vault: bytes that the vault keeps.
        problems: what would not work, one sentence each.
        notes: where figures come from and what they leave out.
    """

    ask: Ask
    cell: CellPlan
    full: int
    rest: CellPlan | None
    per_camera: Mapping[str, float]
    vault: float
    problems: Sequence[str]
    notes: Sequence[str]
    published: PublishedDetection | None

    @property
    def cells(self) -> tuple[tuple[int, CellPlan], ...]:
        """How many of each."""
        return ((self.full, self.cell), *(((1, self.rest),) if self.rest else ()))

    def total(self, name: str) -> float:
        """Sum of one figure over all cells."""
        return math.fsum(count * getattr(cell, name) for count, cell in self.cells)

    def replicas(self, stage: str) -> int:
        """Processes of a stage in all cells."""
        return sum(count * cell.stages[stage].replicas for count, cell in self.cells)

    def stage_cores(self, stage: str) -> float:
        """Cores of a stage in all cells."""
        return math.fsum(count * cell.stages[stage].cores for count, cell in self.cells)

    def as_plain_data(self) -> dict[str, Any]:
        """Everything, for JSON."""
        found = asdict(self)
        found["stages"] = {
            name: {"replicas": self.replicas(name), "cores": self.stage_cores(name)} for name in self.cell.stages
        }
        figures = ("brokers", "broker_cores", "written", "read", "copied", "disk", "gpus", "cross_zone", "cores")
        found["total"] = {name: self.total(name) for name in figures} | {"vault": self.vault}
        return found


def plan(ask: Ask, figures: Calibration) -> Plan:
    """Reckons the whole city. Raises PlanError."""
    ask.check()
    published = detection_on(ask.gpu) if ask.gpu else None
    size = ask.cell or _cell_size(ask, figures, published)
    full, left = divmod(ask.cameras, size)
    if not full:
        # One cell that is not full: nothing else is there.
        full, size, left = 1, left, 0
    cell = _cell(ask, size, figures, published)
    rest = _cell(ask, left, figures, published) if left else None
    per_camera = bytes_per_s(ask.camera, figures, fused=ask.fused)
    kept = ask.camera.bitrate / 8 + per_camera["redactions"]
    vault = ask.cameras * kept * ask.retention_days * DAY_S
    notes = _notes(ask, figures, published)
    problems = _problems(ask, cell, figures, published)
    return Plan(ask, cell, full, rest, per_camera, vault, problems, notes, published)


def _cell_size(ask: Ask, figures: Calibration, published: PublishedDetection | None) -> int:
    """The largest usual size whose processes find partitions. Does not depend on how many cameras there are."""
    limit = most_partitions()
    for size in CELLS:
        if _partitions(_replicas(ask, size, figures, published)) <= limit:
            return size
    return CELLS[-1]


def most_partitions() -> int:
    """As many as VEIL_KAFKA_PARTITIONS takes."""
    return next(int(each.le) for each in KafkaSettings.model_fields["partitions"].metadata if hasattr(each, "le"))


def most_cameras_of_a_site() -> int:
    """As many as a site file names."""
    return next(
        int(each.max_length) for each in SiteConfig.model_fields["cameras"].metadata if hasattr(each, "max_length")
    )


def spare(ask: Ask, need: float, least: int = 1) -> int:
    """How many there must be for `need` to be left over when what may fail has failed; spread evenly over zones."""
    number = max(least, math.ceil(need - 1e-9))
    if ask.survive_zone:
        return ask.zones * math.ceil(number / (ask.zones - 1))
    return number + 1


def _share_left(ask: Ask, number: int) -> float:
    """Of so many, the part that is there when what may fail has failed."""
    return (ask.zones - 1) / ask.zones if ask.survive_zone else (number - 1) / number


def _capacity(ask: Ask) -> dict[str, float]:
    """Seconds a second that one process of a stage can be busy."""
    return {
        "decoder": float(ask.decoder_cores),
        # On Triton a call waits for the server; one core opens pictures and reads answers.
        "inference": 1.0 if ask.gpu else float(ask.inference_workers),
        "tracker": 1.0,
        "renderer": 1.0,
        "encoder": 1.0,
        FUSED: 1.0,
    }


def _replicas(ask: Ask, cameras: int, figures: Calibration, published: PublishedDetection | None) -> dict[str, int]:
    asked = work(ask.camera, figures, fused=ask.fused, gpu=published is not None, encoder_threads=ask.encoder_threads)
    capacity, more = _capacity(ask), (1 + ask.headroom) * ask.crowding
    return {
        name: spare(ask, cameras * asked[name].loop * more / max(0.05, capacity[name] - asked[name].idle))
        for name in stages(ask.fused)
    }


def _partitions(replicas: Mapping[str, int]) -> int:
    # One more than any group has members: an update starts the new one first, which needs a partition.
    most = max(replicas.values()) + 1
    return max(PARTITIONS_LEAST, PARTITIONS_STEP * math.ceil(most / PARTITIONS_STEP))


def _cell(ask: Ask, cameras: int, figures: Calibration, published: PublishedDetection | None) -> CellPlan:
    replicas = _replicas(ask, cameras, figures, published)
    partitions = _partitions(replicas)
    found = {name: _stage(ask, name, cameras, count, partitions, figures) for name, count in replicas.items()}
    sizes = bytes_per_s(ask.camera, figures, fused=ask.fused)
    written = cameras * math.fsum(sizes.values())
    read = cameras * math.fsum(size * READERS[name] for name, size in sizes.items())
    copied = written * (ask.replication - 1)
    retained = {topic.name: topic.retention.total_seconds() for topic in TOPICS}
    disk = cameras * math.fsum(size * retained[name] for name, size in sizes.items()) * ask.replication
    disk *= 1 + ask.headroom
    brokers, cores = _brokers(ask, cameras, partitions, written, read, disk, figures)
    gpus = 0
    if published is not None:
        asked = cameras * gpu_megapixels(ask.camera) * (1 + ask.headroom)
        gpus = spare(ask, asked / (published.megapixels_per_s * ask.gpu_share))
    # Writers go to the leader wherever it is; readers take the copy of their own zone where there is one.
    away, apart = (ask.zones - 1) / ask.zones, min(ask.replication, ask.zones)
    cross = written * (away + apart - 1) + read * (1 - apart / ask.zones)
    return CellPlan(cameras, found, partitions, brokers, cores, written, read, copied, disk, gpus, cross)


def _stage(ask: Ask, name: str, cameras: int, replicas: int, partitions: int, figures: Calibration) -> StagePlan:
    asked = work(ask.camera, figures, fused=ask.fused, gpu=ask.gpu is not None, encoder_threads=ask.encoder_threads)[
        name
    ]
    cpu = cameras * asked.cpu * (1 + ask.headroom) / _share_left(ask, replicas)
    request = cpu / replicas + asked.idle
    most = max(0.0, (_capacity(ask)[name] - asked.idle) / asked.loop)
    # Once a zone is gone its cameras crowd on the rest.
    left = replicas - replicas // ask.zones if ask.survive_zone else replicas
    spread = by_member(cameras, partitions, min(left, partitions))
    crowd, behind = max(spread), sum(count for count in spread if count > most)
    return StagePlan(name, replicas, cpu + replicas * asked.idle, math.ceil(request * 10) / 10, crowd, most, behind)


def _brokers(
    ask: Ask, cameras: int, partitions: int, written: float, read: float, disk: float, figures: Calibration
) -> tuple[int, float]:
    """Brokers, and the cores that all of them together use."""
    processes, more = figures.processes, 1 + ask.headroom
    line = ask.broker_gbit * 1e9 / 8
    copies = partitions * len(TOPICS) + len(all_topics()) - len(TOPICS)
    cores = cameras * ask.camera.fps * processes.broker_per_frame_ms / 1e3 * more
    need = max(
        written * ask.replication * more / line,
        (read + written * (ask.replication - 1)) * more / line,
        disk / (ask.broker_disk_tb * 1e12),
        cores / ask.broker_cores,
        copies * ask.replication / BROKER_PARTITIONS,
    )
    # With one broker gone, as many as there are copies must be left to write to.
    least = max(1, ask.replication - 1)
    if ask.survive_zone:
        number = max(spare(ask, need, least), ask.zones * math.ceil(ask.replication / ask.zones))
    else:
        number = max(math.ceil(need) + (1 if ask.survive_broker else 0), ask.replication)
    return number, cores + number * processes.broker_idle_ms_per_s / 1e3


def _problems(ask: Ask, cell: CellPlan, figures: Calibration, published: PublishedDetection | None) -> tuple[str, ...]:
    found = []
    limit, site = most_partitions(), most_cameras_of_a_site()
    if cell.partitions > limit:
        found.append(f"a cell of {cell.cameras} cameras needs {cell.partitions} partitions, and {limit} are the most")
    for stage in cell.stages.values():
        if stage.most < 1:
            found.append(
                f"one camera keeps a process of {stage.name} busy for {1 / max(stage.most, 1e-9):.1f} s a second: "
                "it needs fewer frames, smaller pictures or more threads"
            )
        elif stage.late:
            found.append(
                f"{stage.name}: names are hashed onto partitions, so that one process gets {stage.busiest} cameras and "
                f"can carry {stage.most:.1f}; {stage.late} of {cell.cameras} cameras of a cell would fall behind"
            )
    if any(stage.late and stage.most >= 1 for stage in cell.stages.values()):
        found.append(_way_out(ask, cell.cameras, figures, published))
    if cell.cameras > site:
        found.append(f"a site file names up to {site} cameras, and a cell has {cell.cameras}: --cell {site} fits")
    return tuple(found)


def _way_out(ask: Ask, cameras: int, figures: Calibration, published: PublishedDetection | None) -> str:
    """The fewest times as many processes with which nobody falls behind for his neighbours' sake."""
    for times in _CROWDINGS:
        if times > ask.crowding:
            asked = replace(ask, crowding=times)
            replicas = _replicas(asked, cameras, figures, published)
            partitions = _partitions(replicas)
            stages_ = (_stage(asked, name, cameras, count, partitions, figures) for name, count in replicas.items())
            if partitions <= most_partitions() and not any(stage.late and stage.most >= 1 for stage in stages_):
                return f"--crowding {times:g} gives names that fall together room enough"
    return (
        "no number of processes gives names that fall together room enough: cameras must be lighter, or cells smaller"
    )


def _notes(ask: Ask, figures: Calibration, published: PublishedDetection | None) -> tuple[str, ...]:
    machine, measured = figures.machine, figures.measured
    shared = f"{machine.cores} cores that other work wanted too (load {measured.load:g})"
    found = [
        f"CPU: measured on {machine.cpu}, {shared}, on {measured.date}; other CPUs differ.",
        f"Looks: {ask.camera.looks:.1f} a second and camera, as where much moves.",
        f"Vault: {ask.retention_days:g} days of the cameras' own pictures, without copies that its store makes.",
        "Brokers keep topics as long as services/bus/topics.py says, masked video for three days.",
        "Masked video is read once; more viewers cost that much more.",
    ]
    if published is None:
        return (*found, "Detectors run on CPUs; --gpu plans with published figures of GPUs.")
    speed = f"{published.megapixels_per_s:.0f} megapixels a second and network ({published.network})"
    return (
        *found,
        f"GPU: published, not measured: {speed}; {ask.gpu_share:.0%} of it is counted on. {published.caution}",
        f"Sources: {', '.join(published.sources)}.",
        "Decoding and encoding stay on CPUs: Veil uses no video engine of a GPU.",
    )
