"""Where subjects are, from anonymous metadata: the boxes of each track over the last seconds.

What a tracker says of a moment comes before the masked picture of it, and of each track now and then only: so boxes are
asked for by the moment at which a picture was taken, and the nearest are given.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from services.bus.interface import Message
from services.bus.topics import METADATA_TRACKS, Topic
from services.console.hub import CAMERAS_MAX, Feed
from services.schema import pb

READS: Topic = METADATA_TRACKS
GROUP = "console-boxes"

_TURN_S = 0.5
# A tracker tells of a track every five seconds if it is not told otherwise.
_KEPT_S = 6.0
# A record of a track that ended stands for a picture a little later too: that of its last sight.
_ENDED_US = 500_000
_TRACKS_MAX = 500
_BOXES_MAX = 16

_Corners = tuple[float, float, float, float]


@dataclass(slots=True)
class _Track:
    """One track: its boxes by the moments they are of (microseconds since 1970), and when it was last heard of."""

    kind: str
    heard: float
    ended: bool = False
    boxes: deque[tuple[int, _Corners]] = field(default_factory=lambda: deque(maxlen=_BOXES_MAX))

    def at(self, at_us: int | None) -> _Corners | None:
        """Where it was then, or is now; None where it was not there."""
        last_us, newest = self.boxes[-1]
        if at_us is None:
            return None if self.ended else newest
        if self.ended and at_us > last_us + _ENDED_US:
            return None
        seen_us, corners = min(self.boxes, key=lambda box: abs(box[0] - at_us))
        return corners if abs(seen_us - at_us) <= _KEPT_S * 1e6 else None


class Boxes:
    """The boxes of all cameras; one thread puts in, any may ask.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, dict[tuple[int, int], _Track]] = {}

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

    def of(self, camera_id: str, at_us: int | None = None) -> list[dict[str, Any]]:
        """Kind and box as shares of the picture (x1, y1, x2, y2) of what is there.

        Args:
            camera_id: whose.
            at_us: when the picture was taken, microseconds since 1970; None for what is there now.
        """
        now = self._clock()
        with self._lock:
            tracks = self._known.get(camera_id, {}).values()
            found = [(track.kind, track.at(at_us)) for track in tracks if now - track.heard <= _KEPT_S]
        return [{"kind": kind, "box": box} for kind, box in found if box is not None]

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
            tracks = self._known.setdefault(camera_id, {})
            for key in [key for key, known in tracks.items() if now - known.heard > _KEPT_S]:
                del tracks[key]
            known = tracks.get((track.epoch, track.track_id))
            if known is None:
                if len(tracks) >= _TRACKS_MAX:
                    return
                known = tracks[track.epoch, track.track_id] = _Track(kind, now)
            known.heard, known.ended = now, track.ended
            known.boxes.append((track.last_us, corners))
