"""Which keys a settings model knows, found by walking its types."""

from collections.abc import Sequence
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel


def known_keys(model: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys allowed directly below `path`; empty where there is nothing with keys."""
    annotation: Any = model
    for part in path:
        annotation = _inner(annotation, part)
    if _is_model(annotation):
        return tuple(annotation.model_fields)
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and issubclass(arguments[0], Enum):
        return tuple(str(member.value) for member in arguments[0])
    return ()


def _inner(annotation: Any, part: str | int) -> Any:
    if _is_model(annotation):
        field = annotation.model_fields.get(part)
        return None if field is None else _given(field.annotation)
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    return arguments[0] if arguments else None


def _given(annotation: Any) -> Any:
    """The type of an optional value where one is given."""
    return get_args(annotation)[0] if get_origin(annotation) is UnionType else annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
