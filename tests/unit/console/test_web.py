"""The page as committed is the page as built from its source, its types hold, and it brings its licences."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from services.console import pages
from services.schema import pb
from tests.support.web import WEB, installed


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("web"))


def run(folder: Path, *command: str) -> None:
    done = subprocess.run(["node", *command], cwd=folder, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_hold(modules: Path) -> None:
    run(modules, "node_modules/typescript/bin/tsc", "--noEmit")


def test_what_is_committed_is_what_is_built(modules: Path, tmp_path: Path) -> None:
    run(modules, "build.mjs", str(tmp_path))
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in pages.STATIC.iterdir()}
    assert built.keys() == committed.keys()
    differs = [name for name, content in built.items() if content != committed[name]]
    assert not differs, "npm run build in services/console/web, and commit what it makes"


def test_every_bundled_package_comes_with_its_licence() -> None:
    licences = (pages.STATIC / "licences.txt").read_text()
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    named = re.findall(r"^(@?[\w/-]+) [\d.]+ \((\S+)\)$", licences, re.MULTILINE)
    assert {"preact", "@preact/signals"} <= {name for name, _ in named}
    assert {name for name, _ in named} <= {*wanted, "@preact/signals-core"}
    assert {licence for _, licence in named} == {"MIT"}


def test_the_lock_file_names_packages_by_their_hash_and_no_server() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        if name:
            assert package["integrity"].startswith("sha512-")
            assert "resolved" not in package


def test_the_page_and_the_server_know_the_same_addresses() -> None:
    source = (WEB / "src" / "pages.ts").read_text()
    assert {*re.findall(r'path: "(/\w+)"', source)} == {*pages.ADDRESSES} - {"/"}


def test_the_page_has_words_for_every_code_of_closing() -> None:
    source = (WEB / "src" / "parts" / "why.texts.ts").read_text()
    listed = re.findall(r'"(\w+)"', source.partition("REASONS = [")[2].partition("]")[0])
    assert listed == [name.lower() for name, number in pb.Closing.Reason.items() if number]
