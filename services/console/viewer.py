"""One browser that looks on: what waits for it, within bounds, and what it is told."""

import asyncio
import json
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from services.console.channel import Channel, Condition
from services.console.fragments import Part, PartKind

HEAD = struct.Struct(">IBBHqq")
"""Of a part on the wire: bytes of its data, kind, flags, number of the feed, media_us, captured_us."""

_KEYFRAME, _CLOSED = 1, 2
# More in one message would make the first of them wait for the last.
_MESSAGE_BYTES = 256 << 10
_WORDS_MAX = 4096
FEEDS_MAX = 64
"""Cameras that one viewer may watch at a time."""


@dataclass(slots=True)
class _Feed:
    number: int
    channel: Channel
    needs_keyframe: bool = True
    queue: deque[Part] = field(default_factory=deque)
    bytes: int = 0


class TooSlow(Exception):
    """The viewer does not even take words."""


class ViewerQueue:
    """What waits for one viewer, touched by the event loop only.

    A viewer who is too slow loses whole groups of pictures: the queue of a feed that has no room is emptied, and the
    feed goes on with its next keyframe. Nobody else is affected.

    Args:
        most_bytes: that wait.
        window_bytes: that are under way without having been said to have come.
    """

    def __init__(self, most_bytes: int, window_bytes: int) -> None:
        self._most_bytes, self._window_bytes = most_bytes, window_bytes
        self._feeds: dict[str, _Feed] = {}
        self._numbers = 0
        self._bytes = 0
        self._sent = self._came = 0
        self._words: deque[str] = deque()
        self._overrun = False
        self.followed: frozenset[str] = frozenset()
        self._news = asyncio.Event()
        self.skipped = 0

    @property
    def cameras(self) -> frozenset[str]:
        """Those it watches."""
        return frozenset(self._feeds)

    def follow(self, channels: Iterable[Channel]) -> None:
        """Is told how these are, now and whenever it changes, and of no others."""
        channels = tuple(channels)
        self.followed = frozenset(channel.camera_id for channel in channels)
        for channel in channels:
            self._say(condition_of(channel.camera_id, channel.condition))

    def watch(self, channels: Iterable[Channel]) -> None:
        """Watches these and no others; a feed that was watched goes on."""
        wanted = {channel.camera_id: channel for channel in channels}
        for camera_id in self._feeds.keys() - wanted.keys():
            self._bytes -= self._feeds.pop(camera_id).bytes
        for camera_id, channel in wanted.items():
            if camera_id in self._feeds:
                continue
            self._numbers = (self._numbers + 1) & 0xFFFF
            feed = self._feeds[camera_id] = _Feed(self._numbers, channel)
            self._say({"feed": feed.number, "camera": camera_id})
            for part in [*([channel.start] if channel.start else []), *channel.group]:
                self._push(feed, part)
        self._news.set()

    def give(self, camera_id: str, part: Part) -> None:
        """The next part of a camera, watched or not."""
        feed = self._feeds.get(camera_id)
        if feed is not None:
            self._push(feed, part)
            self._news.set()

    def tell(self, camera_id: str, condition: Condition) -> None:
        """How a camera is now, followed or not."""
        if camera_id in self.followed:
            self._say(condition_of(camera_id, condition))

    def say(self, words: dict[str, Any]) -> None:
        """Anything else."""
        self._say(words)

    def came(self, total: int) -> None:
        """The browser says how many bytes of video came in all; raises ValueError where they can't be."""
        if not self._came <= total <= self._sent:
            raise ValueError("more came than was sent")
        self._came = total
        self._news.set()

    async def next(self) -> str | bytes:
        """What to send next; waits for it. Raises TooSlow."""
        while (what := self.ready()) is None:
            self._news.clear()
            await self._news.wait()
        return what

    def ready(self) -> str | bytes | None:
        """What can be sent now, if anything: words first. Raises TooSlow."""
        if self._overrun:
            raise TooSlow
        if self._words:
            return self._words.popleft()
        if self._bytes and self._sent - self._came < self._window_bytes:
            return self._message()
        return None

    def _say(self, words: dict[str, Any]) -> None:
        if len(self._words) < _WORDS_MAX:
            self._words.append(json.dumps(words, ensure_ascii=False, separators=(",", ":")))
        else:
            self._overrun = True
        self._news.set()

    def _push(self, feed: _Feed, part: Part) -> None:
        size = len(part.data) + HEAD.size
        if part.kind is PartKind.FRAGMENT:
            if feed.needs_keyframe and not part.keyframe:
                return
            if self._bytes + size > self._most_bytes:
                self._skip(feed)
                if not part.keyframe or self._bytes + size > self._most_bytes:
                    return
            feed.needs_keyframe = False
        else:
            # What waits before it is of no use any more. Words overtake pictures: this is known when it comes.
            feed.queue.clear()
            self._skip(feed)
            self._say({"feed": feed.number, "codec": part.codec, "width": part.width, "height": part.height})
        feed.queue.append(part)
        feed.bytes += size
        self._bytes += size

    def _skip(self, feed: _Feed) -> None:
        """Gives up what waits of a feed, but for the start that it can't do without."""
        starts = [part for part in feed.queue if part.kind is PartKind.START][-1:]
        self.skipped += len(feed.queue) - len(starts)
        kept = sum(len(part.data) + HEAD.size for part in starts)
        self._bytes += kept - feed.bytes
        feed.queue, feed.bytes, feed.needs_keyframe = deque(starts), kept, True

    def _message(self) -> bytes:
        """What waits, in turns, so that no feed is held up by another."""
        pieces: list[bytes] = []
        size = 0
        while size < _MESSAGE_BYTES:
            waiting = [feed for feed in self._feeds.values() if feed.queue]
            if not waiting:
                break
            for feed in waiting:
                part = feed.queue.popleft()
                flags = _KEYFRAME * part.keyframe | _CLOSED * part.closed
                head = HEAD.pack(len(part.data), part.kind, flags, feed.number, part.media_us, part.captured_us)
                pieces += (head, part.data)
                taken = len(head) + len(part.data)
                feed.bytes -= taken
                self._bytes -= taken
                size += taken
        self._sent += size
        return b"".join(pieces)


def condition_of(camera_id: str, condition: Condition) -> dict[str, Any]:
    """A camera's condition as JSON."""
    return {
        "camera": camera_id,
        "state": condition.state,
        "since_us": condition.since_us,
        **condition.why.as_json(),
    }
