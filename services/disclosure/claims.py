"""Who speaks for which frames: of all that say something of a frame, the first counts."""

from bisect import bisect_left


class Claims:
    """Frames that are spoken for, by number."""

    def __init__(self) -> None:
        # Disjoint, in order, and never touching each other.
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def claim(self, first: int, last: int) -> list[tuple[int, int]]:
        """Takes the frames from first to last, both included; returns those of them that nobody had before."""
        if first > last:
            return []
        low = bisect_left(self._lasts, first - 1)
        fresh, at, high = [], first, low
        while high < len(self._firsts) and self._firsts[high] <= last + 1:
            if at < self._firsts[high]:
                fresh.append((at, min(last, self._firsts[high] - 1)))
            at = max(at, self._lasts[high] + 1)
            high += 1
        if at <= last:
            fresh.append((at, last))
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high], self._lasts[low:high] = [first], [last]
        return fresh
