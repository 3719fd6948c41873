"""Reads YAML strictly into plain data, and remembers on which line and column each key stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from services.policy.problems import ConfigError, KeyPath, Place, Problem

MAX_BYTES = 256 * 1024
"""Of a file that people write; who expects a longer one says so."""

_MAX_DEPTH = 24
_CORE = "tag:yaml.org,2002:"
_SCALARS = frozenset({"str", "int", "float", "bool", "null"})


@dataclass(frozen=True, slots=True)
class Layer:
    """A mapping of settings and where each of its keys stands.

    Attributes:
        data: nested dicts, lists, strings, numbers, booleans and None.
        places: key path → place of the key (of the item, in a list). The empty path is the whole.
    """

    data: Mapping[str, Any]
    places: Mapping[KeyPath, Place] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any], source: str) -> "Layer":
        """A layer that does not come from a file, such as the command line."""
        return cls(data, dict.fromkeys(_paths(data, ()), Place(source)))

    def place(self, path: KeyPath) -> Place:
        """Where `path` stands, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]

    def part(self, key: str) -> "Layer":
        """The mapping under `key` as a layer of its own; empty where there is none."""
        if key not in self.data:
            return Layer({}, {(): self.place(())})
        return Layer(self.data[key], {where[1:]: place for where, place in self.places.items() if where[:1] == (key,)})

    def parts(self, *path: str, key: str) -> dict[int, "Layer"]:
        """The mappings under `key` of the items of the list at `path`, by number, each as a layer of its own.

        All in one pass: a list may have as many items as a city has cameras.
        """
        depth = len(path)
        places: dict[int, dict[KeyPath, Place]] = {}
        for where, place in self.places.items():
            if where[:depth] == path and where[depth + 1 : depth + 2] == (key,):
                number = where[depth]
                if isinstance(number, int):
                    places.setdefault(number, {})[where[depth + 2 :]] = place
        items: Any = self.data
        for step in path:
            items = items[step]
        return {number: Layer(items[number][key], inner) for number, inner in places.items()}


def _paths(data: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Every key path in nested mappings, the empty one first."""
    yield path
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _paths(value, (*path, key))


def read_layer(path: Path, name: str | None = None, max_bytes: int = MAX_BYTES) -> Layer:
    """The settings in a YAML file. Raises ConfigError.

    Args:
        path: the file.
        name: how errors call it; the path as given if left out.
        max_bytes: the longest that it may be.
    """
    shown = name or str(path)
    try:
        if path.stat().st_size > max_bytes:
            raise ConfigError([Problem(Place(shown), (), f"is larger than {max_bytes // 1024} KiB")])
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(Place(shown), (), _why_unreadable(error))]) from error
    return parse_layer(raw, shown)


def parse_layer(raw: bytes, name: str) -> Layer:
    """The settings in YAML text; `name` is how errors call it. Raises ConfigError."""
    try:
        loader = _Loader(raw)  # which reads the first characters
    except yaml.YAMLError as error:
        raise ConfigError([_no_text(name)]) from error
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name) if mark is None else Place(name, mark.line + 1, mark.column + 1)
        raise ConfigError([Problem(place, (), f"is not valid YAML: {error.problem or error.context}")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError([_no_text(name)]) from error
    finally:
        loader.dispose()
    if node is None:
        return Layer({}, {(): Place(name, 1, 1)})
    builder = _Builder(name, loader)
    data = builder.build(node, ())
    if not isinstance(data, dict):
        builder.problems.append(Problem(Place(name, 1, 1), (), "must hold keys and values at its top"))
    if builder.problems:
        raise ConfigError(builder.problems)
    return Layer(data, builder.places)


def _why_unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    return f"can't be read: {error.strerror}"


def _no_text(name: str) -> Problem:
    return Problem(Place(name), (), "is not a text file in UTF-8")


class _Loader(yaml.SafeLoader):
    """Refuses aliases (which can blow up a small file) and deep nesting, while still composing."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave the parser untyped
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        if self.depth >= _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="it is nested too deeply", problem_mark=event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Builder:
    """Turns composed nodes into data; collects what is wrong instead of stopping at the first."""

    def __init__(self, name: str, loader: yaml.SafeLoader) -> None:
        self._name = name
        self._loader = loader
        self.places: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places.setdefault(path, self._at(node))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_CORE}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_CORE}seq":
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return self._refuse(node, path, f"the tag {node.tag!r} is not allowed")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, path, "a key must be a word")
                continue
            inner = (*path, key)
            if key in data:
                self._refuse(key_node, inner, f"stands twice, first on line {self.places[inner].line}")
                continue
            self.places[inner] = self._at(key_node)
            data[key] = self.build(value_node, inner)
        return data

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_CORE)
        if kind == "timestamp":
            return node.value
        if kind not in _SCALARS:
            return self._refuse(node, path, f"the tag {node.tag!r} is not allowed")
        try:
            return self._loader.construct_object(node)
        except (ValueError, yaml.YAMLError):
            return self._refuse(node, path, "is not a readable value")

    def _refuse(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(self._at(node), path, message))

    def _at(self, node: yaml.Node) -> Place:
        return Place(self._name, node.start_mark.line + 1, node.start_mark.column + 1)
