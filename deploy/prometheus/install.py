"""Prometheus and promtool out of Debian's package, unpacked into .cache/prometheus and installed nowhere."""

import shutil
from pathlib import Path

from deploy.debian import Unavailable, unpacked

__all__ = ["Unavailable", "prometheus", "promtool"]


def promtool() -> Path:
    """What checks and tests rules. Raises Unavailable."""
    return _binary("promtool")


def prometheus() -> Path:
    """The server. Raises Unavailable."""
    return _binary("prometheus")


def _binary(name: str) -> Path:
    installed = shutil.which(name)
    return Path(installed) if installed is not None else unpacked("prometheus") / "usr" / "bin" / name
