"""One look: what the detectors said about one picture, checked before anything relies on it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.policy.model import AT_DECODER
from services.schema import pb
from services.tracker.faults import Fault
from services.tracker.rules import Rules

Candidate = list[float]
"""Centre x, y, width, height, score."""
Candidates = list[Candidate]
"""Lists, since most looks find a handful."""

_SMALLEST = 0.5
"""Pixels; clipping at the picture's edge can leave boxes without area."""

_AGE_SLACK_S = 0.2
"""Presentation times are rounded, and a look goes out with a picture, not between two."""

_HEAD_OF_HEIGHT, _HEAD_OF_WIDTH, _HEAD_MOST, _HEAD_ABOVE = 0.22, 0.45, 0.5, 0.1
"""Of a person's box: the head's height, at least and at most, and how much of it may lie above the box."""

_Missed = tuple[pb.Closing.Reason, str]
"""What became of a detector instead of a result: the code, and the end of a sentence that begins with its name."""

_FAILED: _Missed = (pb.Closing.DETECTOR_FAILED, "failed")
_STATUS: Mapping[pb.DetectorResult.Status, _Missed] = {
    pb.DetectorResult.FAILED: _FAILED,
    pb.DetectorResult.TIMED_OUT: (pb.Closing.DETECTOR_LATE, "timed out"),
    pb.DetectorResult.SKIPPED: (pb.Closing.DETECTOR_SKIPPED, "was skipped"),
}
_LEARNING: _Missed = (pb.Closing.DETECTOR_LEARNING, "was still learning the background")
_SILENT: _Missed = (pb.Closing.DETECTOR_SILENT, "gave no result")


@dataclass(slots=True)
class Look:
    """A picture that was looked at.

    Attributes:
        seconds: stream time since the first frame.
        captured_us: arrival at the decoder.
        rules: of the policy in force, None where none could be read.
        ran: detectors whose result can be relied on.
        faults: detector → what became of it instead.
        found: candidates by kind, from detectors that ran.
        broken: why the frames since the look before are not known, None if they are.
        ages: detector → seconds since it last ran, up to this look.
        spare: candidates by kind that belong to no track and may yet be the past of one.
        overflow: why not everything found here is followed, None if it is.
    """

    seq: int
    seconds: float
    captured_us: int
    rules: Rules | None
    ran: frozenset[str]
    faults: Mapping[str, _Missed]
    found: Mapping[int, Candidates]
    broken: Fault | None
    ages: Mapping[str, float]
    spare: dict[int, Candidates] = field(default_factory=dict)
    overflow: Fault | None = None

    def fault(self, rules: Rules) -> Fault | None:
        """Why the frames next to this look are not covered under `rules`, None if they are."""
        for name, longest_s in rules.detectors.items():
            missed = name in self.faults or longest_s == 0
            recent = not missed and self.ages.get(name, math.inf) <= longest_s + _AGE_SLACK_S
            if name not in self.ran and not recent:
                reason, ending = self.faults.get(name, _SILENT)
                return Fault(reason, f"Detector {name} {ending} at frame {self.seq}.", name)
        return self.overflow


def read_look(
    message: pb.Detections,
    seconds: float,
    rules: Rules | None,
    broken: Fault | None,
    ages: Mapping[str, float],
    boxes_max: int,
) -> Look:
    """A look from its message. A result that can't be true counts as failed, and none of its boxes is used.

    `ages` holds, for each detector that ran before, the seconds since it did.
    """
    ran: set[str] = set()
    faults: dict[str, _Missed] = {}
    found: dict[int, Candidates] = {}
    for result in message.results:
        name = result.detector
        if result.status != pb.DetectorResult.RAN:
            learns = name in AT_DECODER and result.status == pb.DetectorResult.SKIPPED
            faults[name] = _LEARNING if learns else _STATUS.get(result.status, _FAILED)
            continue
        if fault := _check_lengths(result.boxes, boxes_max):
            faults[name] = pb.Closing.DETECTOR_INVALID, fault
            continue
        xyxy = np.array(result.boxes.xyxy, np.float64)
        score = np.array(result.boxes.score, np.float64)
        if fault := _check_values(xyxy, score, message.source_width, message.source_height):
            faults[name] = pb.Closing.DETECTOR_INVALID, fault
            continue
        ran.add(name)
        for value, row in zip(result.boxes.kind, _centred(xyxy.reshape(-1, 4), score), strict=True):
            if min(row[2], row[3]) >= _SMALLEST:
                found.setdefault(value, []).append(row)
    # A detector that gave two results is trusted only if both ran.
    ran -= faults.keys()
    if rules is not None and any(kind.kind == pb.KIND_HEAD for kind in rules.kinds):
        found[pb.KIND_HEAD] = [head_of(person) for person in found.get(pb.KIND_PERSON, ())]
    return Look(message.seq, seconds, message.captured_us, rules, frozenset(ran), faults, found, broken, ages)


def head_of(person: Candidate) -> Candidate:
    """The part of a person's box that holds the head, however the person stands or sits, or where the box is cut off.

    A standing head is an eighth of the body; a box may begin above it or in it, and who bends has it at the side.
    """
    x, y, w, h, score = person
    top = y - h / 2
    height = min(max(_HEAD_OF_HEIGHT * h, _HEAD_OF_WIDTH * w), _HEAD_MOST * h)
    return [x, top - _HEAD_ABOVE * height + (1 + _HEAD_ABOVE) * height / 2, w, (1 + _HEAD_ABOVE) * height, score]


def _check_lengths(boxes: pb.Boxes, boxes_max: int) -> str:
    """What is wrong with the size of a result, empty if nothing is."""
    n = len(boxes.score)
    if len(boxes.xyxy) != 4 * n or len(boxes.kind) != n:
        return "gave lists of different lengths"
    return f"gave more than {boxes_max} boxes" if n > boxes_max else ""


def _check_values(xyxy: NDArray[np.float64], score: NDArray[np.float64], width: int, height: int) -> str:
    """What is wrong with the boxes of a result, empty if nothing is."""
    if not len(score):
        return ""
    if not (np.isfinite(xyxy).all() and np.isfinite(score).all()):
        return "gave boxes that are not numbers"
    if score.min() < 0 or score.max() > 1:
        return "gave scores outside 0 to 1"
    corners = xyxy.reshape(-1, 4)
    if (corners[:, 2:] < corners[:, :2]).any():
        return "gave boxes of negative size"
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    if low[0] < -width or low[1] < -height or high[0] > 2 * width or high[1] > 2 * height:
        return "gave boxes far outside the picture"
    return ""


def _centred(xyxy: NDArray[np.float64], score: NDArray[np.float64]) -> Candidates:
    rows = np.empty((len(score), 5))
    rows[:, :2] = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    rows[:, 2:4] = xyxy[:, 2:] - xyxy[:, :2]
    rows[:, 4] = score
    return rows.tolist()
