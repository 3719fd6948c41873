"""Lists of what is on the wire, committed beside the tests; they may grow, and what stands in them never changes."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

UPDATE = "VEIL_UPDATE_CONTRACT"
COMMAND = f"{UPDATE}=1 pytest tests/contract"

Listed = Callable[[str, Mapping[str, str]], dict[str, str]]


@pytest.fixture(scope="session")
def listed() -> Listed:
    """A function that returns the committed list of a name, and first adds what is new where an update is asked for."""

    def read(name: str, current: Mapping[str, str]) -> dict[str, str]:
        path = Path(__file__).with_name(name)
        lines = path.read_text().splitlines() if path.exists() else []
        entries = dict(line.split(" ", 1) for line in lines)
        new = {key: value for key, value in current.items() if key not in entries}
        if new and os.environ.get(UPDATE) == "1":
            entries |= new
            path.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
        elif new:
            pytest.fail(f"{', '.join(new)}: not in tests/contract/{name}; if this is meant, run {COMMAND}")
        return entries

    return read
