"""Whether Kubernetes objects are valid: by the OpenAPI schemas of Kubernetes, and by the operators' own definitions."""

import json
from functools import cache
from typing import Any

import yaml

from k8s.tools.crds import MissingTool, crds
from tests.support.manifests import Object
from tests.support.servers import absent

KUBERNETES = "1.36"
OPERATORS = ("kafka.strimzi.io", "keda.sh", "monitoring.coreos.com")


def is_operators(each: Object) -> bool:
    """True of an object that Kubernetes itself doesn't know."""
    return each["apiVersion"].partition("/")[0] in OPERATORS


def check(each: Object) -> None:
    """Raises AssertionError, with where and why, for an object that an API server would refuse or cut down."""
    # Most objects are the same in most combinations.
    problem = _problem(json.dumps(each, sort_keys=True))
    assert not problem, problem


@cache
def _problem(dumped: str) -> str:
    each = json.loads(dumped)
    named = f"{each['kind']} {each['metadata']['name']}"
    if is_operators(each):
        return "\n".join(f"{named}: {error.json_path}: {error.message}" for error in _validator(each).iter_errors(each))
    import kubernetes_validate

    try:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{named}: {'.'.join(map(str, error.path))}: {error.message}"
    return ""


def _validator(each: Object) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(_schema(each["apiVersion"], each["kind"]))


@cache
def _schema(api_version: str, kind: str) -> Any:
    group, _, version = api_version.partition("/")
    for definition in _definitions():
        spec = definition["spec"]
        if (spec["group"], spec["names"]["kind"]) == (group, kind):
            (found,) = (each for each in spec["versions"] if each["name"] == version and each["served"])
            return _strict(found["schema"]["openAPIV3Schema"], root=True)
    raise AssertionError(f"no operator defines {kind} of {group}")


@cache
def _definitions() -> tuple[Any, ...]:
    try:
        folder = crds()
    except MissingTool as missing:
        absent(str(missing))
    return tuple(yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.yaml")))


def _strict(schema: Any, *, root: bool = False) -> Any:
    """The schema as an API server applies it with strict field validation: what it doesn't name is an error."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    keys = ("properties", "items", "additionalProperties", "anyOf", "oneOf", "allOf", "not")
    strict = {key: value for key, value in schema.items() if key not in keys and not key.startswith("x-")}
    strict |= {key: _strict(schema[key]) for key in keys if key in schema and key != "properties"}
    if "properties" in schema:
        strict["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
        if root:
            strict["properties"]["metadata"] = {"type": "object"}
        if schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
        strict.pop("anyOf", None)
        strict["type"] = ["integer", "string"]
    return strict
