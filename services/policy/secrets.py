"""Puts secrets from the environment or from files into settings; what they hold is never part of an error."""

import re
from collections.abc import Mapping
from pathlib import Path

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_MAX_BYTES = 4096


def expand(text: str, environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with `${NAME}` and `${file:PATH}` replaced, and one sentence for each that could not be."""
    missing: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match[1]
        try:
            return _read(Path(name.removeprefix("file:"))) if name.startswith("file:") else environment[name]
        except KeyError:
            missing.append(f"the environment variable {name or '(empty)'} is not set")
        except OSError as error:
            missing.append(f"the file {name.removeprefix('file:')} can't be read: {error.strerror}")
        except UnicodeDecodeError:
            missing.append(f"the file {name.removeprefix('file:')} is not text")
        return match[0]

    return _REFERENCE.sub(value, text), missing


def _read(path: Path) -> str:
    """First line of a small file."""
    with path.open("rb") as file:
        return file.read(_MAX_BYTES).decode().partition("\n")[0].strip()
