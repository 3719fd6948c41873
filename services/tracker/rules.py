"""What the tracker needs of a camera's policy, worked out once for each policy."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.policy.model import Policy
from services.policy.wire import KINDS
from services.schema import pb

# Chosen with tests/unit/tracker/simulator.py: fewest subject-frames left open for the area masked (see README.md).
_ONCE_S = 0.5
"""Most time around its only sight that a track is masked: it may be a false alarm."""


@dataclass(frozen=True, slots=True)
class KindRules:
    """How one kind is followed: the scores that start a track and that go on with one.

    Attributes:
        hold_s: how long a lost track is masked: where looks are rare, at least until two of them missed it.
        once_s: the same for a track that was seen once only, which may be a false alarm.
    """

    kind: pb.Kind
    name: str
    threshold: float
    keep: float
    hold_s: float
    once_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy as the tracker reads it.

    Attributes:
        label: name and hash, as spans carry it.
        detectors: that must run, with the longest time from one run to the next: 0 where every look needs it.
        replay_s: how far back a restarted tracker must read to mask a frame as if it had never stopped.
        sight: all that decides what is found and followed: looks made under another one say too little.
    """

    policy: Policy
    label: str
    detectors: Mapping[str, float]
    kinds: tuple[KindRules, ...]
    replay_s: float
    sight: tuple[object, ...]

    @classmethod
    def of(cls, policy: Policy) -> "Rules":
        """The rules of a policy."""
        gap_s = policy.detection.gap_max_s
        # A look that is due goes out with the next picture that detectors see.
        longest_s = {name: every_s and every_s + gap_s for name, every_s in policy.intervals.items()}
        kinds = tuple(
            KindRules(
                KINDS[kind],
                kind.value,
                rule.threshold,
                min(rule.keep_threshold, rule.threshold),
                max(policy.tracking.hold_s, 2 * longest_s[kind.detector]),
                max(_ONCE_S, 2 * longest_s[kind.detector]),
            )
            for kind, rule in policy.kinds.items()
        )
        replay_s = max(policy.tracking.look_ahead_s, *(rule.hold_s for rule in kinds))
        details = tuple(zone for zone in policy.zones if zone.use == "detail")
        sight = (kinds, longest_s, policy.detection, policy.tracking, details)
        return cls(policy, policy.fingerprint, longest_s, kinds, replay_s, sight)
