"""What one process says of itself at one moment, read from the text of its metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

# How `veil watch` calls a figure, and the counters and gauges it is the sum of.
_SUMS = {
    "dead_letters": ("veil_runner_dead_letters_total",),
    "blocked_s": ("veil_runner_blocked_seconds_total",),
    "restarts": ("veil_service_restarts_total",),
    "encoded": ("veil_encoder_frames_total",),
    "closed": ("veil_encoder_closed_frames_total", "veil_encoder_dropped_frames_total"),
    "shed": ("veil_decoder_shed_total",),
    "suspects": ("veil_auditor_suspects_total",),
    "cpu_s": ("process_cpu_seconds_total",),
    "memory": ("process_resident_memory_bytes",),
}
_FIGURE_OF = {metric: figure for figure, metrics in _SUMS.items() for metric in metrics}


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts since the process began, unless said otherwise.

    Attributes:
        frames: by stage and camera.
        age_s: of the newest frame that left, by stage and camera: as it was when that frame left.
        lag: messages that wait, by stage and topic.
        sums: the figures named in this module; one that the process does not have is absent.
        lag_s: age of the oldest message that waits, by stage and topic.
        suspects: what an auditor found open, by camera and kind.
    """

    frames: Mapping[tuple[str, str], float] = field(default_factory=dict)
    age_s: Mapping[tuple[str, str], float] = field(default_factory=dict)
    lag: Mapping[tuple[str, str], float] = field(default_factory=dict)
    sums: Mapping[str, float] = field(default_factory=dict)
    lag_s: Mapping[tuple[str, str], float] = field(default_factory=dict)
    suspects: Mapping[tuple[str, str], float] = field(default_factory=dict)


def parse(text: str) -> Figures:
    """Reads the Prometheus text format. Raises ValueError on anything else."""
    frames, age_s, lag, lag_s, suspects = {}, {}, {}, {}, {}
    sums: dict[str, float] = {}
    for sample in _samples(text):
        labels = sample.labels
        if sample.name == "veil_camera_frames_total":
            frames[labels["stage"], labels["camera"]] = sample.value
        elif sample.name == "veil_camera_age_seconds":
            age_s[labels["stage"], labels["camera"]] = sample.value
        elif sample.name == "veil_runner_lag_messages":
            lag[labels["stage"], labels["topic"]] = sample.value
        elif sample.name == "veil_runner_lag_seconds":
            lag_s[labels["stage"], labels["topic"]] = sample.value
        elif sample.name in _FIGURE_OF:
            if sample.name == "veil_auditor_suspects_total":
                suspects[labels["camera"], labels["kind"]] = sample.value
            figure = _FIGURE_OF[sample.name]
            sums[figure] = sums.get(figure, 0.0) + sample.value
    return Figures(frames, age_s, lag, sums, lag_s, suspects)


def _samples(text: str) -> Iterable[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples
