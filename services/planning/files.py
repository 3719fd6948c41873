"""Reads YAML files into models, and says in one sentence what is wrong with one."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from services.planning.errors import PlanError


class Model(BaseModel):
    """Frozen; unknown keys and numbers that are none are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_M = TypeVar("_M", bound=BaseModel)


def read(path: Path, model: type[_M]) -> _M:
    """The file as a model. Raises PlanError."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is no text'}") from error
    except yaml.YAMLError as error:
        raise PlanError(f"{path} is no YAML") from error
    if not isinstance(data, dict):
        raise PlanError(f"{path}: must hold keys and values at its top")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise PlanError(f"{path}: {where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
