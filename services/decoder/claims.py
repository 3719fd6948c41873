"""Numbers of epochs: made up by a process that is alone, claimed on a topic where several share the cameras.

A claim stands on the topic before anything goes out in its epoch, and who takes a camera over reads all claims before
making its own, above them. So the epochs of a later holder are higher than all that an earlier one used, or uses still
because it was frozen and does not know yet, whatever the clocks say; and everybody downstream passes over an epoch that
is older than one that has begun.
"""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from services.bus.clock import Clock, now_us
from services.schema import pb

# An epoch further ahead is of a wrong clock. No stage takes frames of it, so that nobody has to begin above it.
EPOCH_AHEAD_US = 3_600_000_000


class Epochs(Protocol):
    """Where one camera's epochs come from."""

    def next(self) -> int | None:
        """A number higher than all before, possibly after a wait; None once it is closed."""

    def close(self) -> None:
        """Whoever waits, waits no longer."""


class OwnEpochs:
    """Of a process that nobody shares its cameras with: the time, in microseconds since 1970.

    It goes on after `close`, as nobody else will say that the camera has ended.
    """

    def __init__(self, clock: Clock = now_us) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int | None:
        """The time, or one more than the last number where the clock was set back."""
        self._last = max(self._last + 1, self._clock())
        return self._last

    def close(self) -> None:
        """Nobody waits."""


class ClaimedEpochs:
    """Of one camera that this process holds: the reader's thread asks, the runner's thread claims and hears.

    Args:
        camera_id: whose epochs they are.
        asking: where it puts itself when there is something to claim.
    """

    def __init__(self, camera_id: str, asking: "deque[ClaimedEpochs]") -> None:
        self.camera_id = camera_id
        self._asking = asking
        self._claimed = 0
        self._granted = 0
        self._open = True
        self._changed = threading.Condition()

    def next(self) -> int | None:
        """Waits until a claim has come back from the topic; None once it is closed."""
        with self._changed:
            self._claimed = self._granted = 0
            self._asking.append(self)
            self._changed.wait_for(lambda: self._granted or not self._open)
            return self._granted if self._open else None

    def close(self) -> None:
        """The camera is given up, or the process ends."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def claim(self, above: int, clock: Clock) -> int:
        """The number to claim, higher than `above`."""
        self._claimed = max(above + 1, clock())
        return self._claimed

    def hear(self, epoch: int, above: int, *, own: bool) -> bool:
        """A claim of the camera came back; `above` is the highest of those before it.

        False where another's claim is above the epoch in use: what goes out in that would be passed over from now on.
        """
        with self._changed:
            if own and epoch == self._claimed:
                if epoch > above:
                    self._granted = epoch
                    self._changed.notify_all()
                else:
                    self._asking.append(self)
                return True
            return own or not self._granted or epoch < self._granted


def check_claim(claim: pb.CameraClaim, key: str) -> str:
    """What is wrong with a claim, as a sentence; empty if nothing is."""
    if not claim.camera_id or claim.camera_id != key:
        return "the camera_id is not the key"
    return "" if claim.epoch and claim.holder else "a claim without epoch or holder"


def asked(asking: "deque[ClaimedEpochs]") -> Iterator[ClaimedEpochs]:
    """Takes those that ask, oldest first."""
    while asking:
        yield asking.popleft()
