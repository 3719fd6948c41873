"""Waiting lines, exactly: who comes when, and how long each takes, gives when each is done.

Work that has begun is finished; nobody overtakes. Times are seconds.
"""

import heapq

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]


def fifo(arrivals: Times, services: Times) -> Times:
    """When each is done by one server, (n,): Lindley's recursion without a loop.

    Args:
        arrivals: (n,), ascending.
        services: (n,), how long each takes.
    """
    if not arrivals.size:
        return arrivals.copy()
    worked = np.cumsum(services)
    # Whoever comes starts at once or when the one before is done: the latest of all such beginnings counts.
    return np.asarray(worked + np.maximum.accumulate(arrivals - (worked - services)), np.float64)


def pool(
    arrivals: Times, services: Times, servers: int, oldest: Times | None = None
) -> tuple[Times, NDArray[np.bool_]]:
    """When each is done by the first of several servers that is free, and whether it was served.

    What is not begun with by its moment in `oldest`, (n,), goes at once and costs nothing.
    """
    free = [0.0] * servers
    done, served = np.empty_like(arrivals), np.ones(arrivals.size, np.bool_)
    limits = np.full_like(arrivals, np.inf) if oldest is None else oldest
    for place, (arrival, service, limit) in enumerate(
        zip(arrivals.tolist(), services.tolist(), limits.tolist(), strict=True)
    ):
        start = max(arrival, free[0])
        if start > limit:
            done[place], served[place] = start, False
            continue
        done[place] = start + service
        heapq.heapreplace(free, start + service)
    return done, served


def batched(
    arrivals: Times, call_s: float, each_s: float, servers: int, most: int, patience_s: float
) -> tuple[Times, NDArray[np.bool_]]:
    """When each is done by servers that take all that waits at once, up to `most`, and whether it was in time.

    A call takes `call_s`, and `each_s` more for each in it; whoever waits longer than `patience_s` is sent away.
    """
    count = arrivals.size
    done, served = np.empty_like(arrivals), np.ones(count, np.bool_)
    free = [0.0] * servers
    coming = arrivals.tolist()
    place = 0
    while place < count:
        start = max(coming[place], free[0])
        if start - coming[place] > patience_s:
            done[place], served[place] = coming[place] + patience_s, False
            place += 1
            continue
        end = place
        while end < count and end - place < most and coming[end] <= start:
            end += 1
        finished = start + call_s + each_s * (end - place)
        done[place:end] = finished
        heapq.heapreplace(free, finished)
        place = end
    return done, served
