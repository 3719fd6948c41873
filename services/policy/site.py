"""The site file: which cameras there are, what may be shown of each, and where its masked pictures go."""

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from services.detect.catalogue import ModelMissing, catalogue
from services.policy.book import FilePolicyBook, PolicySource
from services.policy.changes import ChangeFolder
from services.policy.loader import is_preset
from services.policy.model import Policy
from services.policy.problems import ConfigError, KeyPath, Problem, problems_of
from services.policy.secrets import expand
from services.policy.yamltree import Layer, read_layer

CAMERAS_MAX = 32_768
"""A city of 22,000 in one file, with room; what reading it costs stands in docs/operations.md."""

_MAX_BYTES = 32 << 20
_WITHHELD = SecretStr("withheld")

Addresses = Literal["source", "outputs"]


def _camera_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError("may hold up to 64 letters, digits, ., - and _, and starts with a letter or digit")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Outputs(_Model):
    """Where one camera's masked pictures go beside the bus; at least one."""

    mp4: Path | None = Field(None, description="File that is written.")
    hls: Path | None = Field(None, description="Folder for an HLS playlist and its segments.")
    rtsp: SecretStr | None = Field(None, description="Address of a media server to push to.")

    @model_validator(mode="after")
    def _some(self) -> "Outputs":
        if self.mp4 is None and self.hls is None and self.rtsp is None:
            raise ValueError("needs at least one of mp4, hls, rtsp")
        return self


class Camera(_Model):
    """One camera of the site."""

    id: Annotated[str, AfterValidator(_camera_id)] = Field(description="Key of all its messages.")
    source: SecretStr = Field(min_length=1, description="RTSP address, file, folder or device.")
    policy: str | None = Field(None, description="Preset or policy file; the site's policy if left out.")
    overrides: dict[str, Any] = Field(default_factory=dict, description="Keys of the policy that differ here.")
    outputs: Outputs | None = Field(None, description="Where its masked pictures go; `veil run` needs one.")
    loop: bool = Field(False, description="Start a file again when it ends.")

    @property
    def shown_source(self) -> str:
        """The source without user, password and query: fit for logs."""
        return shown_address(self.source.get_secret_value())


class SiteConfig(_Model):
    """Cameras that one process reads, or many share."""

    name: str = Field(min_length=1, max_length=64, description="Name for people.")
    policy: str = Field("public", description="Preset or policy file of cameras that name none.")
    changes: str | None = Field(
        None,
        min_length=1,
        description="Folder in which the console keeps what is changed of policies while the system runs; without it "
        "nothing can be.",
    )
    models: dict[str, str] = Field(
        default_factory=dict,
        description="Detector → model, where another than the usual one shall find it: `veil models list`.",
    )
    cameras: tuple[Camera, ...] = Field(min_length=1, max_length=CAMERAS_MAX, description="The cameras of the site.")

    @field_validator("models")
    @classmethod
    def _known(cls, models: dict[str, str]) -> dict[str, str]:
        try:
            for detector in models:
                catalogue().chosen(detector, models)
        except ModelMissing as error:
            raise ValueError(str(error)) from error
        return models


@dataclass(frozen=True, slots=True)
class Site:
    """A site file that was read and found right, with the policies of its cameras.

    Attributes:
        book: the policies as they are now.
        policies: as they were when the file was read.
        sources: camera_id → where its policy comes from.
    """

    config: SiteConfig
    book: FilePolicyBook
    policies: Mapping[str, Policy]
    sources: Mapping[str, PolicySource]


def shown_address(address: str) -> str:
    """An address without user, password and query; other sources as they are."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that can't be read"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def load_site(
    path: Path,
    environment: Mapping[str, str] | None = None,
    addresses: Collection[Addresses] = ("source", "outputs"),
) -> Site:
    """Reads a site file and every policy it names. Raises ConfigError with all that is wrong in any of them.

    `${NAME}` in `source` and `outputs` stands for an environment variable, `${file:/run/secrets/name}` for the first
    line of a file. Relative paths start from the site file's folder.

    Args:
        path: the file.
        environment: in place of the process's own.
        addresses: those that the caller needs. Secrets in the others are not looked up, and the site has none of them:
            each source is "withheld", and there are no outputs.
    """
    layer = read_layer(path, max_bytes=_MAX_BYTES)
    problems: list[Problem] = []
    data = _expanded(layer, path.parent, os.environ if environment is None else environment, addresses, problems)
    config = _validated(data, layer, problems)
    if config is None or problems:
        raise ConfigError(problems)
    problems += _clashes(config, layer)
    changes = None if config.changes is None else path.parent / config.changes
    if changes is not None and not changes.is_dir():
        # Made here, an empty folder would hide that the right one is not mounted, and what was changed is forgotten.
        problems.append(Problem(layer.place(("changes",)), ("changes",), "there is no such folder: make it first"))
    overrides = layer.parts("cameras", key="overrides")
    sources = [
        _policy_source(camera.policy or config.policy, overrides.get(i), path.parent, changes and changes / camera.id)
        for i, camera in enumerate(config.cameras)
    ]
    policies = [_policy(source, i, config, layer, problems) for i, source in enumerate(sources)]
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    ids = [camera.id for camera in config.cameras]
    config = _without_others(config, addresses)
    found = {camera_id: policy for camera_id, policy in zip(ids, policies, strict=True) if policy is not None}
    named = dict(zip(ids, sources, strict=True))
    return Site(config, FilePolicyBook(named), found, named)


def _without_others(config: SiteConfig, addresses: Collection[Addresses]) -> SiteConfig:
    others: dict[str, Any] = {"source": _WITHHELD, "outputs": None}
    withheld = {name: value for name, value in others.items() if name not in addresses}
    cameras = tuple(camera.model_copy(update=withheld) for camera in config.cameras)
    return config.model_copy(update={"cameras": cameras}) if withheld else config


def _validated(data: Mapping[str, Any], layer: Layer, problems: list[Problem]) -> SiteConfig | None:
    try:
        return SiteConfig.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        problems += problems_of(error, layer.place, SiteConfig)
        return None


def _policy(
    source: PolicySource, index: int, config: SiteConfig, layer: Layer, problems: list[Problem]
) -> Policy | None:
    try:
        return source.load()
    except ConfigError as error:
        key: KeyPath = ("cameras", index, "policy") if config.cameras[index].policy else ("policy",)
        # What has no line of its own (a file that is not there) is told where the site file names it.
        problems += [
            problem if problem.place.line else Problem(layer.place(key), key, str(problem))
            for problem in error.problems
        ]
        return None


def _policy_source(base: str, overrides: Layer | None, folder: Path, changes: Path | None) -> PolicySource:
    return PolicySource(
        base if is_preset(base) else folder / base,
        overrides or Layer.of({}, "overrides"),
        None if changes is None else ChangeFolder(changes),
    )


def _clashes(config: SiteConfig, layer: Layer) -> list[Problem]:
    """Cameras that share what must be their own."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for i, camera in enumerate(config.cameras):
        out = camera.outputs
        own: list[tuple[KeyPath, str]] = [(("id",), camera.id)]
        if out is not None:
            own += [(("outputs", key), str(value)) for key, value in (("mp4", out.mp4), ("hls", out.hls)) if value]
            if out.rtsp is not None:
                own.append((("outputs", "rtsp"), out.rtsp.get_secret_value()))
        for key, value in own:
            first = seen.setdefault((str(key[-1]), value), i)
            if first != i:
                full = ("cameras", i, *key)
                found.append(Problem(layer.place(full), full, f"is the same as that of cameras.{first}"))
    return found


def _expanded(
    layer: Layer,
    folder: Path,
    environment: Mapping[str, str],
    addresses: Collection[str],
    problems: list[Problem],
) -> dict[str, Any]:
    """The data with references in these addresses replaced by what they stand for, paths made relative to `folder`."""

    def walk(value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, (*path, i)) for i, inner in enumerate(value)]
        # cameras, its number, and then the key: the addresses of a camera are nowhere else.
        if isinstance(value, str) and path[2:3] and path[2] in addresses:
            text, missing = expand(value, environment)
            problems.extend(Problem(layer.place(path), path, reason) for reason in missing)
            return _located(text, folder)
        return value

    return {key: walk(value, (key,)) for key, value in layer.data.items()}


def _located(source: str, folder: Path) -> str:
    """A relative path as seen from `folder`; addresses, device numbers and absolute paths stay."""
    if not source or "://" in source or source.isdigit():
        return source
    return str(folder / source)
