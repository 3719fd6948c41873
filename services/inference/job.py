"""One frame on its way through the detectors."""

import threading
from collections.abc import Mapping

import cv2
import numpy as np

from services.bus.interface import Message
from services.detect.interface import Image
from services.schema import pb

_JPEG_END = b"\xff\xd9"


class BadPicture(Exception):
    """The picture can't be looked at; the text never holds picture content."""


class FrameJob:
    """A detect frame and the results it has so far. Results are settled under the pool's lock."""

    def __init__(self, message: Message, frame: pb.DetectFrame, added_s: float) -> None:
        self.position = message.position
        self.size = message.record.size
        self.frame = frame
        self.added_s = added_s
        self.wanted = tuple(dict.fromkeys(frame.detectors))
        self._results: dict[str, pb.DetectorResult] = {}
        self._attachment = message.record.attachment
        self._image: Image | None = None
        self._decoding = threading.Lock()

    @property
    def done(self) -> bool:
        """True when every wanted detector has a result."""
        return len(self._results) == len(self.wanted)

    @property
    def results(self) -> Mapping[str, pb.DetectorResult]:
        return self._results

    def settle(self, result: pb.DetectorResult) -> None:
        """Takes the one result of a detector; a later one for the same is not listened to."""
        self._results.setdefault(result.detector, result)
        if self.done:
            self._attachment = self._image = None

    def image(self) -> Image:
        """The picture, decoded once. Raises BadPicture."""
        with self._decoding:
            if self._image is None:
                self._image = self._open()
            return self._image

    def _open(self) -> Image:
        payload = self.frame.WhichOneof("payload")
        if payload == "attached" and self._attachment is not None:
            picture = self._attachment
        elif payload == "jpeg":
            picture = _decode(self.frame.jpeg)
        else:
            raise BadPicture(f"no picture came with the frame ({payload or 'no payload'})")
        if picture.dtype != np.uint8 or picture.shape != (self.frame.height, self.frame.width, 3):
            raise BadPicture("the picture is not of the size that its frame states")
        return picture


def _decode(jpeg: bytes) -> Image:
    # libjpeg fills what a cut-off file lacks with grey and calls it a picture: a face there would count as looked for.
    if not jpeg.endswith(_JPEG_END):
        raise BadPicture("the JPEG is cut off")
    try:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        picture = None
    if picture is None:
        raise BadPicture("the JPEG can't be decoded")
    return picture.astype(np.uint8, copy=False)
