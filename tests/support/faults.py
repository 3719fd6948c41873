"""Detectors that fail on purpose."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from services.detect.interface import Boxes, Detector, DetectorError, Image


class Faulty:
    """A detector that does `fault` instead of its work at the calls that `when` names, counted from 0."""

    def __init__(self, inner: Detector, when: Callable[[int], bool], fault: str) -> None:
        self.inner = inner
        self.when = when
        self.fault = fault
        self.calls = 0
        self.name, self.model, self.version = inner.name, inner.model, inner.version

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        answers = []
        for image in images:
            number, self.calls = self.calls, self.calls + 1
            if self.when(number) and self.fault != "delay":
                answers.append(self._break())
                continue
            if self.when(number):
                time.sleep(0.1)
            answers.append(self.inner.detect((image,), timeout_s)[0])
        return answers

    def _break(self) -> Boxes:
        nan = np.full((1, 4), np.nan, np.float32)
        match self.fault:
            case "raise":
                raise DetectorError("killed")
            case "crash":
                raise ZeroDivisionError
            case "hang":
                time.sleep(5)
                return Boxes.empty()
            case "nan":
                return Boxes(nan, np.ones(1, np.float32), np.ones(1, np.int32))
            case "score":
                return Boxes(np.zeros((1, 4), np.float32), np.full(1, 7, np.float32), np.ones(1, np.int32))
        raise ValueError(self.fault)
