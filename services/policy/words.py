"""A policy in plain words, for people who will never read its keys."""

from collections.abc import Sequence

from services.policy.model import Incomplete, Kind, Mode, Policy, Profile

_PLURAL = {
    Kind.FACE: "faces",
    Kind.PLATE: "number plates",
    Kind.PERSON: "whole persons",
    Kind.HEAD: "heads",
    Kind.MOTION: "moving things",
    Kind.TEXT: "readable signs",
    Kind.LOGO: "registered logos",
}
_VERB = {
    Mode.SOLID: "covered with a plain colour",
    Mode.MOSAIC: "mosaicked",
    Mode.BLUR: "blurred",
    Mode.SEAL: "drawn as figures that keep outline and pose alone, for machines to learn from",
    Mode.SILHOUETTE: "shown as silhouettes",
}
_CLOSED = {
    Incomplete.CLOSE: "A frame that can't be checked is closed: the whole picture is masked.",
    Incomplete.DROP: "A frame that can't be checked is left out.",
}
_AHEAD = {Profile.LIVE: "For live pictures", Profile.EVIDENCE: "For evidence"}


def describe(policy: Policy) -> str:
    """What the policy does, in a few sentences."""
    return " ".join((*sentences(policy), _original(policy)))


def sentences(policy: Policy) -> tuple[str, ...]:
    """What the policy does to pictures and sound, one sentence for each aspect."""
    return (
        _what(policy),
        _CLOSED[policy.on_incomplete],
        _when(policy),
        *_areas(policy),
        "Sound is kept." if policy.sound == "keep" else "Sound is dropped.",
    )


def _what(policy: Policy) -> str:
    groups: dict[Mode, list[str]] = {}
    for kind in policy.kinds:
        groups.setdefault(policy.mode_of(kind), []).append(_PLURAL[kind])
    parts = [f"{_join(names)} are {_VERB[mode]}" for mode, names in groups.items()]
    plain = policy.strength == 1 or set(groups) == {Mode.SOLID}
    strength = "" if plain else f", {policy.strength:g} times as strongly as usual"
    return f"{'; '.join(parts).capitalize()}{strength}."


def _when(policy: Policy) -> str:
    tracking = policy.tracking
    return (
        f"{_AHEAD[policy.profile]}, a subject is masked from {_seconds(tracking.look_ahead_s)} before it is first seen "
        f"until {_seconds(tracking.hold_s)} after it was last seen."
    )


def _areas(policy: Policy) -> list[str]:
    always = [zone.name for zone in policy.zones if zone.use == "mask"]
    counted = [zone.name for zone in policy.zones if zone.use == "count"] + [line.name for line in policy.lines]
    found = []
    if always:
        found.append(f"Always masked as an area: {_join(always)}.")
    if counted:
        found.append(f"Counted without pictures: {_join(counted)}.")
    return found


def _original(policy: Policy) -> str:
    if policy.originals == "drop":
        return "The original is not kept."
    return f"A vault keeps the encrypted original for {_hours(policy.retention_hours)}."


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _seconds(value: float) -> str:
    return "1 second" if value == 1 else f"{value:g} seconds"


def _hours(hours: int) -> str:
    if hours % 24 or hours < 48:
        return "1 hour" if hours == 1 else f"{hours} hours"
    return f"{hours // 24} days"
