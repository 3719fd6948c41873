"""What a policy may say but hardly means: settings that leave somebody visible, or that the law may not allow."""

from services.policy.model import Kind, Policy
from services.policy.problems import KeyPath

_SLOW_CAMERA_FPS = 10
"""At this rate `every_max` frames last longest among the cameras we expect."""


def cautions(policy: Policy) -> list[tuple[KeyPath, str]]:
    """Key and sentence of everything worth a second thought."""
    found: list[tuple[KeyPath, str]] = []
    gap = longest_gap_s(policy)
    tracking = policy.tracking
    if tracking.hold_s < gap:
        text = f"is shorter than the {gap:g} s that may pass between two looks: a subject missed once becomes visible"
        found.append((("tracking", "hold_s"), text))
    if tracking.look_ahead_s < gap:
        text = f"is shorter than the {gap:g} s that may pass between two looks: a subject shows before it is first seen"
        found.append((("tracking", "look_ahead_s"), text))
    if Kind.FACE not in policy.kinds and Kind.PERSON not in policy.kinds:
        found.append((("kinds",), "neither face nor person is masked: people can be recognised"))
    for kind, rule in policy.kinds.items():
        if rule.every_s > tracking.look_ahead_s:
            sentence = f"is more than the look-ahead: what comes new shows up to {rule.every_s:g} s before it is seen"
            found.append((("kinds", kind.value, "every_s"), sentence))
        if rule.threshold > 0.6:
            found.append((("kinds", kind.value, "threshold"), "above 0.6 small and turned subjects are missed"))
    if policy.strength < 1:
        found.append((("strength",), "below 1 the mask is finer than the one that the attack tests measure"))
    if policy.sound == "keep":
        found.append((("sound",), "voices identify people, and Korea forbids cameras to record sound"))
    if policy.retention_hours > 30 * 24:
        found.append((("retention_hours",), "more than 30 days need a reason of their own; check with counsel"))
    if not policy.purpose:
        found.append((("purpose",), "is not stated; the law asks for the purpose of each camera"))
    return found


def longest_gap_s(policy: Policy) -> float:
    """The most seconds between two looks of a detector."""
    return min(policy.detection.gap_max_s, policy.detection.every_max / _SLOW_CAMERA_FPS)
