"""Loads a policy: a preset or a file, what it extends, and overrides on top, checked as one."""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.policy.cautions import cautions
from services.policy.model import Policy
from services.policy.problems import ConfigError, Place, Problem, did_you_mean, problems_of
from services.policy.stack import stack
from services.policy.yamltree import Layer, parse_layer, read_layer

PRESETS = (
    "apartment", "bank", "school", "hospital", "hotel", "golf", "store", "parking", "public", "transit"
)  # fmt: skip
"""Names of the presets, one for each sector."""


def load_policy(source: str | Path, overrides: Mapping[str, Any] | Layer | None = None, *above: Layer) -> Policy:
    """The policy of a preset's name or a file's path, with overrides and what else lies above. Raises ConfigError.

    A file may start from a preset (`extends: bank`). Mappings are merged key by key; anything else replaces what lies
    below it. A layer that names another `profile` brings that profile's tracking values along.
    """
    return _resolve(source, *_laid(overrides), *above)[0]


def check_policy(source: str | Path, overrides: Mapping[str, Any] | Layer | None = None) -> tuple[Problem, ...]:
    """What is allowed in a policy but worth a second thought. Raises ConfigError for what is not allowed."""
    policy, layer = _resolve(source, *_laid(overrides))
    return tuple(Problem(layer.place(key), key, message) for key, message in cautions(policy))


def preset_text(name: str) -> str:
    """The file of a preset, with its comments."""
    return (resources.files("services.policy") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def preset_layer(name: str) -> Layer:
    """The settings of a preset."""
    return parse_layer(preset_text(name).encode(), f"preset {name}")


def is_preset(source: str | Path) -> bool:
    """True for the name of a preset. A file of that name is meant by `./bank`."""
    return isinstance(source, str) and source in PRESETS


def _laid(overrides: Mapping[str, Any] | Layer | None) -> tuple[Layer, ...]:
    """The overrides as a layer; none where there are none, or what a file lacks would be told as theirs."""
    layer = overrides if isinstance(overrides, Layer) else Layer.of(overrides or {}, "overrides")
    return (layer,) if layer.data else ()


def _resolve(source: str | Path, *above: Layer) -> tuple[Policy, Layer]:
    layers = [preset_layer(str(source))] if is_preset(source) else _file_layers(source)
    layer = stack(*layers, *above)
    try:
        # As JSON, because pydantic's strict mode then takes words for enums, yet no text for numbers.
        policy = Policy.model_validate_json(json.dumps(layer.data), strict=True)
    except ValidationError as error:
        raise ConfigError(problems_of(error, layer.place, Policy)) from error
    return policy, layer


def _file_layers(source: str | Path) -> list[Layer]:
    path = Path(source)
    if not path.suffix and not path.exists():
        hint = did_you_mean(path.name, PRESETS) or f", presets are {', '.join(PRESETS)}"
        raise ConfigError([Problem(Place(str(source)), (), f"there is neither a preset nor a file of this name{hint}")])
    layer = read_layer(path)
    if not layer.data:
        # Left by a full disk or a save that broke off, it would otherwise mean the defaults: less than it asked for.
        raise ConfigError([Problem(Place(str(source)), (), "is empty: name a preset (`extends: public`) or a key")])
    data = {"name": _slug(path.stem), **layer.data}
    base = data.pop("extends", None)
    own = Layer(data, layer.places)
    if base is None:
        return [own]
    if base not in PRESETS:
        hint = did_you_mean(str(base), PRESETS) or f", presets are {', '.join(PRESETS)}"
        raise ConfigError([Problem(layer.place(("extends",)), ("extends",), f"there is no such preset{hint}")])
    return [preset_layer(base), own]


def _slug(text: str) -> str:
    """A policy name made of a file's name."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64] or "policy"
