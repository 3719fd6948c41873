"""JSON with one way to write each value: the part of RFC 8785 that needs no floating point."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "bool | int | str | Sequence[Value] | Mapping[str, Value] | None"

_INT_MAX = 1 << 53


def canonical(value: Value) -> bytes:
    """UTF-8 without spaces, keys in order of their UTF-16 units. Raises ValueError on floats and huge integers."""
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _ordered(value: Value) -> Value:
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        if abs(value) >= _INT_MAX:
            raise ValueError("an integer that other readers of JSON would round: write it as text")
        return value
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    raise ValueError(f"canonical JSON here has no {type(value).__name__}")
