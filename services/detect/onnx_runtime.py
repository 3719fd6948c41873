"""The in-process home of detectors: one ONNX Runtime session per model, with a deadline on every run."""

from collections.abc import Sequence
from threading import Timer
from time import monotonic

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from services.detect.interface import DetectorError, Image, Tensors

ort.set_default_logger_severity(3)


class OnnxSession:
    """A loaded model whose one input is `images`: (n, height, width, 3) uint8 RGB."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        """Loads `model`, the bytes of an ONNX file. Raises DetectorError if ONNX Runtime refuses them."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A pattern is kept for every picture shape ever seen; without it memory is flat and the speed the same.
        options.enable_mem_pattern = False
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise DetectorError(f"ONNX Runtime can't load the model: {_first_line(error)}") from error

    def run_each(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> Sequence[Tensors]:
        """The named outputs for each picture, one after the other: on a CPU a batch is no faster and needs more memory.

        Raises TimeoutError when `timeout_s` is over for all of them together, else DetectorError.
        """
        until = monotonic() + timeout_s
        return [[tensor[0] for tensor in self.run(outputs, picture[None], until - monotonic())] for picture in pictures]

    def run(self, outputs: Sequence[str], images: NDArray[np.uint8], timeout_s: float) -> list[NDArray[np.float32]]:
        """The named outputs. Raises TimeoutError when the run is cut short after `timeout_s`, else DetectorError.

        ONNX Runtime looks at the flag between two operators, so the overrun is one operator at most.
        """
        run = ort.RunOptions()
        run.log_severity_level = 4
        watch = Timer(timeout_s, setattr, (run, "terminate", True))
        watch.daemon = True
        watch.start()
        try:
            return list(self._session.run(list(outputs), {"images": images}, run))
        except Exception as error:
            if run.terminate:
                raise TimeoutError(f"no answer within {timeout_s:.2g} s") from None
            raise DetectorError(f"ONNX Runtime failed: {_first_line(error)}") from error
        finally:
            watch.cancel()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
