"""Lays settings on top of each other, keeping for each key the place of the layer that won."""

from collections.abc import Mapping
from typing import Any

from services.policy.model import Profile
from services.policy.problems import KeyPath, Place
from services.policy.yamltree import Layer

PROFILES: Mapping[str, Mapping[str, Any]] = {
    # Half a second is as long as a guard's picture may lag; what can't be seen ahead is held longer behind.
    Profile.LIVE: {"tracking": {"look_ahead_s": 0.5, "hold_s": 1.5}},
    Profile.EVIDENCE: {"tracking": {"look_ahead_s": 2.0, "hold_s": 1.0}},
}
"""What a profile stands for."""


def stack(*layers: Layer) -> Layer:
    """All layers as one, the last on top."""
    data: dict[str, Any] = {}
    places: dict[KeyPath, Place] = {}
    for layer in layers:
        profile = layer.data.get("profile")
        if profile != data.get("profile"):
            _merge(data, _profile_values(profile))
        _merge(data, {**layer.data, **_kinds(layer, data)})
        places |= layer.places
    return Layer(data, places)


def _profile_values(profile: Any) -> Mapping[str, Any]:
    return PROFILES.get(profile, {}) if isinstance(profile, str) else {}


def _kinds(layer: Layer, below: dict[str, Any]) -> Mapping[str, Any]:
    """The layer's `kinds` as a mapping. A list is complete: kinds that it leaves out are removed from below."""
    kinds = layer.data.get("kinds")
    if isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds):
        inherited = below.get("kinds") or {}
        below["kinds"] = {kind: rule for kind, rule in inherited.items() if kind in kinds}
        kinds = dict.fromkeys(kinds)
    if not isinstance(kinds, Mapping):
        return {}
    return {"kinds": {kind: {} if rule is None else rule for kind, rule in kinds.items()}}


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = _copy(value)


def _copy(value: Any) -> Any:
    """Nested dicts of its own, so that merging never writes into a layer."""
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
