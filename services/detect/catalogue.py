"""The model catalogue: which models exist, which package carries each, and the hash that its stored file must have."""

import hashlib
import os
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelMissing(Exception):
    """A model is not installed, or its file is not the one the catalogue names; the text says what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Entry):
    """A file inside a published package, from `offset` to its end."""

    manager: Literal["pypi", "npm"]
    package: str
    version: str
    file: str
    offset: int = Field(0, ge=0)
    sha256: Sha256

    @property
    def spec(self) -> str:
        """Package and version as its client takes them."""
        return f"{self.package}{'==' if self.manager == 'pypi' else '@'}{self.version}"


class ModelEntry(_Entry):
    """One model as the catalogue describes it."""

    model: str
    version: str
    licence: str
    origin: str
    source: Source
    convert: Literal["blazeface_full", "centerface", "clp_det", "ppocr_det", "ssd_mobilenetv2_oidv4"]
    stored: str
    sha256: Sha256

    @property
    def stamp(self) -> str:
        """Version and the first 12 digits of the stored file's SHA-256, as results carry it."""
        return f"{self.version}+{self.sha256[:12]}"


@cache
def catalogue() -> dict[str, ModelEntry]:
    """Every model by the name of its detector."""
    text = resources.files("services.detect").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, ModelEntry]).validate_python(yaml.safe_load(text))


def default_models_dir() -> Path:
    """VEIL_MODELS; else .cache/models beside a checkout; else the user's cache folder."""
    if chosen := os.environ.get("VEIL_MODELS"):
        return Path(chosen)
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file():
        return root / ".cache" / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "veil" / "models"


def check_present(names: Iterable[str], models_dir: Path) -> None:
    """Raises ModelMissing, with one command for all of them, if files are absent; what they hold is not looked at."""
    absent = [name for name in names if name in catalogue() and not (models_dir / catalogue()[name].stored).exists()]
    if absent:
        which = f"{', '.join(absent[:-1])} and {absent[-1]} models are" if absent[1:] else f"{absent[0]} model is"
        raise ModelMissing(f"the {which} not installed: run `veil models install {' '.join(absent)}`")


def read_model(name: str, models_dir: Path) -> bytes:
    """The stored ONNX file of detector `name`, its hash verified. Raises ModelMissing."""
    entry = catalogue().get(name)
    if entry is None:
        raise ModelMissing(f"there is no {name} model; known are {', '.join(sorted(catalogue()))}")
    path = models_dir / entry.stored
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelMissing(f"the {name} model is not installed: run `veil models install {name}`") from None
    except OSError as error:
        raise ModelMissing(f"the {name} model can't be read from {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelMissing(f"{path} is not the {name} model it should be: run `veil models install {name}`")
    return data
