"""One frame on its way through the detectors."""

import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np

from services.bus.interface import Message
from services.bus.topics import FRAMES_DETECT
from services.detect.interface import Image
from services.envelope import Opener, SealError, context
from services.inference.pictures import BadPicture, decoded
from services.inference.views import whole_view
from services.schema import pb


class FrameJob:
    """A detect frame and the results it has so far. Results are settled under the pool's lock.

    Attributes:
        size: bytes that it may take: its message, and the picture once it is decoded.
        received_us: when the stage took it.
        added_s: the same on the pool's clock.
        wanted: the detectors to run; those that ran at the decoder are not among them.

    Args:
        opener: decrypts a sealed picture.
    """

    def __init__(self, message: Message, frame: pb.DetectFrame, added_s: float, opener: Opener | None = None) -> None:
        self.position = message.position
        self.frame = frame
        self.added_s = added_s
        self.received_us = time.time_ns() // 1000
        ran = {result.detector for result in frame.results}
        self.wanted = tuple(name for name in dict.fromkeys(frame.detectors) if name not in ran)
        self._results: dict[str, pb.DetectorResult] = {}
        self._attachment = message.record.attachment
        self._image: Image | None = None
        self._opener = opener
        self._decoding = threading.Lock()
        self.size = message.record.size
        if self.wanted and self._attachment is None:
            self.size += frame.width * frame.height * 3

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

    @property
    def views(self) -> Sequence[pb.View]:
        """What the picture is composed of: the whole source picture, and perhaps parts of it."""
        return self.frame.views or (whole_view(self.frame),)

    def images(self) -> Sequence[Image]:
        """The picture of each view, opened and decoded once, on the thread that needs it first. Raises BadPicture."""
        with self._decoding:
            if self._image is None:
                self._image = self._open()
            picture = self._image
        return [picture[view.y : view.y + view.height, view.x : view.x + view.width] for view in self.views]

    def _open(self) -> Image:
        frame = self.frame
        payload = frame.WhichOneof("payload")
        if payload == "attached" and self._attachment is not None:
            picture = self._attachment
        elif payload == "jpeg":
            picture = decoded(frame.jpeg, frame.width, frame.height)
        elif payload == "sealed":
            picture = decoded(self._unsealed(), frame.width, frame.height)
        else:
            raise BadPicture(f"no picture came with the frame ({payload or 'no payload'})")
        if picture.dtype != np.uint8 or picture.shape != (frame.height, frame.width, 3):
            raise BadPicture("the picture is not of the size that its frame states")
        return picture

    def _unsealed(self) -> bytes:
        if self._opener is None:
            raise BadPicture("the picture is sealed, and there is no key to open it")
        frame = self.frame
        place = context(FRAMES_DETECT, frame.camera_id, frame.epoch, frame.seq)
        try:
            return self._opener.open(frame.camera_id, place, frame.sealed)
        except SealError as error:
            raise BadPicture(f"the picture can't be opened: {error}") from None
