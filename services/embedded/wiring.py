"""Puts the five stages together on one memory bus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2

from services.bus.interface import Bus
from services.bus.memory import MemoryBus
from services.bus.topics import (
    DETECTIONS,
    FRAMES_DETECT,
    METADATA_STATS,
    METADATA_TRACKS,
    REDACTIONS,
    VIDEO_REDACTED,
    VIDEO_RENDERED,
    VIDEO_SOURCE,
    Topic,
)
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.detect.interface import Detector
from services.embedded.line import Line
from services.encoder.settings import EncoderSettings
from services.encoder.stage import EncoderStage
from services.inference.settings import InferenceSettings
from services.inference.stage import InferenceStage
from services.media.sink import Target
from services.media.sources import Camera
from services.policy.model import PolicyBook
from services.renderer.settings import RendererSettings
from services.renderer.stage import RendererStage
from services.runtime.memory import keep_freed_memory
from services.runtime.stage import Stage
from services.tracker.settings import TrackerSettings
from services.tracker.stage import TrackerStage

RECORDER = "recorder"
RECORDED: tuple[Topic, ...] = (VIDEO_REDACTED, METADATA_TRACKS, METADATA_STATS, DETECTIONS)

_READERS: Mapping[Topic, tuple[str, ...]] = {
    VIDEO_SOURCE: ("renderer",),
    FRAMES_DETECT: ("inference",),
    DETECTIONS: ("tracker", RECORDER),
    REDACTIONS: ("renderer",),
    VIDEO_RENDERED: ("encoder",),
    VIDEO_REDACTED: (RECORDER,),
    METADATA_TRACKS: (RECORDER,),
    METADATA_STATS: (RECORDER,),
}

# A dozen detection pictures on the bus and as many in the stage keep the detectors busy. More would only let the
# decoder run further ahead, with every picture in between held in memory.
_DETECT_MB = 8


class Listener(Protocol):
    """One more reader of a line's messages, in the main thread."""

    @property
    def name(self) -> str:
        """Its group on the bus."""

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What it reads, from the first message on."""

    def join(self, bus: Bus) -> None:
        """Begins to read."""

    def poll(self) -> bool:
        """Takes what is there without waiting. False if nothing was."""


@dataclass(frozen=True, slots=True)
class EmbeddedLine:
    """The line and the parts of it that a caller asks afterwards."""

    line: Line
    bus: MemoryBus
    decoder: DecoderStage
    encoder: EncoderStage


def embedded_line(
    cameras: Sequence[Camera],
    policies: PolicyBook,
    targets: Mapping[str, Sequence[Target]],
    detectors: Mapping[str, Detector],
    detector_timeout_s: float,
    listener: Listener | None = None,
    vault: Stage | None = None,
    tracking: TrackerSettings | None = None,
) -> EmbeddedLine:
    """The whole line in one process, not started yet.

    Args:
        cameras: what to read.
        policies: policy of each camera.
        targets: camera_id → where its masked video goes.
        detectors: by the name that policies use.
        detector_timeout_s: deadline of one detector call; a file can wait longer than a live camera.
        listener: reads along.
        vault: keeps originals.
        tracking: settings of the tracker, those of the environment if left out.
    """
    inference = InferenceStage(InferenceSettings(timeout_s=detector_timeout_s, in_flight_mb=_DETECT_MB), detectors)
    between: tuple[Stage, ...] = (inference, TrackerStage(tracking or TrackerSettings(), policies))
    readers = _with(_READERS, listener)
    if vault is not None:
        between = (*between, vault)
        readers = {**readers, **{topic: (*readers[topic], vault.name) for topic in vault.inputs}}
    return _line(cameras, policies, policies, targets, between, readers)


def told_line(
    cameras: Sequence[Camera],
    policies: PolicyBook,
    targets: Mapping[str, Sequence[Target]],
    teller: Stage,
    decoding: PolicyBook,
) -> EmbeddedLine:
    """A line in which one stage says what is masked, in place of detectors and tracker; not started yet.

    Args:
        cameras: what to read.
        policies: policy of each camera.
        targets: camera_id → where its masked video goes.
        teller: reads frames.detect and writes redactions.
        decoding: what the decoder takes for the policies: how often the teller hears of the stream.
    """
    readers = {topic: names for topic, names in _READERS.items() if topic is not DETECTIONS}
    return _line(cameras, policies, decoding, targets, (teller,), {**readers, FRAMES_DETECT: (teller.name,)})


def _with(readers: Mapping[Topic, tuple[str, ...]], listener: Listener | None) -> Mapping[Topic, tuple[str, ...]]:
    if listener is None:
        return readers
    return {**readers, **{topic: (*readers[topic], listener.name) for topic in listener.topics}}


def _line(
    cameras: Sequence[Camera],
    policies: PolicyBook,
    decoding: PolicyBook,
    targets: Mapping[str, Sequence[Target]],
    between: Sequence[Stage],
    readers: Mapping[Topic, tuple[str, ...]],
) -> EmbeddedLine:
    # OpenCV's own threads would compete with the stages' threads; what it does here takes well under a millisecond.
    cv2.setNumThreads(1)
    keep_freed_memory()
    bus = MemoryBus(groups=readers, limits={FRAMES_DETECT: _DETECT_MB << 20})
    decoder = DecoderStage(DecoderSettings(), cameras, decoding)
    encoder = EncoderStage(EncoderSettings(), targets, policies, expected=[camera.camera_id for camera in cameras])
    stages = (
        decoder,
        *between,
        RendererStage(RendererSettings(), policies),
        encoder,
    )
    return EmbeddedLine(Line(bus, stages), bus, decoder, encoder)
