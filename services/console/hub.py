"""Reads what the line puts out and hands it to everyone who looks: one thread reads, the event loop does the rest.

The only topic that is named here is masked video. The console's user on the broker may read that and anonymous
metadata, and nothing else.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from services.bus.clock import Clock, now_us
from services.bus.interface import Message
from services.bus.topics import VIDEO_REDACTED, Topic
from services.console import metrics
from services.console.channel import Channel
from services.console.closures import Why
from services.console.fragments import Fragmenter, Part
from services.console.settings import ConsoleSettings
from services.console.viewer import ViewerQueue
from services.consume.view import RedactedView
from services.schema import pb

_log = logging.getLogger(__name__)

READS: Topic = VIDEO_REDACTED
"""All that the console itself reads."""

CAMERAS_MAX = 32_768
_LOOK_EVERY_S = 0.5
# The reading thread waits so long for the event loop before it gives a batch up; the line must never wait for viewers.
_PATIENCE_S = 5.0


class Feed(Protocol):
    """Where messages come from: readers of a broker, or a group on the memory bus."""

    def poll(self, timeout_s: float) -> Sequence[Message]:
        """What is there, waiting at most `timeout_s` for the first. Raises BusLost, BusClosed."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What one message of video.redacted means for a camera."""

    camera_id: str
    parts: Sequence[Part] = ()
    closed_why: Why | None = None
    end: pb.EndOfStream | None = None


class Hub:
    """All cameras and all viewers. Everything but `read` belongs to the event loop that `start` was called in.

    Args:
        settings: of the console.
        cameras: those that there are; None for whatever comes, within a bound.
        clock: microseconds since 1970.
        closed: told of every closed frame: camera, moment, and why.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        cameras: Collection[str] | None = None,
        clock: Clock = now_us,
        closed: Callable[[str, int, Why], object] = lambda *_: None,
    ) -> None:
        self._settings, self._clock, self._closed = settings, clock, closed
        self._known = None if cameras is None else frozenset(cameras)
        self._view = RedactedView()
        self._fragmenters: dict[str, Fragmenter] = {}
        self._channels: dict[str, Channel] = {}
        self._viewers: set[ViewerQueue] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._taken = threading.Event()
        self._taken.set()
        for camera_id in sorted(self._known or ()):
            self._channel(camera_id)

    # In the event loop.

    async def run(self) -> None:
        """Looks after the cameras' states until it is cancelled; the reading thread may begin before or after it."""
        self._loop = asyncio.get_running_loop()
        while True:
            now = self._clock()
            for channel in self._channels.values():
                if channel.look(now):
                    self._tell(channel)
            await asyncio.sleep(_LOOK_EVERY_S)

    @property
    def channels(self) -> Mapping[str, Channel]:
        """camera_id → its channel."""
        return self._channels

    @property
    def viewers(self) -> int:
        """How many look on."""
        return len(self._viewers)

    def join(self, viewer: ViewerQueue) -> None:
        """Begins to give to a viewer."""
        self._viewers.add(viewer)
        metrics.VIEWERS.set(len(self._viewers))

    def leave(self, viewer: ViewerQueue) -> None:
        """Forgets a viewer."""
        self._viewers.discard(viewer)
        metrics.VIEWERS.set(len(self._viewers))
        metrics.SKIPPED.inc(viewer.skipped)

    # In the reading thread.

    def read(self, feed: Feed, stop: threading.Event, beat: Callable[[], object] = lambda: None) -> None:
        """Reads until `stop` is set. What the bus raises passes through."""
        while not stop.is_set():
            messages = feed.poll(_LOOK_EVERY_S / 2)
            beat()
            steps = [step for message in messages if (step := self._step(message)) is not None]
            if steps and self._loop is not None:
                self._hand_over(steps, self._loop)

    def _step(self, message: Message) -> _Step | None:
        record = message.record
        if not self._is_known(record.key):
            return None
        item = self._view.take(message)
        fragmenter = self._fragmenters.setdefault(record.key, Fragmenter())
        if isinstance(item, pb.EndOfStream):
            return _Step(record.key, end=item)
        if not isinstance(item, pb.RedactedUnit):
            return None
        metrics.FRAMES.inc()
        return _Step(record.key, fragmenter.add(item), Why.of(item) if item.closed else None)

    def _is_known(self, camera_id: str) -> bool:
        if self._known is not None:
            return camera_id in self._known
        return camera_id in self._fragmenters or len(self._fragmenters) < CAMERAS_MAX

    def _hand_over(self, steps: Sequence[_Step], loop: asyncio.AbstractEventLoop) -> None:
        """Waits a little until the loop has taken these: never is there more than one batch between the two."""
        if not self._taken.wait(_PATIENCE_S):
            _log.warning("the console is busy: %d frames are left out for its viewers", len(steps))
            for step in steps:
                self._fragmenters[step.camera_id].skip_to_keyframe()
            return
        self._taken.clear()
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._take, steps)

    def _take(self, steps: Sequence[_Step]) -> None:
        self._taken.set()
        now = self._clock()
        for step in steps:
            channel = self._channel(step.camera_id)
            for part in step.parts:
                channel.take(part)
                for viewer in self._viewers:
                    viewer.give(step.camera_id, part)
            if step.closed_why is not None:
                self._closed(step.camera_id, now, step.closed_why)
            if step.end is None:
                changed = channel.heard(now, step.closed_why)
            else:
                lost = step.end.reason == pb.EndOfStream.LOST
                changed = channel.ended(now, "lost" if lost else "ended", step.end.detail)
            if changed:
                self._tell(channel)

    def _tell(self, channel: Channel) -> None:
        for viewer in self._viewers:
            viewer.tell(channel.camera_id, channel.condition)

    def _channel(self, camera_id: str) -> Channel:
        channel = self._channels.get(camera_id)
        if channel is None:
            settings = self._settings
            channel = Channel(camera_id, settings.group_mb << 20, settings.lost_after_s, self._clock())
            self._channels[camera_id] = channel
        return channel
