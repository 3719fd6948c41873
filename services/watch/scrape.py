"""Asks all processes for their metrics at the same time, none of them for longer than the deadline."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from services.watch.figures import Figures, parse
from services.watch.targets import Target

_MAX_BYTES = 16 << 20
_THREADS = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one question.

    Attributes:
        at_s: when, on the monotonic clock.
        figures: None where there is no answer; `problem` says why in a few words.
    """

    target: Target
    at_s: float
    figures: Figures | None
    problem: str = ""


class Scraper:
    """Asks; one that has not answered the last question yet is not asked again.

    Args:
        timeout_s: deadline of every question.
        clock: seconds, monotonic.
    """

    def __init__(self, timeout_s: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="scrape")
        self._asked: dict[Target, Future[Answer]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, targets: Sequence[Target]) -> list[Answer]:
        """One answer for each target, in their order; returns when the deadline is over at the latest."""
        deadline = self._clock() + self._timeout_s
        for target in targets:
            if target not in self._asked:
                self._asked[target] = self._pool.submit(self._ask, target)
        return [self._answer(target, deadline) for target in targets]

    def _answer(self, target: Target, deadline: float) -> Answer:
        try:
            answer = self._asked[target].result(max(0.0, deadline - self._clock()))
        except FutureTimeout:
            return Answer(target, self._clock(), None, "no answer in time")
        del self._asked[target]
        return answer

    def _ask(self, target: Target) -> Answer:
        try:
            with urlopen(target.url, timeout=self._timeout_s) as reply:  # noqa: S310, http by the check in targets
                text = reply.read(_MAX_BYTES).decode()
            figures = parse(text)
        except (URLError, OSError) as error:
            return Answer(target, self._clock(), None, _reason(error))
        except (ValueError, KeyError):
            return Answer(target, self._clock(), None, "does not speak as a service does")
        return Answer(target, self._clock(), figures)


def _reason(error: OSError) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    return (getattr(cause, "strerror", None) or str(cause)).lower()
