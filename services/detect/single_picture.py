"""What the in-process detectors share: one model, one kind, one picture after the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import monotonic
from typing import ClassVar

from services.detect.interface import Boxes, Image
from services.detect.onnx_runtime import OnnxSession


class SinglePictureDetector(ABC):
    """A detector that looks at one picture at a time: on a CPU a batch is no faster and needs n times the memory.

    Args:
        session: the model.
        version: as `Detector.version` says.
        floor: lowest score that is reported; what is enough to mask is the tracker's business.
    """

    name: ClassVar[str]
    model: ClassVar[str]

    def __init__(self, session: OnnxSession, version: str, floor: float = 0.1) -> None:
        self.version = version
        self._session = session
        self._floor = floor

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        """Boxes of each image. All images together have `timeout_s`."""
        until = monotonic() + timeout_s
        return [self._one(image, until - monotonic()) for image in images]

    @abstractmethod
    def _one(self, image: Image, timeout_s: float) -> Boxes:
        """Boxes of one image, in its own pixels."""
