"""What the processes say together: rates, ages and states, worked out from their answers of the last seconds."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from services.watch.scrape import Answer

STAGES = ("decoder", "inference", "tracker", "renderer", "encoder")

# Detectors look once a second or so: over a shorter time a healthy camera would seem to stand still.
WINDOW_S = 5.0
LATE_S = 3.0


class State(StrEnum):
    """How a camera does at a stage."""

    OK = "ok"
    LATE = "late"
    STALE = "stale"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Passage:
    """One camera at one stage.

    Attributes:
        fps: frames that left per second; None until it is known.
        age_s: how old the newest of them was when it left.
        state: STALE where none left; NEW where it is too early to say.
    """

    fps: float | None
    age_s: float
    state: State


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    Attributes:
        problem: why it gives no answer; empty where it does.
        lag: messages that wait for it, all topics together.
        blocked: share of time in which the bus took no more of it.
        dead_letters, restarts: since it began.
        cpu: cores in use; None until it is known.
        memory: resident bytes.
    """

    name: str
    problem: str
    lag: int = 0
    blocked: float = 0.0
    dead_letters: int = 0
    restarts: int = 0
    cpu: float | None = None
    memory: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """Everything at one moment.

    Attributes:
        cameras: by camera, by stage; a stage that never saw the camera is absent.
        lag: by topic.
        closed: share of frames closed or dropped over the last seconds; None where no frame was encoded.
        shed: frames that live cameras dropped, since the decoders began.
        suspects: what an auditor found open in masked pictures, since it began.
    """

    cameras: dict[str, dict[str, Passage]]
    processes: list[Process]
    lag: dict[str, int] = field(default_factory=dict)
    closed: float | None = None
    shed: int = 0
    suspects: int = 0

    def as_plain_data(self) -> dict[str, Any]:
        """The same as dicts and lists, for JSON."""
        return asdict(self)


class Watcher:
    """Takes answers round after round; remembers those of the last seconds, and every camera it ever saw.

    Args:
        window_s: time over which rates are taken.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._past: dict[str, deque[Answer]] = {}
        self._seen: set[tuple[str, str]] = set()

    def take(self, answers: Sequence[Answer]) -> View:
        """The view after this round of answers."""
        names = {answer.target.name for answer in answers}
        self._past = {name: past for name, past in self._past.items() if name in names}
        for answer in answers:
            if answer.figures is not None:
                past = self._past.setdefault(answer.target.name, deque())
                past.append(answer)
                while len(past) > 2 and past[1].at_s <= answer.at_s - self._window_s:
                    past.popleft()
        spans = [self._span(answer) for answer in answers]
        encoded, closed = (sum(span.grown(name) for span in spans) for name in ("encoded", "closed"))
        return View(
            cameras=self._cameras(spans),
            processes=[_process(span) for span in spans],
            lag=_lag(spans),
            closed=closed / encoded if encoded else None,
            shed=round(sum(span.sum("shed") for span in spans)),
            suspects=round(sum(span.sum("suspects") for span in spans)),
        )

    def _span(self, answer: Answer) -> "_Span":
        past = self._past.get(answer.target.name)
        if answer.figures is None or not past:
            return _Span(answer, answer)
        return _Span(past[0], answer)

    def _cameras(self, spans: Sequence["_Span"]) -> dict[str, dict[str, Passage]]:
        found: dict[tuple[str, str], list[_Span]] = {}
        for span in spans:
            if span.last.figures is not None:
                for key in span.last.figures.frames:
                    found.setdefault(key, []).append(span)
                    self._seen.add(key)
        cameras: dict[str, dict[str, Passage]] = {}
        for stage, camera in sorted(self._seen, key=lambda key: (key[1], key[0])):
            cameras.setdefault(camera, {})[stage] = _passage((stage, camera), found.get((stage, camera), []))
        return cameras


@dataclass(frozen=True, slots=True)
class _Span:
    """One process between two of its answers; `last` is the newest, with or without figures."""

    first: Answer
    last: Answer

    @property
    def seconds(self) -> float:
        return self.last.at_s - self.first.at_s

    def sum(self, name: str) -> float:
        """A figure as it is now, 0 where unknown."""
        return 0.0 if self.last.figures is None else self.last.figures.sums.get(name, 0.0)

    def grown(self, name: str) -> float:
        """By how much it grew."""
        if self.first.figures is None:
            return 0.0
        return _growth(self.first.figures.sums.get(name, 0.0), self.sum(name))

    def frames(self, key: tuple[str, str]) -> float:
        """Frames that left in between."""
        if self.first.figures is None or self.last.figures is None:
            return 0.0
        return _growth(self.first.figures.frames.get(key, 0.0), self.last.figures.frames[key])

    def age_s(self, key: tuple[str, str]) -> float:
        """Of the newest frame when it left."""
        return 0.0 if self.last.figures is None else self.last.figures.age_s.get(key, 0.0)


def _growth(before: float, now: float) -> float:
    """What a counter counted; a process that began anew counts from 0."""
    return now - before if now >= before else now


def _passage(key: tuple[str, str], spans: Sequence[_Span]) -> Passage:
    """A camera at a stage, over all the processes that have it, of which at most one is at work on it."""
    if spans and not any(span.seconds > 0 for span in spans):
        return Passage(None, min(span.age_s(key) for span in spans), State.NEW)
    moving = [span for span in spans if span.seconds > 0 and span.frames(key) > 0]
    if not moving:
        return Passage(0.0, max((span.age_s(key) for span in spans), default=0.0), State.STALE)
    fps = sum(span.frames(key) / span.seconds for span in moving)
    age_s = max(span.age_s(key) for span in moving)
    return Passage(fps, age_s, State.LATE if age_s > LATE_S else State.OK)


def _process(span: _Span) -> Process:
    answer = span.last
    if answer.figures is None:
        return Process(answer.target.name, answer.problem)
    return Process(
        name=answer.target.name,
        problem="",
        lag=round(sum(answer.figures.lag.values())),
        blocked=span.grown("blocked_s") / span.seconds if span.seconds > 0 else 0.0,
        dead_letters=round(span.sum("dead_letters")),
        restarts=round(span.sum("restarts")),
        cpu=span.grown("cpu_s") / span.seconds if span.seconds > 0 else None,
        memory=round(span.sum("memory")),
    )


def _lag(spans: Sequence[_Span]) -> dict[str, int]:
    waiting: dict[str, int] = {}
    for (_, topic), messages in _all_lags(spans):
        waiting[topic] = waiting.get(topic, 0) + round(messages)
    return dict(sorted(waiting.items()))


def _all_lags(spans: Sequence[_Span]) -> Iterator[tuple[tuple[str, str], float]]:
    for span in spans:
        if span.last.figures is not None:
            yield from span.last.figures.lag.items()
