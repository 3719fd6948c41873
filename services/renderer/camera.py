"""One camera: its epochs, oldest first, so that nothing of a new one goes out before the old one has ended."""

from collections.abc import Callable

from services.bus.interface import InvalidMessage, Position
from services.envelope import Opener
from services.renderer import metrics
from services.renderer.epoch import Epoch, Hold
from services.renderer.rules import Rules
from services.renderer.settings import RendererSettings
from services.runtime.stage import Emission

_EPOCHS_MAX = 64
"""Epochs of one camera that wait: more than a camera that reconnects every second leaves behind in a minute."""


class Camera:
    """Finds the epoch of a message and drives the oldest one.

    Args:
        camera_id: whose epochs they are.
        settings: of the stage.
        clock: seconds since 1970.
        hold: counts what waits, all cameras together.
        opener: decrypts payloads.

    Attributes:
        heard: when the last message came that was taken.
    """

    def __init__(
        self,
        camera_id: str,
        settings: RendererSettings,
        clock: Callable[[], float],
        hold: Hold,
        opener: Opener | None,
    ) -> None:
        self.camera_id = camera_id
        self.heard = clock()
        self._settings = settings
        self._clock = clock
        self._hold = hold
        self._opener = opener
        self._epochs: dict[int, Epoch] = {}
        self._past = 0  # newest epoch that has gone out whole

    @property
    def epochs(self) -> list[Epoch]:
        """Oldest first."""
        return [self._epochs[number] for number in sorted(self._epochs)]

    @property
    def waiting(self) -> bool:
        """True while time alone may let something out."""
        return any(epoch.waiting for epoch in self._epochs.values())

    def epoch(self, number: int) -> Epoch | None:
        """The epoch of that number, new if need be; None if it is over. Raises InvalidMessage where too many wait."""
        known = self._epochs.get(number)
        if known is not None:
            return known
        # Messages of a camera come in order: one that begins behind another's frames is none of this line's.
        if number <= self._past or any(epoch.started and epoch.number > number for epoch in self._epochs.values()):
            return None
        if len(self._epochs) >= _EPOCHS_MAX:
            raise InvalidMessage(f"{_EPOCHS_MAX} epochs of this camera wait already")
        epoch = Epoch(self.camera_id, number, self._settings, self._clock, self._hold, self._opener)
        self._epochs[number] = epoch
        return epoch

    def step(self, rules: Rules | None) -> Emission | None:
        """The next thing that can go out, or None while it has to wait."""
        if not self._epochs:
            return None
        oldest, *newer = self.epochs
        superseded = any(epoch.started for epoch in newer)
        if not oldest.started:
            if superseded or self._clock() - oldest.heard > self._settings.file_deadline_s:
                return self._abandon(oldest)
            return None
        if superseded and not oldest.ended:
            oldest.end_source(oldest.broken_off())
        if any(epoch.started and epoch.spanned for epoch in newer):
            oldest.end_redactions()  # spans come in order: with one of a newer epoch, those of this one are over
        emission = oldest.step(rules)
        if oldest.finished:
            del self._epochs[oldest.number]
            self._past = oldest.number
        return emission

    def rest(self) -> list[Position]:
        """It has been silent for long: lets its last frames out, and says which messages hold back commits."""
        return [position for epoch in self._epochs.values() for position in epoch.rest()]

    def drop(self) -> list[Position]:
        """Gives up everything in hand, and says where it stood."""
        done = [position for epoch in self._epochs.values() for position in epoch.abandon()]
        self._epochs.clear()
        return done

    def _abandon(self, epoch: Epoch) -> Emission:
        """Spans whose frames never came: nothing to send, but their messages are done with."""
        done = epoch.abandon()
        metrics.LATE_SPANS.inc(len(done))
        del self._epochs[epoch.number]
        return Emission((), done)
