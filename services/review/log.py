"""changes.jsonl: every rendering of a review and what was changed for it; each line holds the one before's hash."""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_FIRST = "0" * 64
_TAIL = 1 << 20
"""Bytes read from the end of the file to find its last line; no line that was written here is longer."""


def append(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Adds lines at the end, safe on the disk when this returns. Raises OSError.

    Each gets `previous`, the SHA-256 of the line before it, so that a line that is changed or taken out shows.
    """
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        previous = _last(file.fileno())
        parts = []
        for line in lines:
            data = json.dumps({**line, "previous": previous}, ensure_ascii=False).encode() + b"\n"
            previous = hashlib.sha256(data).hexdigest()
            parts.append(data)
        file.write(b"".join(parts))
        file.flush()
        os.fsync(file.fileno())


def broken_at(data: bytes) -> int | None:
    """The first line, from 1, that does not hold the hash of the one before it; None where all do."""
    previous = _FIRST
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        try:
            told = json.loads(line)
        except ValueError:
            return number
        if not isinstance(told, dict) or told.get("previous") != previous:
            return number
        previous = hashlib.sha256(line).hexdigest()
    return None


def _last(handle: int) -> str:
    """The hash of the last line, or of none."""
    size = os.fstat(handle).st_size
    if not size:
        return _FIRST
    data = os.pread(handle, min(size, _TAIL), max(0, size - _TAIL))
    return hashlib.sha256(data[data[:-1].rfind(b"\n") + 1 :]).hexdigest()
