"""What one camera asks of every stage and topic: seconds of CPU and bytes, each second."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.bus.topics import (
    DETECTIONS,
    FRAMES_DETECT,
    METADATA_TRACKS,
    REDACTIONS,
    VIDEO_REDACTED,
    VIDEO_RENDERED,
    VIDEO_SOURCE,
)
from services.planning.calibration import Calibration, Cost
from services.planning.errors import PlanError
from services.policy.model import KIND_DEFAULTS, Detection, Kind

FUSED = "renderer-encoder"
SLICED = 1.2
"""CPU of an encoder with more than one thread over that with one: services/encoder/README.md."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera and what is looked for in it.

    Attributes:
        width, height, fps: of its pictures.
        bitrate: bits a second that it sends.
        masked_bitrate: bits a second of its masked pictures.
        cadence: frames between two looks; the policy's `every_min` where much moves.
        kinds: what is masked.
    """

    width: int = 1920
    height: int = 1080
    fps: float = 25.0
    bitrate: float = 4e6
    masked_bitrate: float = 4e6
    cadence: float = 5.0
    kinds: tuple[str, ...] = ("face", "plate")

    @property
    def megapixels(self) -> float:
        """Of one frame."""
        return self.width * self.height / 1e6

    @property
    def look_megapixels(self) -> float:
        """Of one picture that detectors see, at the size that a policy without further words asks for."""
        side = Detection().side_for(self.width, self.height)
        return self.megapixels * (side / max(self.width, self.height)) ** 2

    @property
    def looks(self) -> float:
        """Looks a second: the cadence, but never further apart than the policy's `gap_max_s`, nor than frames."""
        return min(self.fps, max(self.fps / self.cadence, 1 / Detection().gap_max_s))

    def rates(self) -> dict[str, float]:
        """Detector → looks a second. Raises PlanError for a kind that there is not."""
        found: dict[str, float] = {}
        for name in self.kinds:
            if name not in {kind.value for kind in Kind}:
                raise PlanError(f"there is no kind '{name}'; there are {', '.join(kind.value for kind in Kind)}")
            kind = Kind(name)
            every_s = KIND_DEFAULTS.get(kind, {}).get("every_s", 0.0)
            rate = min(self.looks, 1 / every_s) if every_s else self.looks
            found[kind.detector] = max(rate, found.get(kind.detector, 0.0))
        return found


@dataclass(frozen=True, slots=True)
class Work:
    """What one camera takes of a stage.

    Attributes:
        cpu: CPU seconds a second, on all cores.
        loop: seconds a second that one process is busy with it and can do nothing else for another camera.
        idle: CPU seconds a second of each process, however little it has to do.
    """

    cpu: float
    loop: float
    idle: float


def stages(fused: bool) -> tuple[str, ...]:
    """The stages of a line, in the order of the flow."""
    return ("decoder", "inference", "tracker", *((FUSED,) if fused else ("renderer", "encoder")))


def work(
    camera: Camera, figures: Calibration, *, fused: bool = True, gpu: bool = False, encoder_threads: int = 1
) -> dict[str, Work]:
    """What a camera takes of each stage, as measured.

    With `gpu` detectors run on Triton: inference then only opens pictures and asks. More `encoder_threads` of one
    camera free the loop sooner, for more CPU.
    """
    frames, looks, size, look = camera.fps, camera.looks, camera.megapixels, camera.look_megapixels
    costs, processes = figures.stages, figures.processes
    networks = 0.0 if gpu else sum(rate * _network(figures, name).ms(look) for name, rate in camera.rates().items())
    beside = {
        name: frames * processes.per_frame_ms.get(name, 0.0) + looks * processes.per_look_ms.get(name, 0.0)
        for name in processes.idle_ms_per_s
    }
    rendering, encoding = (costs.fused_renderer, costs.fused_encoder) if fused else (costs.renderer, costs.encoder)
    drawn = frames * rendering.ms(size)
    coded = frames * encoding.ms(size) * (SLICED if encoder_threads > 1 else 1.0)
    cpu = {
        "decoder": frames * costs.decoder.ms(size) + looks * costs.look.ms(look),
        "inference": looks * costs.inference.ms(look) + networks,
        "tracker": looks * costs.tracker.ms(look),
    }
    loop = dict(cpu)
    if fused:
        cpu[FUSED], loop[FUSED] = drawn + coded, drawn + coded / encoder_threads
    else:
        cpu["renderer"] = loop["renderer"] = drawn
        cpu["encoder"], loop["encoder"] = coded, coded / encoder_threads
    return {
        name: Work(
            (cpu[name] + beside[name]) / 1e3, (loop[name] + beside[name]) / 1e3, processes.idle_ms_per_s[name] / 1e3
        )
        for name in cpu
    }


def gpu_megapixels(camera: Camera) -> float:
    """Megapixels a second that one camera's detectors look at, all networks together."""
    return sum(camera.rates().values()) * camera.look_megapixels


def bytes_per_s(camera: Camera, figures: Calibration, *, fused: bool = True) -> dict[str, float]:
    """Bytes a second that one camera writes to each topic, before copies."""
    sizes, looks = figures.bytes, camera.looks
    found = {
        VIDEO_SOURCE.name: camera.bitrate / 8 + camera.fps * sizes.source_overhead,
        FRAMES_DETECT.name: looks * sizes.look_per_megapixel * camera.look_megapixels,
        DETECTIONS.name: looks * sizes.detections,
        REDACTIONS.name: looks * sizes.redactions,
        VIDEO_REDACTED.name: camera.masked_bitrate / 8 + camera.fps * sizes.source_overhead,
        METADATA_TRACKS.name: looks * sizes.metadata_per_look,
    }
    if not fused:
        found[VIDEO_RENDERED.name] = camera.fps * sizes.rendered_per_megapixel * camera.megapixels
    return found


READERS: Mapping[str, int] = {
    VIDEO_SOURCE.name: 2,
    FRAMES_DETECT.name: 1,
    DETECTIONS.name: 1,
    REDACTIONS.name: 2,
    VIDEO_RENDERED.name: 1,
    VIDEO_REDACTED.name: 1,
    METADATA_TRACKS.name: 1,
}
"""How often each byte of a topic is read: by the stages and the vault; masked video and metadata by one viewer each."""


def _network(figures: Calibration, name: str) -> Cost:
    if name not in figures.detectors:
        known = ", ".join(figures.detectors)
        raise PlanError(f"what looking for '{name}' costs was not measured; measured were {known}")
    return figures.detectors[name]
