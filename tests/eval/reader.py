"""The attacker's reader of plates: PP-OCRv4's recognition of one line of text, run by ONNX Runtime.

Apache-2.0, out of the PyPI package rapidocr-onnxruntime. It reads BGR of 48 rows scaled to -1…1 and gives, for each
step along the line, a score for every character; its alphabet is written in the file.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.detect.catalogue import Source
from tests.eval.downloads import packaged

_MODEL = Source(
    manager="pypi",
    package="rapidocr-onnxruntime",
    version="1.4.4",
    file="rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
    sha256="48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
)
_ROWS = 48
_COLUMNS_LEAST, _COLUMNS_MOST = 96, 960


@dataclass(frozen=True)
class Reading:
    """Letters and digits of a line, in capitals, and the mean score of its characters."""

    text: str
    confidence: float


def read(picture: NDArray[np.uint8]) -> Reading:
    """What stands in an RGB crop of one line. Raises FetchError if the model can't be had."""
    height, width = picture.shape[:2]
    columns = int(np.clip(round(width * _ROWS / height), _COLUMNS_LEAST, _COLUMNS_MOST))
    line = cv2.resize(picture, (columns, _ROWS), interpolation=cv2.INTER_AREA if height > _ROWS else cv2.INTER_CUBIC)
    pixels = line[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    session, alphabet = _loaded()
    (scores,) = session.run(None, {"x": np.ascontiguousarray(pixels)})[0]
    best, sure = scores.argmax(axis=1), scores.max(axis=1)
    fresh = np.flatnonzero((best > 0) & (best != np.concatenate(([0], best[:-1]))))
    text = "".join(alphabet[best[step]] for step in fresh)
    return Reading("".join(filter(str.isalnum, text)).upper(), float(sure[fresh].mean()) if len(fresh) else 0.0)


@lru_cache(maxsize=1)
def _loaded() -> tuple[onnxruntime.InferenceSession, list[str]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(packaged(_MODEL), options)
    characters = session.get_modelmeta().custom_metadata_map["character"].split("\n")
    return session, ["", *characters, " "]
