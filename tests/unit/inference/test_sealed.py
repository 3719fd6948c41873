"""Sealed detection pictures: opened on the detectors' threads; what can't be opened fails, and says so."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE
from services.detect.interface import Boxes, Image
from services.envelope import KeyFolder, Opener, Sealer, context
from services.schema import pb
from tests.support.keys import add_key
from tests.unit.inference.harness import SIZE, Make, Scripted, frame, jpeg, nothing, statuses, wait

_Status = pb.DetectorResult


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    add_key(tmp_path, "a")
    return KeyFolder(tmp_path)


def _sealed(keys: KeyFolder, seq: int, camera: str = "cam", payload: bytes = b"") -> pb.Sealed:
    payload = payload or jpeg(np.full((*SIZE, 3), 120, np.uint8))
    return Sealer(keys).seal(camera, context(FRAMES_DETECT, camera, 5, seq), payload)


def test_a_sealed_picture_is_looked_at(make: Make, keys: KeyFolder) -> None:
    seen: list[float] = []

    def look(images: Sequence[Image]) -> Sequence[Boxes]:
        seen.extend(float(image.mean()) for image in images)
        return nothing(images)

    stage = make(Scripted("face", look), opener=Opener(keys))
    stage.submit(frame(3, sealed=_sealed(keys, 3), attached=None))
    assert statuses(wait(stage, 1)[0]) == {"face": _Status.RAN}
    assert seen == [pytest.approx(120, abs=3)]


def test_i2_what_cannot_be_opened_fails_every_detector_and_the_line_goes_on(make: Make, keys: KeyFolder) -> None:
    good = _sealed(keys, 2)
    changed = pb.Sealed.FromString(good.SerializeToString())
    changed.ciphertext = changed.ciphertext[:-1] + bytes([changed.ciphertext[-1] ^ 1])
    gone = pb.Sealed.FromString(good.SerializeToString())
    gone.wrapped_by = "destroyed"
    elsewhere = Sealer(keys).seal("cam", context(VIDEO_SOURCE, "cam", 5, 2), jpeg(np.zeros((*SIZE, 3), np.uint8)))
    faults = {
        "belongs to another frame": (changed, _sealed(keys, 3), elsewhere),
        "changed on its way": (_sealed(keys, 2, camera="yard"),),
        "There is no key destroyed": (gone,),
        "no valid nonce": (pb.Sealed(),),
        "the JPEG can't be decoded": (_sealed(keys, 2, payload=b"plain text\xff\xd9"),),
    }
    stage = make(Scripted("face", nothing), Scripted("plate", nothing), opener=Opener(keys))
    for why, sealed in faults.items():
        for message in sealed:
            stage.submit(frame(2, ("face", "plate"), sealed=message, attached=None))
            (bad,) = wait(stage, 1)
            assert statuses(bad) == {"face": _Status.FAILED, "plate": _Status.FAILED}
            assert all(why in result.reason for result in bad.detections.results), bad.detections.results
    stage.submit(frame(2, ("face", "plate"), sealed=good, attached=None))
    assert statuses(wait(stage, 1)[0]) == {"face": _Status.RAN, "plate": _Status.RAN}


def test_a_slow_key_service_does_not_hold_the_runners_thread(make: Make, keys: KeyFolder) -> None:
    answer = threading.Event()

    class Slow(KeyFolder):
        def unwrap(self, name: str, wrapped: bytes, aad: bytes) -> bytes:
            answer.wait(5)
            return super().unwrap(name, wrapped, aad)

    stage = make(Scripted("face", nothing), opener=Opener(Slow(keys.path)))
    began = time.monotonic()
    stage.submit(frame(1, sealed=_sealed(keys, 1), attached=None))
    assert stage.completed() == []
    assert time.monotonic() - began < 1
    answer.set()
    assert statuses(wait(stage, 1)[0]) == {"face": _Status.RAN}


def test_the_trace_goes_on(make: Make) -> None:
    stage = make(Scripted("face", nothing))
    before = time.time_ns() // 1000
    hop = pb.Hop(stage="decoder", received_us=before - 40_000, sent_us=before - 10_000)
    stage.submit(frame(1, trace=[hop], captured_us=hop.received_us))
    (message,) = wait(stage, 1)
    first, second = message.detections.trace
    assert first == hop
    assert second.stage == "inference"
    assert before <= second.received_us <= second.sent_us <= time.time_ns() // 1000
