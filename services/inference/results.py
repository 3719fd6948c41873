"""Turns what a detector answered into wire results, and refuses answers that can't be true."""

from collections.abc import Sequence

import numpy as np

from services.detect.interface import Boxes, Detector
from services.inference.views import joined
from services.schema import pb

_MAX_BOXES = 10_000
_KINDS = np.array(sorted(set(pb.Kind.values()) - {pb.KIND_UNSPECIFIED}))


def without_boxes(
    name: str, detector: Detector | None, status: pb.DetectorResult.Status, reason: str
) -> pb.DetectorResult:
    """The result of a detector that did not run to its end on this frame."""
    result = pb.DetectorResult(detector=name, status=status, reason=reason)
    if detector is not None:
        result.model, result.version = detector.model, detector.version
    return result


def checked(
    name: str,
    detector: Detector,
    answers: Sequence[tuple[pb.View, Boxes]],
    frame: pb.DetectFrame,
    latency_s: float,
) -> pb.DetectorResult:
    """RAN with the boxes of all views in source pixels, or FAILED where those of one of them can't be true."""
    for view, boxes in answers:
        if fault := _fault(boxes, view.width, view.height):
            return without_boxes(name, detector, pb.DetectorResult.FAILED, f"the {name} detector answered {fault}")
    result = without_boxes(name, detector, pb.DetectorResult.RAN, "")
    result.latency_us = int(latency_s * 1e6)
    boxes = joined(answers, frame)
    if len(boxes):
        result.boxes.xyxy.extend(boxes.xyxy.ravel().tolist())
        result.boxes.score.extend(boxes.score.tolist())
        result.boxes.kind.extend(boxes.kind.tolist())
    return result


def _fault(boxes: Boxes, width: int, height: int) -> str:
    """Why an answer is garbage; empty if it may be true. A box may stick out by half the picture."""
    xyxy, score = boxes.xyxy, boxes.score
    if len(boxes) > _MAX_BOXES:
        return f"more than {_MAX_BOXES} boxes"
    if not len(boxes):
        return ""
    if not (np.isfinite(xyxy).all() and np.isfinite(score).all()):
        return "numbers that are not finite"
    if score.min() < 0 or score.max() > 1:
        return "scores outside 0–1"
    if not (xyxy[:, :2] <= xyxy[:, 2:]).all():
        return "boxes with negative size"
    room = np.array([width, height, width, height], np.float32)
    if (xyxy < -0.5 * room).any() or (xyxy > 1.5 * room).any():
        return "boxes far outside the picture"
    if not np.isin(boxes.kind, _KINDS).all():
        return "kinds that do not exist"
    return ""
