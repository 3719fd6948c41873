"""Reads a window of a topic, live or to its end, and gives the reader time to look around in between."""

import threading
from collections.abc import Collection, Iterator

from services.bus.clock import Clock, now_us
from services.bus.interface import Message, Reader
from services.consume.window import Window

_WAIT_S = 0.25
_RECORDS = 64
# A record of the last moment may still be on its way to the broker, or from it.
_GRACE_US = 1_000_000


def read(
    reader: Reader,
    window: Window,
    keys: Collection[str],
    stop: threading.Event,
    clock: Clock = now_us,
) -> Iterator[list[Message]]:
    """Yields the messages of `keys` (all if empty) inside the window, in order; an empty list now and then.

    Ends when `stop` is set, or when the window is over: all that was there at the start was read, its end has passed,
    and nothing inside of it comes any more. What the bus raises passes through.
    """
    began = clock()
    until_us = window.until_us
    if window.span_us is not None and window.start.at == "newest":
        until_us = began + window.span_us
    while not stop.is_set():
        now = clock()
        polled = reader.poll(_WAIT_S, _RECORDS)
        wanted = [message for message in polled if not keys or message.record.key in keys]
        if until_us is None and window.span_us is not None and wanted:
            until_us = wanted[0].timestamp_us + window.span_us
        if until_us is None:
            yield wanted
            continue
        inside = [message for message in polled if message.timestamp_us < until_us]
        yield [message for message in wanted if message.timestamp_us < until_us]
        closes = until_us if until_us <= began else until_us + _GRACE_US
        if not inside and reader.caught_up and now >= closes:
            return
