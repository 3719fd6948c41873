"""One camera: its epochs, oldest first, so that nothing of a new one goes out before the old one has ended."""

from services.bus.interface import Position
from services.renderer import metrics
from services.renderer.epoch import Epoch
from services.renderer.rules import Rules
from services.renderer.settings import RendererSettings
from services.runtime.stage import Emission


class Camera:
    """Finds the epoch of a message and drives the oldest one.

    Args:
        camera_id: whose epochs they are.
        settings: of the stage.
    """

    def __init__(self, camera_id: str, settings: RendererSettings) -> None:
        self.camera_id = camera_id
        self._settings = settings
        self._epochs: dict[int, Epoch] = {}
        self._past = 0  # newest epoch that has gone out whole

    @property
    def epochs(self) -> list[Epoch]:
        """Oldest first."""
        return [self._epochs[number] for number in sorted(self._epochs)]

    def epoch(self, number: int, now: float) -> Epoch | None:
        """The epoch of that number, new if need be; None if it is over."""
        if number <= self._past:
            return None
        if number not in self._epochs:
            self._epochs[number] = Epoch(self.camera_id, number, self._settings, now)
        return self._epochs[number]

    def step(self, rules: Rules | None, now: float) -> Emission | None:
        """The next thing that can go out, or None while it has to wait."""
        numbers = sorted(self._epochs)
        if not numbers:
            return None
        oldest = self._epochs[numbers[0]]
        superseded = any(self._epochs[number].started for number in numbers[1:])
        if not oldest.started:
            if superseded or now - oldest.created > self._settings.file_deadline_s:
                return self._abandon(oldest)
            return None
        if superseded and not oldest.ended:
            oldest.end_source(oldest.broken_off())
        emission = oldest.step(rules, now)
        if oldest.finished:
            self._forget(oldest)
        return emission

    def _abandon(self, epoch: Epoch) -> Emission:
        """Spans whose frames never came: nothing to send, but their messages are done with."""
        done: list[Position] = epoch.abandon()
        metrics.LATE_SPANS.inc(len(done))
        del self._epochs[epoch.number]
        return Emission((), done)

    def _forget(self, epoch: Epoch) -> None:
        del self._epochs[epoch.number]
        self._past = epoch.number
