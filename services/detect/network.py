"""What all detectors share: pictures become a network's inputs, its answers become boxes, in whichever home it runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from services.detect.interface import Boxes, DetectorError, Image, Session, Tensors


class NetworkDetector(ABC):
    """A detector of one kind by one network.

    Args:
        session: the network, in process or on Triton.
        version: as `Detector.version` says.
        floor: lowest score that is reported; what is enough to mask is the tracker's business.
    """

    name: ClassVar[str]
    model: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]

    def __init__(self, session: Session, version: str, floor: float = 0.1) -> None:
        self.version = version
        self._session = session
        self._floor = floor

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        """Boxes of each image. All images together have `timeout_s`."""
        inputs = [self._inputs(image) for image in images]
        pictures = [picture for group in inputs for picture in group]
        answers = iter(self._session.run_each(self.outputs, pictures, timeout_s))
        return [
            self._boxes(image, [self._checked(picture, next(answers)) for picture in group])
            for image, group in zip(images, inputs, strict=True)
        ]

    @abstractmethod
    def _inputs(self, image: Image) -> Sequence[Image]:
        """What the network looks at for one image."""

    @abstractmethod
    def _shapes(self, height: int, width: int, /) -> Sequence[tuple[int, ...]]:
        """Shapes of the outputs for one input picture of this size."""

    @abstractmethod
    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        """Boxes of one image, in its own pixels, from the answers to its inputs."""

    def _checked(self, picture: Image, tensors: Tensors) -> Tensors:
        """The answer, if it can be true. No comparison with NaN holds: unchecked, it would mean nothing found."""
        height, width, _ = picture.shape
        for name, tensor, shape in zip(self.outputs, tensors, self._shapes(height, width), strict=True):
            if tensor.shape != shape:
                raise DetectorError(f"{self.model} answered {name} of shape {tensor.shape} instead of {shape}")
            if not np.isfinite(tensor).all():
                raise DetectorError(f"{self.model} answered numbers that are not finite in {name}")
        return tensors
