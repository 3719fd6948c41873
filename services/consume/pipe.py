"""Writes to a pipe at the pace of its reader, and leaves it when told to."""

import os
import select
import time
from threading import Event

# A pipe that can be written to has room for so much (PIPE_BUF); more could wait for its reader in one call.
_PIECE = 4096
_LOOK_EVERY_S = 0.2


class PipeWriter:
    """A file descriptor as a Writer.

    Args:
        descriptor: open for writing.
        stop: once set, a reader that takes nothing is waited for `patience_s` only.
        patience_s: seconds for what is left to say after `stop`.
    """

    def __init__(self, descriptor: int, stop: Event, patience_s: float = 1.0) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._patience_s = patience_s

    def write(self, data: bytes, /) -> int:
        """Returns when all was taken. Raises BrokenPipeError when the reader is gone, or asleep while we must leave."""
        rest = memoryview(data)
        leave_at: float | None = None
        while rest:
            if not select.select((), (self._descriptor,), (), _LOOK_EVERY_S)[1]:
                if self._stop.is_set():
                    leave_at = leave_at or time.monotonic() + self._patience_s
                    if time.monotonic() >= leave_at:
                        raise BrokenPipeError
                continue
            rest = rest[os.write(self._descriptor, rest[:_PIECE]) :]
        return len(data)
