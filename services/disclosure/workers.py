"""Draws chunks in processes of their own, a few at a time, and gives the clips back in the order of the chunks."""

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from services.disclosure.chunks import Chunk
from services.disclosure.draw import Clip, draw
from services.disclosure.errors import Unavailable

_CHUNK_S = 1800.0
"""A chunk takes some seconds; one that takes this long will never be done."""

_Other = TypeVar("_Other")


def draw_all(items: Iterable[Chunk | _Other], workers: int) -> Iterator[tuple[Chunk, list[Clip]] | _Other]:
    """Each chunk with its clips, and everything else as it is, in order.

    At most `workers` + 1 chunks are in memory at a time. Raises Unavailable where a process dies or hangs.

    Args:
        items: chunks, and what is between them.
        workers: processes; with one, chunks are drawn in this process.
    """
    if workers <= 1:
        for item in items:
            yield (item, draw(item)) if isinstance(item, Chunk) else item
        return
    # Spawned, not forked: a desk has threads, and connections that no other process may use.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_signals)
    try:
        yield from _in_order(pool, items, workers + 1)
    except BrokenProcessPool:
        raise Unavailable("A process that draws has died: render it again.") from None
    except TimeoutError:
        raise Unavailable("A process that draws does not answer: render it again.") from None
    finally:
        _end(pool)


def _in_order(
    pool: ProcessPoolExecutor, items: Iterable[Chunk | _Other], most: int
) -> Iterator[tuple[Chunk, list[Clip]] | _Other]:
    waiting: deque[tuple[Chunk, Future[list[Clip]]] | _Other] = deque()
    busy = 0
    for item in items:
        if isinstance(item, Chunk):
            waiting.append((item, pool.submit(draw, item)))
            busy += 1
        else:
            waiting.append(item)
        while busy >= most:
            done = waiting.popleft()
            if isinstance(done, tuple):
                busy -= 1
                yield done[0], done[1].result(_CHUNK_S)
            else:
                yield done
    for done in waiting:
        yield (done[0], done[1].result(_CHUNK_S)) if isinstance(done, tuple) else done


def _leave_signals() -> None:
    """Ctrl-C is for the process that waits: it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(pool: ProcessPoolExecutor) -> None:
    """Nobody waits for what is still being drawn."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(5.0)
