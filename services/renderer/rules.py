"""What the renderer needs of a camera's policy, worked out once for each policy."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.policy.model import Incomplete, Point, Policy, PolicyBook, PolicyUnavailable
from services.policy.wire import KINDS
from services.schema import pb

_LIVE_SLACK_S = 2.0
"""Beyond the look-ahead: detecting and tracking a live frame take well under a second, a full queue a little more."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """How one kind is masked; padding is a share of the box's size on each side."""

    mode: str
    padding: float


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A policy as the renderer reads it.

    Attributes:
        label: name and hash of the policy, as spans carry it.
        kinds: what is masked; kinds of a span that are not here stay visible.
        drop: closed frames are left out.
        zones: polygons that are always masked.
        live_deadline_s: longest a live frame waits for its span.
    """

    label: str
    kinds: Mapping[pb.Kind, KindRule]
    strength: float
    drop: bool
    keep_sound: bool
    badge: bool
    zones: tuple[tuple[Point, ...], ...]
    live_deadline_s: float

    @classmethod
    def of(cls, policy: Policy) -> "Rules":
        """The rules of a policy."""
        return cls(
            label=policy.fingerprint,
            kinds={
                KINDS[kind]: KindRule(policy.mode_of(kind).value, rule.padding) for kind, rule in policy.kinds.items()
            },
            strength=policy.strength,
            drop=policy.on_incomplete is Incomplete.DROP,
            keep_sound=policy.sound == "keep",
            badge=policy.badge,
            zones=tuple(zone.polygon for zone in policy.zones if zone.use == "mask"),
            live_deadline_s=policy.tracking.look_ahead_s + _LIVE_SLACK_S,
        )


class RuleBook:
    """The rules of each camera, following its policy as it changes."""

    def __init__(self, policies: PolicyBook) -> None:
        self._policies = policies
        self._known: dict[str, tuple[Policy, Rules]] = {}

    def rules_for(self, camera_id: str) -> Rules | None:
        """The camera's rules now; None where there is no readable policy."""
        try:
            policy = self._policies.policy_for(camera_id)
        except PolicyUnavailable:
            return None
        known = self._known.get(camera_id)
        if known is None or known[0] is not policy:
            known = self._known[camera_id] = policy, Rules.of(policy)
        return known[1]
