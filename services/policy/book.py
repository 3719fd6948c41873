"""Policy books: where stages look up a camera's policy while they run."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.policy.changes import ChangeFolder, Laid
from services.policy.loader import is_preset, load_policy
from services.policy.model import Policy, PolicyUnavailable
from services.policy.problems import ConfigError, Place, Problem
from services.policy.yamltree import Layer


class StaticPolicyBook:
    """Policies that never change while the process runs.

    Args:
        policies: camera_id → policy.
        default: for every other camera; without it they have none and stay closed.
    """

    def __init__(self, policies: Mapping[str, Policy] | None = None, default: Policy | None = None) -> None:
        self._policies = dict(policies or {})
        self._default = default

    def policy_for(self, camera_id: str) -> Policy:
        """The camera's policy. Raises PolicyUnavailable."""
        policy = self._policies.get(camera_id, self._default)
        if policy is None:
            raise PolicyUnavailable(f"camera {camera_id} has no policy")
        return policy


@dataclass(frozen=True, slots=True)
class PolicySource:
    """Where one camera's policy comes from.

    Attributes:
        base: a preset's name or a file's path.
        overrides: the camera's own keys in the site file.
        changes: what was changed since, None where nothing can be.
    """

    base: str | Path
    overrides: Layer = field(default_factory=lambda: Layer.of({}, "overrides"))
    changes: ChangeFolder | None = None

    def load(self) -> Policy:
        """Reads it now. Raises ConfigError."""
        number = 0 if self.changes is None else self.changes.newest()
        if self.changes is None or number == 0:
            return self.unchanged()
        return self.changed(self.changes.read(number)[1])

    def unchanged(self) -> Policy:
        """What the site file says of the camera. Raises ConfigError."""
        return load_policy(self.base, self.overrides)

    def changed(self, laid: Laid) -> Policy:
        """What a change would make of it. Raises ConfigError."""
        if laid.preset is None:
            return load_policy(self.base, self.overrides, *laid.layers)
        if not is_preset(laid.preset):
            raise ConfigError([Problem(Place("the change"), ("preset",), "there is no preset of this name")])
        return load_policy(laid.preset, None, *laid.layers)

    def stamp(self) -> tuple[int, ...] | None:
        """Changes with the file and with the newest change, whose number is the last item; None where nobody knows."""
        changes = (0, 0, 0) if self.changes is None else self.changes.stamp()
        if changes is None:
            return None
        if is_preset(self.base):
            return (0, 0, *changes)
        try:
            facts = Path(self.base).stat()
        except OSError:
            return None
        return (facts.st_mtime_ns, facts.st_size, *changes)


@dataclass(slots=True)
class _Entry:
    """What was found; `number` is the highest of a change that was ever seen."""

    stamp: tuple[int, ...] | None
    checked_at: float
    found: Policy | str
    number: int = 0


class FilePolicyBook:
    """Policies read from files, and read again when a file has changed.

    A changed file that can't be read takes the camera's policy away: it stays closed until the file is right again,
    because nobody can tell which kinds the new text meant to add. So it does where a change that was in force is gone:
    what lies beneath may show more. Lookups may come from any thread.

    Args:
        sources: camera_id → where its policy comes from.
        default: for every other camera; without it they have none.
        recheck_s: a file is looked at again after this time.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        sources: Mapping[str, PolicySource],
        default: PolicySource | None = None,
        recheck_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = dict(sources)
        self._default = default
        self._recheck_s = recheck_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def policy_for(self, camera_id: str) -> Policy:
        """The camera's policy. Raises PolicyUnavailable."""
        entry = self._entries.get(camera_id)
        if entry is None or self._clock() - entry.checked_at >= self._recheck_s:
            with self._lock:
                entry = self._look(camera_id, self._entries.get(camera_id))
                self._entries[camera_id] = entry
        if isinstance(entry.found, str):
            raise PolicyUnavailable(entry.found)
        return entry.found

    def look_again(self, camera_id: str) -> None:
        """The camera's policy has changed: the next lookup reads it, however young the last one is."""
        with self._lock:
            entry = self._entries.get(camera_id)
            if entry is not None:
                entry.checked_at = -math.inf

    def _look(self, camera_id: str, known: _Entry | None) -> _Entry:
        source = self._sources.get(camera_id, self._default)
        now = self._clock()
        if source is None:
            return _Entry(None, now, f"camera {camera_id} has no policy")
        stamp = source.stamp()
        seen = 0 if known is None else known.number
        number = stamp[-1] if stamp is not None else seen
        if number < seen:
            return _Entry(None, now, f"change {seen} of the policy of camera {camera_id} is gone", seen)
        if known is not None and stamp is not None and stamp == known.stamp:
            return _Entry(stamp, now, known.found, number)
        try:
            return _Entry(stamp, now, source.load(), number)
        except ConfigError as error:
            return _Entry(stamp, now, str(error.problems[0]), number)
