"""Writes deploy/requirements*.lock, what images install: `python -m deploy.lock`, on Linux x86_64 with Python 3.11.

Versions and hashes are those that pip chooses for what pyproject.toml asks for, of wheels only: no compiler is needed.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "deploy" / "requirements.lock"
VAULT_LOCK = ROOT / "deploy" / "requirements-vault.lock"
"""What the vault's image has beside the others."""
SERVER_LOCK = ROOT / "deploy" / "requirements-server.lock"
"""What the images have beside the others that people talk to over HTTP."""

_HEAD = "# Made by `python -m deploy.lock` from pyproject.toml, for Linux x86_64 and Python 3.11.\n"


def wanted() -> list[str]:
    """The project's own dependencies and what builds its wheel, as pyproject.toml states them."""
    return [*_project()["project"]["dependencies"], *_project()["build-system"]["requires"]]


def wanted_by_vault() -> list[str]:
    """What the vault needs beside that."""
    extras = _project()["project"]["optional-dependencies"]
    return [line for name in ("vault", "vault-postgres", "vault-s3") for line in extras[name]]


def wanted_by_servers() -> list[str]:
    """What the API and the console need beside that: accounts lie in a database, as the vault's index does."""
    extras = _project()["project"]["optional-dependencies"]
    ours = (line for name in ("server", "vault", "vault-postgres") for line in extras[name])
    return [line for line in ours if not line.startswith("veil[")]


def main() -> None:
    """Asks pip and writes the files; what is in several of them has one version."""
    all_images = _chosen(wanted(), ())
    vault = _chosen([*wanted(), *wanted_by_vault()], _versions(all_images))
    # Together, as the API of disclosures reads the vault.
    both = _chosen([*wanted(), *wanted_by_vault(), *wanted_by_servers()], _versions(vault))
    server = _chosen([*wanted(), *wanted_by_servers()], _versions(both))
    for file, lines, known in (
        (LOCK, all_images, ()),
        (VAULT_LOCK, vault, all_images),
        (SERVER_LOCK, server, all_images),
    ):
        file.write_text(_HEAD + "".join(sorted(set(lines) - set(known), key=str.lower)), encoding="utf-8")


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _versions(lines: Iterable[str]) -> list[str]:
    return [line.split()[0] for line in lines]


def _chosen(packages: Sequence[str], known: Sequence[str]) -> list[str]:
    """Lines of what pip would install, with the versions of those that are known already."""
    with tempfile.TemporaryDirectory() as scratch:
        report, constraints = Path(scratch) / "report.json", Path(scratch) / "constraints.txt"
        constraints.write_text("\n".join(known), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--report", str(report), "--constraint", str(constraints), *packages]
        subprocess.run(command, check=True, env=os.environ | {"PIP_FIND_LINKS": ""})  # noqa: S603, ours
        return sorted(map(_line, json.loads(report.read_text())["install"]), key=str.lower)


def _line(package: dict[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    about, archive = package["metadata"], package["download_info"]["archive_info"]
    return f"{about['name']}=={about['version']} --hash=sha256:{archive['hashes']['sha256']}\n"


if __name__ == "__main__":
    main()
