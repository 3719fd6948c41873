"""The source of the console's page with the packages that its lock file names."""

import shutil
import subprocess
from pathlib import Path

from services.console import pages
from tests.support.servers import absent

WEB = pages.STATIC.parent / "web"
_TIMEOUT_S = 240


def installed(folder: Path) -> Path:
    """A copy of the source in `folder`, with its packages, as npm fetches them by their hashes."""
    npm = shutil.which("npm")
    if npm is None:
        absent("node and npm are needed for the console's page")
    copy = folder / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode:
        absent(f"the packages of the console's page can't be had: {done.stderr[-300:]}")
    return copy
