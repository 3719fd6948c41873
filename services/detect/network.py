"""What all detectors share: pictures become a network's inputs, its answers become boxes, in whichever home it runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from services.detect.interface import Boxes, DetectorError, Image, Session, Tensors
from services.detect.scores import AS_IT_IS, Scale


class NetworkDetector(ABC):
    """A detector of one kind by one network. Several may share a session: they look at the same inputs.

    Args:
        session: the network, in process or on Triton.
        version: as `Detector.version` says.
        floor: lowest score that is reported; what is enough to mask is the tracker's business.
        scale: what the network's scores mean.
    """

    name: str
    model: str
    outputs: tuple[str, ...]

    def __init__(self, session: Session, version: str, floor: float = 0.1, scale: Scale = AS_IT_IS) -> None:
        self.version = version
        self.session = session
        self._floor = scale.floor(floor)
        self._scale = scale

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        """Boxes of each image. All images together have `timeout_s`."""
        return detect_together([self], images, timeout_s)[self.name]

    @abstractmethod
    def inputs(self, image: Image) -> Sequence[Image]:
        """What the network looks at for one image."""

    @abstractmethod
    def _shapes(self, height: int, width: int, /) -> Sequence[tuple[int, ...]]:
        """Shapes of the outputs for one input picture of this size."""

    @abstractmethod
    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        """Boxes of one image, in its own pixels, from the answers to its inputs, with the network's own scores."""

    def found(self, image: Image, pictures: Sequence[Image], answers: Sequence[Tensors]) -> Boxes:
        """Boxes of one image, from this detector's outputs for its inputs. Raises DetectorError."""
        checked = [self._checked(picture, answer) for picture, answer in zip(pictures, answers, strict=True)]
        return self._scale.applied(self._boxes(image, checked))

    def _checked(self, picture: Image, tensors: Tensors) -> Tensors:
        """The answer, if it can be true. No comparison with NaN holds: unchecked, it would mean nothing found."""
        height, width, _ = picture.shape
        for name, tensor, shape in zip(self.outputs, tensors, self._shapes(height, width), strict=True):
            if tensor.shape != shape:
                raise DetectorError(f"{self.model} answered {name} of shape {tensor.shape} instead of {shape}")
            if not np.isfinite(tensor).all():
                raise DetectorError(f"{self.model} answered numbers that are not finite in {name}")
        return tensors


def detect_together(
    detectors: Sequence[NetworkDetector], images: Sequence[Image], timeout_s: float
) -> Mapping[str, Sequence[Boxes]]:
    """Detector → boxes of each image, from one pass of the session that the detectors share, asked for their outputs.

    All images together have `timeout_s`. Raises TimeoutError, or DetectorError where an answer to any of them can't be
    true: a network that answers nonsense in one output is not believed in the others.
    """
    first = detectors[0]
    inputs = [first.inputs(image) for image in images]
    pictures = [picture for group in inputs for picture in group]
    outputs = [name for detector in detectors for name in detector.outputs]
    answers = first.session.run_each(outputs, pictures, timeout_s)
    found: dict[str, Sequence[Boxes]] = {}
    begin = 0
    for detector in detectors:
        end = begin + len(detector.outputs)
        own = iter([answer[begin:end] for answer in answers])
        found[detector.name] = [
            detector.found(image, group, [next(own) for _ in group])
            for image, group in zip(images, inputs, strict=True)
        ]
        begin = end
    return found
