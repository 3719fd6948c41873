"""The model catalogue: which models exist, what each finds, where its file comes from, and the hash it must have."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.detect.scores import Points, Scale

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_FILE = Path(__file__).with_name("catalogue.yaml")
BUNDLED = Path(__file__).parent / "models"
"""Where the files of the models lie that come with Veil."""


class ModelMissing(Exception):
    """A model is not there, not installed, or its file is not the one the catalogue names; the text says what to do."""


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


class Bundled(_Entry):
    """A file that comes with Veil. `card` is the page in the repository that says what it was made from."""

    manager: Literal["bundled"]
    card: str


class ModelEntry(_Entry):
    """One model as the catalogue describes it."""

    model: str
    finds: tuple[str, ...] = Field(min_length=1)
    version: str
    licence: str
    origin: str
    source: Source | Bundled = Field(discriminator="manager")
    convert: Literal["blazeface_full", "centerface", "clp_det", "ppocr_det", "ssd_mobilenetv2_oidv4"] | None = None
    stored: str
    sha256: Sha256
    scores: Mapping[str, Points] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> "ModelEntry":
        if (self.convert is None) != self.bundled:
            raise ValueError("a package's model is converted, a bundled one is not")
        if not set(self.scores) <= set(self.finds):
            raise ValueError("scores of a detector that the model can't be")
        for detector in self.finds:
            self.scale(detector)
        return self

    @property
    def bundled(self) -> bool:
        """True for a model whose file comes with Veil."""
        return isinstance(self.source, Bundled)

    @property
    def stamp(self) -> str:
        """Version and the first 12 digits of the stored file's SHA-256, as results carry it."""
        return f"{self.version}+{self.sha256[:12]}"

    def path(self, models_dir: Path) -> Path:
        """Where its ONNX file is, or will be when it is installed."""
        return (BUNDLED if self.bundled else models_dir) / self.stored

    def scale(self, detector: str) -> Scale:
        """What its scores mean. Raises ValueError for points that do not rise."""
        return Scale(self.scores.get(detector, ()))


class Catalogue(_Entry):
    """All models by their names, and the one that each detector is where nobody chooses another."""

    defaults: Mapping[str, str]
    models: Mapping[str, ModelEntry]

    @model_validator(mode="after")
    def _defaults_exist(self) -> "Catalogue":
        for detector, model in self.defaults.items():
            if model not in self.models or detector not in self.models[model].finds:
                raise ValueError(f"{model} is no model for {detector}")
        return self

    def entry(self, name: str) -> ModelEntry:
        """The model of this name, or the default of a detector of this name. Raises ModelMissing."""
        entry = self.models.get(self.defaults.get(name, name))
        if entry is None:
            known = ", ".join(sorted({*self.defaults, *self.models}))
            raise ModelMissing(f"there is no {name} model; known are {known}")
        return entry

    def chosen(self, detector: str, models: Mapping[str, str]) -> ModelEntry:
        """The model that a detector is where `models`, detector → model, are chosen. Raises ModelMissing."""
        if detector not in self.defaults:
            raise ModelMissing(f"there is no {detector} detector; known are {', '.join(sorted(self.defaults))}")
        model = models.get(detector, self.defaults[detector])
        fitting = sorted(name for name, entry in self.models.items() if detector in entry.finds)
        if model not in fitting:
            raise ModelMissing(f"there is no model {model} for {detector}; there is {' and '.join(fitting)}")
        return self.models[model]

    def known_as(self, entry: ModelEntry) -> str:
        """What users call it: the detector whose default it is, else its own name."""
        return next((name for name in entry.finds if self.defaults.get(name) == entry.model), entry.model)


@cache
def catalogue() -> Catalogue:
    """The catalogue of this version of Veil."""
    data = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    models = {name: {"model": name, **entry} for name, entry in data.pop("models").items()}
    return Catalogue.model_validate({**data, "models": models})


def default_models_dir() -> Path:
    """VEIL_MODELS; else .cache/models beside a checkout; else the user's cache folder."""
    if chosen := os.environ.get("VEIL_MODELS"):
        return Path(chosen)
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file():
        return root / ".cache" / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "veil" / "models"


def check_present(entries: Iterable[ModelEntry], models_dir: Path) -> None:
    """Raises ModelMissing, with one command for all of them, if files are absent; what they hold is not looked at."""
    absent = [entry for entry in entries if not entry.bundled and not entry.path(models_dir).exists()]
    if absent:
        names = list(dict.fromkeys(catalogue().known_as(entry) for entry in absent))
        which = f"{', '.join(names[:-1])} and {names[-1]} models are" if names[1:] else f"{names[0]} model is"
        raise ModelMissing(f"the {which} not installed: run `veil models install {' '.join(names)}`")


def read_model(name: str, models_dir: Path) -> bytes:
    """The ONNX file of a model, or of the default model of a detector, its hash verified. Raises ModelMissing."""
    entry = catalogue().entry(name)
    path = entry.path(models_dir)
    called = catalogue().known_as(entry)
    cure = "install Veil again" if entry.bundled else f"run `veil models install {called}`"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelMissing(f"the {called} model is not installed: {cure}") from None
    except OSError as error:
        raise ModelMissing(f"the {called} model can't be read from {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelMissing(f"{path} is not the {called} model it should be: {cure}")
    return data
