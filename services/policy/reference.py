"""Fills the tables of docs/policy.md from the model: `python -m services.policy.reference docs/policy.md`."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from services.policy.loader import PRESETS, load_policy
from services.policy.model import KIND_DEFAULTS, Policy
from services.policy.site import SiteConfig
from services.policy.stack import PROFILES

_Schema = Mapping[str, Any]
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true`, `false`"}


def filled(page: str) -> str:
    """The page with its tables made anew."""
    return with_tables(page, _tables())


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """The page with each part between `<!-- table: NAME -->` and `<!-- end -->` replaced by the table of that name.

    Raises ValueError where a table has no place.
    """
    for name, table in tables.items():
        head, begin, rest = page.partition(f"<!-- table: {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"the page has no place for the table '{name}'")
        page = f"{head}{begin}{table}{end}{tail}"
    return page


def _tables() -> dict[str, str]:
    kinds = [
        (f"`{kind}`", f"`{key}`", f"`{value:g}`") for kind, rule in KIND_DEFAULTS.items() for key, value in rule.items()
    ]
    profiles = [
        (f"`{name}`", *(f"{value:g} s" for value in part["tracking"].values())) for name, part in PROFILES.items()
    ]
    return {
        "policy": _table(("key", "values", "default", "meaning"), _rows_of(Policy)),
        "kinds": _table(("kind", "key", "default"), kinds),
        "profiles": _table(("profile", "`tracking.look_ahead_s`", "`tracking.hold_s`"), profiles),
        "presets": _table(
            ("preset", "masks", "mode, strength", "profile", "looks", "ahead, hold", "unchecked frame", "kept"),
            (_preset_row(load_policy(name)) for name in PRESETS),
        ),
        "site": _table(("key", "values", "default", "meaning"), _rows_of(SiteConfig)),
    }


def _rows_of(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    schema = model.model_json_schema()
    return _rows(schema, schema.get("$defs", {}), "")


def _rows(schema: _Schema, definitions: _Schema, prefix: str) -> Iterator[tuple[str, ...]]:
    for name, given in schema["properties"].items():
        rule = _resolved(given, definitions)
        if "properties" not in rule:
            default = "required" if name in schema.get("required", ()) else _default(given)
            yield f"`{prefix}{name}`", _values(rule, definitions), default, given.get("description", "")
        for inner, mark in ((rule, ""), (rule.get("items"), "[]"), (rule.get("additionalProperties"), ".KIND")):
            part = _resolved(inner, definitions) if isinstance(inner, dict) else {}
            if "properties" in part:
                yield from _rows(part, definitions, f"{prefix}{name}{mark}.")


def _resolved(schema: _Schema, definitions: _Schema) -> _Schema:
    """The schema that a reference or an optional value stands for."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolved(option, definitions)
    reference = schema.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else schema


def _values(rule: _Schema, definitions: _Schema) -> str:
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    if rule["type"] == "object":
        names = rule.get("propertyNames")
        if isinstance(rule.get("additionalProperties"), Mapping) and not names:
            return "text by name"
        return _values(_resolved(names, definitions), definitions) if names else "keys of a policy"
    if rule["type"] == "array":
        return "[x, y], 0–1" if "prefixItems" in rule else f"list, at most {rule['maxItems']}"
    kind = _TYPES[rule["type"]]
    if "maximum" not in rule:
        return kind
    low = f"{rule['minimum']:g}" if "minimum" in rule else f"more than {rule['exclusiveMinimum']:g}"
    return f"{kind}, {low} to {rule['maximum']:g}"


def _default(given: _Schema) -> str:
    value = given.get("default")
    if value is None or value in ("", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _preset_row(policy: Policy) -> tuple[str, ...]:
    look, tracking = policy.detection, policy.tracking
    return (
        f"`{policy.name}`",
        ", ".join(f"{kind} ({rule.mode})" if rule.mode else str(kind) for kind, rule in policy.kinds.items()),
        f"{policy.mode}, {policy.strength:g}",
        str(policy.profile),
        f"every {look.every_min}–{look.every_max} frames, {look.gap_max_s:g} s at most"
        + (f", {look.long_side} px" if look.long_side else ""),
        f"{tracking.look_ahead_s:g} s, {tracking.hold_s:g} s",
        str(policy.on_incomplete),
        f"{policy.retention_hours // 24} days",
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * len(head), *rows))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(filled(target.read_text(encoding="utf-8")), encoding="utf-8")
