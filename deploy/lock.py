"""Writes deploy/requirements.lock, what images install: `python -m deploy.lock`, on Linux x86_64 with Python 3.11.

Versions and hashes are those that pip chooses for what pyproject.toml asks for, of wheels only: no compiler is needed.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "deploy" / "requirements.lock"

_HEAD = "# Made by `python -m deploy.lock` from pyproject.toml, for Linux x86_64 and Python 3.11.\n"


def wanted() -> list[str]:
    """The project's own dependencies and what builds its wheel, as pyproject.toml states them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*project["project"]["dependencies"], *project["build-system"]["requires"]]


def main() -> None:
    """Asks pip and writes the file."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--report", str(report), *wanted()]
        subprocess.run(command, check=True, env=os.environ | {"PIP_FIND_LINKS": ""})  # noqa: S603, ours
        chosen = json.loads(report.read_text())["install"]
    LOCK.write_text(_HEAD + "".join(sorted(map(_line, chosen), key=str.lower)), encoding="utf-8")


def _line(package: dict[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    about, archive = package["metadata"], package["download_info"]["archive_info"]
    return f"{about['name']}=={about['version']} --hash=sha256:{archive['hashes']['sha256']}\n"


if __name__ == "__main__":
    main()
