"""Policy books: where stages look up a camera's policy while they run."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.policy.loader import is_preset, load_policy
from services.policy.model import Policy, PolicyUnavailable
from services.policy.problems import ConfigError
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
    """Where one camera's policy comes from: a preset's name or a file's path, and the camera's own overrides."""

    base: str | Path
    overrides: Layer = field(default_factory=lambda: Layer.of({}, "overrides"))

    def load(self) -> Policy:
        """Reads it now. Raises ConfigError."""
        return load_policy(self.base, self.overrides)

    def stamp(self) -> tuple[int, int] | None:
        """Changes with the file; None where there is nothing to read."""
        if is_preset(self.base):
            return (0, 0)
        try:
            facts = Path(self.base).stat()
        except OSError:
            return None
        return (facts.st_mtime_ns, facts.st_size)


@dataclass(slots=True)
class _Entry:
    stamp: tuple[int, int] | None
    checked_at: float
    found: Policy | str


class FilePolicyBook:
    """Policies read from files, and read again when a file has changed.

    A changed file that can't be read takes the camera's policy away: it stays closed until the file is right again,
    because nobody can tell which kinds the new text meant to add. Lookups may come from any thread.

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

    def _look(self, camera_id: str, known: _Entry | None) -> _Entry:
        source = self._sources.get(camera_id, self._default)
        if source is None:
            return _Entry(None, self._clock(), f"camera {camera_id} has no policy")
        stamp = source.stamp()
        if known is not None and stamp is not None and stamp == known.stamp:
            return _Entry(stamp, self._clock(), known.found)
        try:
            return _Entry(stamp, self._clock(), source.load())
        except ConfigError as error:
            return _Entry(stamp, self._clock(), str(error.problems[0]))
