"""Reads back what a video shows and when."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def luma(path: Path) -> list[NDArray[np.uint8]]:
    """The Y plane of every frame."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray8") for frame in container.decode(video=0)]


def times(path: Path) -> list[float]:
    """Presentation time of every frame in seconds, from the first."""
    with av.open(str(path)) as container:
        found = [frame.time for frame in container.decode(video=0)]
    return [moment - found[0] for moment in found]
