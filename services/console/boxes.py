"""Where subjects are now, from anonymous metadata: the newest box of each track, for a few seconds."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from services.bus.interface import Message
from services.bus.topics import METADATA_TRACKS, Topic
from services.console.hub import CAMERAS_MAX, Feed
from services.schema import pb

READS: Topic = METADATA_TRACKS
GROUP = "console-boxes"

_TURN_S = 0.5
# The tracker tells of a track every five seconds.
_KEPT_S = 6.0
_BOXES_MAX = 500


@dataclass(frozen=True, slots=True)
class _Box:
    kind: str
    corners: tuple[float, float, float, float]
    at: float


class Boxes:
    """The newest boxes of all cameras; one thread puts in, any may ask.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, dict[tuple[int, int], _Box]] = {}

    def read(self, feed: Feed, stop: threading.Event) -> None:
        """Reads until `stop` is set. What the bus raises passes through."""
        while not stop.is_set():
            self.take(feed.poll(_TURN_S))

    def take(self, messages: Sequence[Message]) -> None:
        """Puts in what these say."""
        for message in messages:
            try:
                track = pb.TrackRecord.FromString(message.record.value)
            except DecodeError:
                continue
            self._put(message.record.key, track)

    def of(self, camera_id: str) -> list[dict[str, Any]]:
        """Kind, box as shares of the picture (x1, y1, x2, y2) and age in seconds of what is there now."""
        now = self._clock()
        with self._lock:
            boxes = list(self._known.get(camera_id, {}).values())
        return [
            {"kind": box.kind, "box": box.corners, "age_s": round(now - box.at, 1)}
            for box in boxes
            if now - box.at <= _KEPT_S
        ]

    def _put(self, camera_id: str, track: pb.TrackRecord) -> None:
        width, height = track.source_width, track.source_height
        if len(track.box) != 4 or not width or not height:
            return
        x1, y1, x2, y2 = track.box
        now = self._clock()
        corners = (x1 / width, y1 / height, x2 / width, y2 / height)
        kind = pb.Kind.Name(track.kind).removeprefix("KIND_").lower() if track.kind in pb.Kind.values() else "unknown"
        with self._lock:
            if camera_id not in self._known and len(self._known) >= CAMERAS_MAX:
                return
            boxes = self._known.setdefault(camera_id, {})
            for key in [key for key, box in boxes.items() if now - box.at > _KEPT_S]:
                del boxes[key]
            boxes.pop((track.epoch, track.track_id), None)
            if not track.ended and len(boxes) < _BOXES_MAX:
                boxes[track.epoch, track.track_id] = _Box(kind, corners, now)
