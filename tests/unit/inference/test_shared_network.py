"""Detectors that share a network: one call for each frame, and a result for each detector that the frame wants."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from services.detect.catalogue import ModelEntry, catalogue
from services.detect.interface import DetectorError, Image, Tensors
from services.detect.own import OwnDetector
from services.schema import pb
from tests.support.own_nets import KINDS, bundled
from tests.unit.inference.harness import SIZE, Make, Scripted, frame, nothing, statuses, wait

_RAN, _FAILED, _TIMED_OUT = pb.DetectorResult.RAN, pb.DetectorResult.FAILED, pb.DetectorResult.TIMED_OUT
_CELLS = sum(-(-SIZE[0] // 32) * 32 // stride * (-(-SIZE[1] // 32) * 32 // stride) for stride in (8, 16, 32))


def _found(outputs: Sequence[str]) -> Tensors:
    """One box in the first cell, surer in one output than in the one before it."""
    answers = []
    for output in outputs:
        answer = np.zeros((5, _CELLS), np.float32)
        answer[:, 0] = (0.5 + 0.1 * KINDS.index(output), 4, 4, 4, 4)
        answers.append(answer)
    return answers


class Network:
    """A session that answers as `script` says, and notes outputs and number of pictures of each call."""

    def __init__(self, script: Callable[[Sequence[str]], Tensors] = _found) -> None:
        self.script = script
        self.asked: list[tuple[tuple[str, ...], int]] = []

    def run_each(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> Sequence[Tensors]:
        self.asked.append((tuple(outputs), len(pictures)))
        return [self.script(outputs) for _ in pictures]


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    with bundled(tmp_path, b""):
        return catalogue().entry("veil")


def _detectors(network: Network, entry: ModelEntry) -> list[OwnDetector]:
    return [OwnDetector(network, entry, name) for name in KINDS]


def test_a_frame_that_wants_three_kinds_is_looked_at_once(make: Make, entry: ModelEntry) -> None:
    network = Network()
    stage = make(*_detectors(network, entry))
    stage.submit(frame(0, ("face", "plate", "person")))
    (message,) = wait(stage, 1)
    assert network.asked == [(KINDS, 1)]
    assert statuses(message) == dict.fromkeys(KINDS, _RAN)
    for place, (name, result) in enumerate(zip(KINDS, message.detections.results, strict=True)):
        assert (result.detector, result.model, result.version) == (name, "veil", entry.stamp)
        assert list(result.boxes.score) == pytest.approx([0.5 + 0.1 * place])
        assert list(result.boxes.kind) == [place + 1]
        # A cell's centre is at 4, 4; the source is twice as wide and three times as high as the picture.
        assert list(result.boxes.xyxy) == [0, 0, 16, 24]


def test_only_what_a_frame_wants_is_asked_for_and_answered(make: Make, entry: ModelEntry) -> None:
    network = Network()
    stage = make(*_detectors(network, entry), Scripted("text", nothing))
    wanted = [("person", "face"), ("text",), ("plate", "text"), ("face",)]
    messages = []
    for seq, names in enumerate(wanted):
        stage.submit(frame(seq, names))
        messages += wait(stage, 1)
    assert [statuses(message) for message in messages] == [dict.fromkeys(names, _RAN) for names in wanted]
    assert [outputs for outputs, _ in network.asked] == [("person", "face"), ("plate",), ("face",)]


def test_frames_that_want_different_kinds_share_a_call_and_get_their_own_results(make: Make, entry: ModelEntry) -> None:
    network = Network()
    stage = make(*_detectors(network, entry), max_batch=8)
    stage._pool._changed.acquire()
    try:
        stage.submit(frame(0, ("face",)))
        stage.submit(frame(1, ("plate",)))
    finally:
        stage._pool._changed.release()
    first, second = wait(stage, 2)
    assert network.asked == [(("face", "plate"), 2)]
    assert (statuses(first), statuses(second)) == ({"face": _RAN}, {"plate": _RAN})


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (DetectorError("gone"), _FAILED, "the {} detector failed: gone"),
        (TimeoutError(), _TIMED_OUT, "the {} detector did not answer in time"),
    ],
)
def test_i2_a_network_that_fails_fails_for_every_kind(
    make: Make, entry: ModelEntry, caplog: pytest.LogCaptureFixture, error: Exception, status: int, reason: str
) -> None:
    def fail(_: Sequence[str]) -> Tensors:
        raise error

    stage = make(*_detectors(Network(fail), entry))
    stage.submit(frame(0, ("face", "person")))
    (message,) = wait(stage, 1)
    assert statuses(message) == {"face": status, "person": status}
    assert [result.reason for result in message.detections.results] == [reason.format(n) for n in ("face", "person")]
    assert [record.message for record in caplog.records] == [
        reason.format("{}").replace("{} detector", "veil network (face, plate, person)")
    ]


def test_i2_nonsense_in_one_output_is_believed_in_none(make: Make, entry: ModelEntry) -> None:
    def plates_of_nan(outputs: Sequence[str]) -> Tensors:
        return [
            answer * np.nan if name == "plate" else answer
            for name, answer in zip(outputs, _found(outputs), strict=True)
        ]

    stage = make(*_detectors(Network(plates_of_nan), entry))
    stage.submit(frame(0, KINDS))
    stage.submit(frame(1, ("face", "person")))
    both = wait(stage, 2)
    assert statuses(both[0]) == dict.fromkeys(KINDS, _FAILED)
    assert statuses(both[1]) == {"face": _RAN, "person": _RAN}


def test_i2_a_picture_that_cannot_be_read_fails_for_every_kind(make: Make, entry: ModelEntry) -> None:
    stage = make(*_detectors(Network(), entry))
    stage.submit(frame(0, KINDS, attached=None, jpeg=b"no picture"))
    (message,) = wait(stage, 1)
    assert statuses(message) == dict.fromkeys(KINDS, _FAILED)
