"""JPEG from planes."""

import av
import numpy as np
import pytest

from services.media.decoding import packet_of
from services.media.picture import Picture
from services.media.planar_jpeg import PlanarJpegEncoder


def smooth(width: int, height: int) -> Picture:
    picture = Picture(np.zeros((height * 3 // 2, width), np.uint8))
    picture.y[:] = np.linspace(16, 235, width).astype(np.uint8)
    picture.u[:] = np.linspace(60, 180, height // 2).astype(np.uint8)[:, None]
    picture.v[:] = 90
    return picture


@pytest.mark.parametrize("size", [(176, 144), (130, 98)])
def test_planes_come_back_as_they_were(size: tuple[int, int]) -> None:
    encoder = PlanarJpegEncoder(90)
    for _ in range(2):
        (frame,) = av.CodecContext.create("mjpeg", "r").decode(packet_of(encoder.encode(smooth(*size))))
        assert frame.format.name == "yuvj420p"
        assert np.abs(frame.to_ndarray().astype(int) - smooth(*size).data).max() <= 6


def test_quality_and_size_may_change() -> None:
    fine, coarse = PlanarJpegEncoder(95), PlanarJpegEncoder(50)
    rng = np.random.default_rng(0)
    noisy = Picture(rng.integers(0, 256, (144, 128), np.uint8))
    assert len(fine.encode(noisy)) > 1.5 * len(coarse.encode(noisy))
    assert fine.encode(smooth(64, 48)) != fine.encode(smooth(32, 48))
