"""Files that only their owner may read."""

import os
from pathlib import Path


def write_secret(path: Path, content: bytes) -> None:
    """Writes a file with mode 0600; never for an instant readable by others. Replaces an older one whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)
