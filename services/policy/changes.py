"""Changes of policies while the system runs: a numbered file for each, never written twice; the newest is in force."""

import contextlib
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.policy.problems import ConfigError, Place, Problem, problems_of
from services.policy.yamltree import MAX_BYTES, Layer, read_layer

KEPT = 200
"""Changes of a camera that stay to be looked up; the audit has all of them."""

_NAME = re.compile(r"(\d{6})\.yaml")
_LAST = 999_999
_STALE_S = 3600.0
_HEAD = "# A change made in the console. Another change is another file; the one with the highest number is in force.\n"


class Change(BaseModel):
    """What somebody changed of one camera's policy. `keys` holds all that differs, not only what is new."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field(min_length=1, max_length=100, description="Account that changed it.")
    at_us: int = Field(ge=0, description="When, in microseconds since 1970.")
    reason: str = Field(min_length=1, max_length=500, description="Why, in a sentence.")
    before: str = Field(max_length=100, description="Fingerprint of the policy before; empty if it was unreadable.")
    after: str = Field(max_length=100, description="Fingerprint of the policy that it makes.")
    preset: str | None = Field(None, description="Preset in place of what the site file says of the camera.")
    keys: dict[str, Any] = Field(default_factory=dict, description="Keys that differ; `kinds` is complete.")


class ChangeConflict(Exception):
    """Somebody else changed it meanwhile."""


@dataclass(frozen=True, slots=True)
class Laid:
    """What a change lays over a policy: a preset in place of the site file's words, and layers above."""

    preset: str | None
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, preset: str | None, keys: Layer) -> "Laid":
        """A mapping of kinds is complete here: those that it leaves out are not masked any more."""
        kinds = keys.data.get("kinds")
        if not isinstance(kinds, Mapping):
            return cls(preset, (keys,))
        return cls(preset, (Layer({"kinds": list(kinds)}, keys.places), keys))


class ChangeFolder:
    """The changes of one camera, in a folder of its own: 000001.yaml and so on.

    A change becomes one by its name, which a finished file is given at once and which only one file can have: readers
    see a change whole or not at all, and of two writers one is told. Safe to use from any thread and process.

    Args:
        folder: of the camera. It may be missing as long as nothing was changed; the folder around it may not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        """Those of all changes, rising. Raises ConfigError where nobody can tell."""
        try:
            found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
            return sorted(int(match[1]) for match in found if match)
        except FileNotFoundError:
            if self.folder.parent.is_dir():
                return []
            raise self._unreadable("the folder of changes is not there") from None
        except OSError as error:
            raise self._unreadable(f"can't be read: {error.strerror}") from error

    def newest(self) -> int:
        """Number of the change in force, 0 where there is none. Raises ConfigError."""
        return max(self.numbers(), default=0)

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes with the newest change; its number comes last. None where nobody can tell."""
        try:
            number = self.newest()
            facts = self._path(number).stat() if number else None
        except (ConfigError, OSError):
            return None
        return (0, 0, 0) if facts is None else (facts.st_mtime_ns, facts.st_size, number)

    def read(self, number: int) -> tuple[Change, Laid]:
        """A change, and what it lays over the policy. Raises ConfigError."""
        layer = read_layer(self._path(number))
        try:
            change = Change.model_validate_json(json.dumps(layer.data), strict=True)
        except ValidationError as error:
            raise ConfigError(problems_of(error, layer.place, Change)) from error
        return change, Laid.of(change.preset, layer.part("keys"))

    def add(self, number: int, change: Change, confirm: Callable[[], object] = lambda: None) -> None:
        """Makes a change the one in force.

        Args:
            number: it is to have, one more than that of the change it was made upon.
            change: to write.
            confirm: called when nothing but the name is missing; what it raises passes through, and nothing changes.

        Raises ChangeConflict where the number is not the next one any more, OSError where it can't be written.
        """
        content = _written(change)
        self.folder.mkdir(exist_ok=True)
        with self._alone() as handle:
            if number != self.newest() + 1 or number > _LAST:
                raise ChangeConflict
            self._sweep()
            part = self.folder / f".{number:06}-{secrets.token_hex(4)}.part"
            try:
                _write(part, content)
                confirm()
                os.link(part, self._path(number))
            except FileExistsError:
                raise ChangeConflict from None
            finally:
                part.unlink(missing_ok=True)
            os.fsync(handle)
            for old in self.numbers()[:-KEPT]:
                self._path(old).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.yaml"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """One writer at a time, so that what was confirmed is not refused afterwards; gives the folder's handle."""
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)

    def _sweep(self) -> None:
        """Removes what writers left behind that died."""
        for part in self.folder.glob(".*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > _STALE_S:
                    part.unlink()

    def _unreadable(self, why: str) -> ConfigError:
        return ConfigError([Problem(Place(str(self.folder)), (), why)])


def _written(change: Change) -> bytes:
    text = yaml.safe_dump(change.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
    content = (_HEAD + text).encode()
    if len(content) > MAX_BYTES:
        # As the reader would say, which closes the camera.
        raise ConfigError([Problem(Place("the change"), (), f"is larger than {MAX_BYTES // 1024} KiB")])
    return content


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
