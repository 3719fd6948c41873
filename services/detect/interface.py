"""What a detector is: pictures in, boxes out, and a name and version that can be written down."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""RGB, (height, width, 3), uint8."""

Tensors = Sequence[NDArray[np.float32]]
"""A network's outputs for one picture, in the order asked for, without the batch's dimension."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Detections as parallel arrays.

    Attributes:
        xyxy: (n, 4) float32, pixels of the picture they were found in.
        score: (n,) float32, 0–1.
        kind: (n,) int32, values of veil.v1 Kind.
    """

    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    kind: NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.score)
        if self.xyxy.shape != (n, 4) or self.kind.shape != (n,):
            raise ValueError(f"boxes {self.xyxy.shape}, scores {self.score.shape}, kinds {self.kind.shape}")

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def empty(cls) -> "Boxes":
        """No boxes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


class DetectorError(Exception):
    """A detector could not do its work; the text never holds picture content."""


class Detector(Protocol):
    """Finds one or more kinds in pictures. May be called from several threads at once."""

    @property
    def name(self) -> str:
        """What policies ask for: face, plate, person, text, logo."""

    @property
    def model(self) -> str:
        """The model's name in the catalogue."""

    @property
    def version(self) -> str:
        """The model's version and the first 12 digits of its SHA-256."""

    def detect(self, images: Sequence[Image], timeout_s: float) -> Sequence[Boxes]:
        """Boxes of each image, in its own pixels. Raises DetectorError, or TimeoutError after `timeout_s`."""


class Session(Protocol):
    """A loaded network in one of its homes. May be called from several threads at once."""

    def run_each(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> Sequence[Tensors]:
        """The named outputs for each picture. All pictures together have `timeout_s`.

        Raises DetectorError, or TimeoutError when the time is over.
        """
