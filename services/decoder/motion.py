"""The detector that runs at the decoder: what moves in front of one camera, from the pictures as they come."""

import time

import numpy as np

from services.decoder.cadence import Why
from services.media.alignment import Luma
from services.media.background import Background, Sight
from services.policy.model import Kind
from services.schema import pb

NAME = Kind.MOTION.detector
MODEL, VERSION = "background", "1"


class MotionDetector:
    """Looks for what moves in the pictures of one epoch.

    Args:
        width, height: of the upright source picture.
        rotation: clockwise degrees (0, 90, 180, 270) that turn the coded picture upright.
        absorb_s: how long something that came must stand still to be masked no more.
    """

    def __init__(self, width: int, height: int, rotation: int, absorb_s: float) -> None:
        self._turns = rotation // 90
        self._edge = np.array([width, height], np.float32)
        self._background = Background(absorb_s)

    def look(self, luma: Luma, time_s: float, why: Why) -> pb.DetectorResult:
        """What moves in the next picture that is looked at.

        Args:
            luma: (height, width) as coded, before rotation.
            time_s: when it is shown.
            why: what made it one to look at.
        """
        began = time.monotonic()
        upright = np.ascontiguousarray(np.rot90(luma, -self._turns)) if self._turns else luma
        sight = self._background.look(upright, time_s, cut=why is Why.CUT)
        result = self._result(sight, upright)
        result.latency_us = int((time.monotonic() - began) * 1e6)
        return result

    def _result(self, sight: Sight, luma: Luma) -> pb.DetectorResult:
        """The sight as it travels. Upright pictures are of even size: a row or a column more repeats the last."""
        boxes = sight.boxes.copy()
        end = np.array(luma.shape[::-1], np.float32)
        boxes[:, 2:] = np.where(boxes[:, 2:] >= end, self._edge, boxes[:, 2:])
        return pb.DetectorResult(
            detector=NAME,
            model=MODEL,
            version=VERSION,
            status=sight.status,
            reason=sight.reason,
            boxes=pb.Boxes(xyxy=boxes.ravel().tolist(), score=[1.0] * len(boxes), kind=[pb.KIND_MOTION] * len(boxes)),
        )
