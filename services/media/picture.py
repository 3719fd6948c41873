"""Planar pictures: the decoder's own colour planes, masked and encoded without a trip through RGB."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Picture:
    """A YUV 4:2:0 picture in one buffer: luma, then Cb, then Cr, without padding between rows.

    Attributes:
        data: (height * 3 / 2, width) uint8, C-contiguous; height and width even.
        full_range: luma spans 0–255 instead of 16–235.
    """

    data: NDArray[np.uint8]
    full_range: bool = False

    def __post_init__(self) -> None:
        rows, width = self.data.shape
        if rows % 3 or width % 2 or (rows // 3 * 2) % 2 or not self.data.flags.c_contiguous:
            raise ValueError(f"not an even-sized contiguous I420 buffer: {self.data.shape}")

    @property
    def height(self) -> int:
        return int(self.data.shape[0]) // 3 * 2

    @property
    def width(self) -> int:
        return int(self.data.shape[1])

    @property
    def y(self) -> NDArray[np.uint8]:
        """Luma, (height, width), a view."""
        return self.data[: self.height]

    @property
    def u(self) -> NDArray[np.uint8]:
        """Cb, (height / 2, width / 2), a view."""
        h, w = self.height, self.width
        return self.data.reshape(-1)[h * w : h * w * 5 // 4].reshape(h // 2, w // 2)

    @property
    def v(self) -> NDArray[np.uint8]:
        """Cr, (height / 2, width / 2), a view."""
        h, w = self.height, self.width
        return self.data.reshape(-1)[h * w * 5 // 4 :].reshape(h // 2, w // 2)

    def copy(self) -> "Picture":
        """A picture of its own that may be written into."""
        return Picture(self.data.copy(), self.full_range)
