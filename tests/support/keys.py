"""Key-encryption keys for tests."""

import base64
import os
from pathlib import Path


def add_key(folder: Path, name: str) -> None:
    """Writes a new key as `veil keys` does."""
    file = folder / f"{name}.key"
    file.touch(0o600)
    file.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
