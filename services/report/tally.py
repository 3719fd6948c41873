"""Counts what happens to frames while a run goes on, in memory that does not grow with the video."""

from collections import Counter
from collections.abc import Mapping

from services.report.summary import Timeline

_MAX_STEPS = 1024
"""When the timeline is this long, neighbouring steps are joined: a report has no room for more."""
_MAX_REASONS = 20


class Tally:
    """Adds up frames of one video.

    Attributes:
        frames, closed, dropped: frames so far.
        masked: kind → masks so far.
        closed_why: reason → frames; after 20 different reasons the rest counts as `other reasons`.
    """

    def __init__(self, step_s: float = 0.25) -> None:
        self.frames = 0
        self.closed = 0
        self.dropped = 0
        self.masked: Counter[str] = Counter()
        self.closed_why: Counter[str] = Counter()
        self._step_s = step_s
        self._steps: list[Counter[str]] = []

    def add(self, t_s: float, masks: Mapping[str, int], closed_why: str | None = None, dropped: bool = False) -> None:
        """Adds one frame.

        Args:
            t_s: its time, seconds from the start of the video.
            masks: kind → masks drawn.
            closed_why: the reason where the frame was masked whole or left out, None where it was not.
            dropped: it was left out.
        """
        self.frames += 1
        self.masked.update(masks)
        step = self._step(t_s)
        step["frames"] += 1
        for kind, count in masks.items():
            step[f"masks {kind}"] += count
        if closed_why is not None:
            self.closed += 1
            self.dropped += dropped
            step["closed"] += 1
            known = closed_why in self.closed_why or len(self.closed_why) < _MAX_REASONS
            self.closed_why[closed_why if known else "other reasons"] += 1

    def timeline(self) -> Timeline:
        """What was counted so far, over time."""
        return Timeline(
            step_s=self._step_s,
            frames=tuple(step["frames"] for step in self._steps),
            closed=tuple(step["closed"] for step in self._steps),
            masks={kind: tuple(step[f"masks {kind}"] for step in self._steps) for kind in sorted(self.masked)},
        )

    def _step(self, t_s: float) -> Counter[str]:
        index = max(0, int(t_s / self._step_s))
        while index >= _MAX_STEPS:
            self._steps.extend(Counter() for _ in range(len(self._steps) % 2))
            self._steps = [a + b for a, b in zip(self._steps[::2], self._steps[1::2], strict=True)]
            self._step_s *= 2
            index = int(t_s / self._step_s)
        while len(self._steps) <= index:
            self._steps.append(Counter())
        return self._steps[index]
