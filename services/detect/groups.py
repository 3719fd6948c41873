"""Detectors that share a network are asked together: one pass over a picture answers for all of them."""

from collections.abc import Collection, Mapping, Sequence

from services.detect.interface import Boxes, Detector, Image
from services.detect.network import NetworkDetector, detect_together


class Group:
    """Detectors that share a network, or one by itself.

    Attributes:
        detectors: by the names that policies use.
        label: what logs call it.
    """

    def __init__(self, detectors: Mapping[str, Detector]) -> None:
        self.detectors = detectors
        first = next(iter(detectors.values()))
        names = ", ".join(detectors)
        self.label = f"{names} detector" if len(detectors) == 1 else f"{first.model} network ({names})"

    def detect(
        self, names: Collection[str], images: Sequence[Image], timeout_s: float
    ) -> Mapping[str, Sequence[Boxes]]:
        """Name → boxes of each image, for each of `names`. Raises DetectorError, or TimeoutError after `timeout_s`."""
        asked = [self.detectors[name] for name in names]
        together = [detector for detector in asked if isinstance(detector, NetworkDetector)]
        if len(together) > 1:
            return detect_together(together, images, timeout_s)
        return {name: self.detectors[name].detect(images, timeout_s) for name in names}


def grouped(detectors: Mapping[str, Detector]) -> Sequence[Group]:
    """The detectors by what they share, in the order given."""
    shared: dict[int, dict[str, Detector]] = {}
    for name, detector in detectors.items():
        one = detector.session if isinstance(detector, NetworkDetector) else detector
        shared.setdefault(id(one), {})[name] = detector
    return [Group(members) for members in shared.values()]
