"""What the tracker needs of a camera's policy, worked out once for each policy."""

from dataclasses import dataclass

from services.policy.model import Kind, Policy
from services.schema import pb

KINDS: dict[Kind, pb.Kind] = {
    Kind.FACE: pb.KIND_FACE,
    Kind.PLATE: pb.KIND_PLATE,
    Kind.PERSON: pb.KIND_PERSON,
}


@dataclass(frozen=True, slots=True)
class KindRules:
    """How one kind is followed: the scores that start a track and that go on with one."""

    kind: pb.Kind
    name: str
    threshold: float
    keep: float


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy as the tracker reads it.

    Attributes:
        label: name and hash, as spans carry it.
        detectors: that must run at every look.
        replay_s: how far back a restarted tracker must read to mask a frame as if it had never stopped.
    """

    policy: Policy
    label: str
    detectors: tuple[str, ...]
    kinds: tuple[KindRules, ...]
    replay_s: float

    @classmethod
    def of(cls, policy: Policy) -> "Rules":
        """The rules of a policy."""
        kinds = tuple(
            KindRules(KINDS[kind], kind.value, rule.threshold, min(rule.keep_threshold, rule.threshold))
            for kind, rule in policy.kinds.items()
        )
        replay_s = max(policy.tracking.hold_s, policy.tracking.look_ahead_s)
        return cls(policy, policy.fingerprint, policy.detectors, kinds, replay_s)
