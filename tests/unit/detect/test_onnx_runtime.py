"""The in-process home: what it gives back, and that a run can't outlast its deadline."""

import time

import numpy as np
import pytest

from services.detect.interface import DetectorError
from services.detect.onnx_runtime import OnnxSession
from tests.support import graphs


def test_it_runs_pictures_of_any_shape() -> None:
    session = OnnxSession(graphs.mean())
    for shape in ((1, 4, 5, 3), (2, 8, 3, 3)):
        (mean,) = session.run(("mean",), np.full(shape, 7, np.uint8), timeout_s=5)
        assert mean.tolist() == [7.0] * shape[0]


def test_a_run_is_cut_short_at_its_deadline() -> None:
    session = OnnxSession(graphs.slow(steps=400))
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        session.run(("out",), np.zeros((1, 2000, 2000, 3), np.uint8), timeout_s=0.05)
    assert time.monotonic() - began < 2


def test_the_next_run_after_a_cut_one_works() -> None:
    session = OnnxSession(graphs.slow(steps=400))
    with pytest.raises(TimeoutError):
        session.run(("out",), np.zeros((1, 2000, 2000, 3), np.uint8), timeout_s=0.05)
    (out,) = session.run(("out",), np.zeros((1, 2, 2, 3), np.uint8), timeout_s=5)
    assert not out.any()


def test_a_file_that_is_no_model_is_refused_with_one_sentence() -> None:
    with pytest.raises(DetectorError, match="can't load the model") as caught:
        OnnxSession(b"no model")
    assert "\n" not in str(caught.value)


def test_a_failing_run_is_a_detector_error() -> None:
    with pytest.raises(DetectorError, match="ONNX Runtime failed"):
        OnnxSession(graphs.mean()).run(("mean",), np.zeros((4, 5, 3), np.uint8), timeout_s=5)
