"""What differs between two policies, key by key, and whether it could show more than before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.policy.model import Kind, Mode, Policy

_ORDER: Mapping[Mode, int] = {Mode.SOLID: 0, Mode.MOSAIC: 1, Mode.BLUR: 1, Mode.SEAL: 2, Mode.SILHOUETTE: 2}
"""Modes from the one that shows least."""

_HIGHER_SHOWS_MORE = frozenset(
    {
        "detection.every_min", "detection.every_max", "detection.gap_max_s",
        "threshold", "keep_threshold", "every_s", "retention_hours",
    }
)  # fmt: skip
_LOWER_SHOWS_MORE = frozenset(
    {
        "strength", "detection.detail", "padding",
        "tracking.look_ahead_s", "tracking.hold_s", "tracking.growth_per_s",
    }
)  # fmt: skip
_WORDS = (
    "title", "sector", "purpose", "legal_basis", "strength", "profile", "on_incomplete", "sound", "badge", "originals",
    "retention_hours",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that differs.

    Attributes:
        key: with dots; `kinds.face`, `zones.NAME` and `lines.NAME` stand for the whole of them.
        before, after: plain values; None where there is none.
        shows_more: pictures may show more than before, or something is kept that was not, or longer.
    """

    key: str
    before: Any
    after: Any
    shows_more: bool


def differences(before: Policy, after: Policy) -> tuple[Difference, ...]:
    """All that differs, in the order of the keys."""
    return tuple(
        Difference(key, old, new, shows_more)
        for key, old, new, shows_more in (*_plain(before, after), *_kinds(before, after), *_areas(before, after))
        if old != new
    )


_Row = tuple[str, Any, Any, bool]


def _plain(before: Policy, after: Policy) -> Iterator[_Row]:
    for key in _WORDS:
        yield _row(key, _value(before, key), _value(after, key))
    for part in ("detection", "tracking"):
        old, new = getattr(before, part), getattr(after, part)
        for key in type(old).model_fields:
            yield _row(f"{part}.{key}", getattr(old, key), getattr(new, key))


def _row(key: str, old: Any, new: Any) -> _Row:
    return key, old, new, _shows_more(key, old, new)


def _shows_more(key: str, old: Any, new: Any) -> bool:
    if key in ("sound", "originals"):
        return bool(new == "keep")
    if key == "detection.long_side":
        # Left out it follows the camera: nobody can tell here which is smaller.
        return old != new and (new is None or old is None or new < old)
    return (key in _HIGHER_SHOWS_MORE and new > old) or (key in _LOWER_SHOWS_MORE and new < old)


def _kinds(before: Policy, after: Policy) -> Iterator[_Row]:
    for kind in Kind:
        old, new = _rule(before, kind), _rule(after, kind)
        if old is None or new is None:
            yield f"kinds.{kind}", old, new, new is None
            continue
        more = _ORDER[new["mode"]] > _ORDER[old["mode"]] or any(_shows_more(key, old[key], new[key]) for key in old)
        yield f"kinds.{kind}", old, new, more


def _rule(policy: Policy, kind: Kind) -> dict[str, Any] | None:
    """A kind's rule with the mode that it has in the end."""
    rule = policy.kinds.get(kind)
    return None if rule is None else {**rule.model_dump(), "mode": policy.mode_of(kind)}


def _areas(before: Policy, after: Policy) -> Iterator[_Row]:
    for part in ("zones", "lines"):
        old = {area.name: area.model_dump(mode="json") for area in getattr(before, part)}
        new = {area.name: area.model_dump(mode="json") for area in getattr(after, part)}
        for name in sorted(old | new):
            # What a zone masked, and doesn't any more, is not worked out: any other shape may leave something open.
            guards = old.get(name, {}).get("use") in ("mask", "detail")
            yield f"{part}.{name}", old.get(name), new.get(name), guards and old.get(name) != new.get(name)


def _value(policy: Policy, key: str) -> Any:
    value = getattr(policy, key)
    return str(value) if isinstance(value, str) else value
