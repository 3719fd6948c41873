"""Decodes Annex B access units as strictly as FFmpeg can."""

from collections.abc import Sequence
from threading import Lock

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

_LOCK = Lock()


def decoded(payloads: Sequence[bytes]) -> list[NDArray[np.uint8]]:
    """The planar pictures of one stream of access units, in presentation order. Fails on any error or complaint."""
    with _LOCK, av.logging.Capture() as complaints:
        before = av.logging.get_level()
        av.logging.set_level(av.logging.WARNING)
        try:
            decoder = av.CodecContext.create("h264", "r")
            decoder.thread_count = 1
            decoder.options = {"err_detect": "+crccheck+bitstream+buffer+explode"}
            frames = [
                frame for payload in [*payloads, None] for frame in decoder.decode(payload and av.Packet(payload))
            ]
        finally:
            av.logging.set_level(before)
    assert not complaints, complaints
    assert not any(frame.is_corrupt for frame in frames)
    return [frame.to_ndarray() for frame in frames]
