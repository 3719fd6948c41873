"""What the decoder's tests share: policies, and reading back what it sent."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.bus.interface import Record
from services.bus.topics import VIDEO_SOURCE
from services.decoder.stage import DecoderStage
from services.policy.model import Detection, Policy, Tracking
from services.schema import pb


def policy(**changes: object) -> Policy:
    given = {"detection": Detection(every_min=3, every_max=8), "tracking": Tracking(look_ahead_s=1.0)} | changes
    return Policy.model_validate({"name": "test"} | given)


@dataclass
class Sent:
    """Records, taken apart."""

    units: list[pb.AccessUnit] = field(default_factory=list)
    pictures: list[NDArray[np.uint8] | None] = field(default_factory=list)
    sound: list[pb.AudioUnit] = field(default_factory=list)
    looks: list[pb.DetectFrame] = field(default_factory=list)
    images: list[NDArray[np.uint8] | None] = field(default_factory=list)
    source_ends: list[pb.EndOfStream] = field(default_factory=list)
    detect_ends: list[pb.EndOfStream] = field(default_factory=list)

    def take(self, records: Iterable[Record]) -> "Sent":
        for record in records:
            if record.topic is VIDEO_SOURCE:
                message = pb.SourceMessage.FromString(record.value)
                body = message.WhichOneof("body")
                if body == "unit":
                    self.units.append(message.unit)
                    self.pictures.append(record.attachment)
                elif body == "audio":
                    self.sound.append(message.audio)
                else:
                    self.source_ends.append(message.end)
            else:
                detect = pb.DetectMessage.FromString(record.value)
                if detect.WhichOneof("body") == "frame":
                    self.looks.append(detect.frame)
                    self.images.append(record.attachment)
                else:
                    self.detect_ends.append(detect.end)
        return self


def run(stage: DecoderStage, until: Callable[[Sent], bool] | None = None, timeout_s: float = 20) -> Sent:
    """Collects until the stage is finished, or `until` says so; then closes it."""
    sent = Sent()
    deadline = time.monotonic() + timeout_s
    while not (stage.finished or (until is not None and until(sent))):
        assert time.monotonic() < deadline, f"no end: {len(sent.units)} units"
        emissions = stage.completed()
        for emission in emissions:
            assert not emission.done
            sent.take(emission.records)
        if not emissions:
            time.sleep(0.002)
    stage.close()
    for emission in stage.join(10):
        sent.take(emission.records)
    return sent
