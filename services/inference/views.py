"""What detectors found in the views of a picture, as one: in source pixels, each subject once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.detect.interface import Boxes
from services.detect.postprocess import suppress
from services.schema import pb

_SAME = 0.5
"""Overlap from which two boxes of one kind in different views are one subject."""
_EDGE_PX = 2.0


def whole_view(frame: pb.DetectFrame) -> pb.View:
    """The view of a picture that is not composed: all of it shows all of the source picture."""
    return pb.View(
        width=frame.width, height=frame.height, source_width=frame.source_width, source_height=frame.source_height
    )


def joined(answers: Sequence[tuple[pb.View, Boxes]], frame: pb.DetectFrame) -> Boxes:
    """The boxes of all views in source pixels. What the edge of a part cuts through is left to the other views."""
    if len(answers) == 1:
        ((view, boxes),) = answers
        return Boxes(_in_source(view, boxes), boxes.score, boxes.kind)
    found = [_whole(view, boxes, frame) for view, boxes in answers]
    xyxy, score, kind = (
        np.concatenate([getattr(boxes, name) for boxes in found]) for name in ("xyxy", "score", "kind")
    )
    kept = [
        rows[suppress(xyxy[rows], score[rows], _SAME)] for rows in (np.flatnonzero(kind == one) for one in set(kind))
    ]
    order = np.concatenate(kept) if kept else np.zeros(0, np.intp)
    return Boxes(xyxy[order], score[order], kind[order])


def _in_source(view: pb.View, boxes: Boxes) -> NDArray[np.float32]:
    x, y = view.source_width / view.width, view.source_height / view.height
    offset = np.array([view.source_x, view.source_y] * 2, np.float32)
    return (boxes.xyxy * np.array([x, y, x, y], np.float32) + offset).astype(np.float32)


def _whole(view: pb.View, boxes: Boxes, frame: pb.DetectFrame) -> Boxes:
    """The boxes in source pixels, without those that touch an edge of the view which is none of the source picture."""
    xyxy = _in_source(view, boxes)
    low = np.array([view.source_x, view.source_y], np.float32)
    high = low + np.array([view.source_width, view.source_height], np.float32)
    cut = ((xyxy[:, :2] < low + _EDGE_PX) & (low > 0)).any(axis=1)
    cut |= ((xyxy[:, 2:] > high - _EDGE_PX) & (high < (frame.source_width, frame.source_height))).any(axis=1)
    return Boxes(xyxy[~cut], boxes.score[~cut], boxes.kind[~cut])
