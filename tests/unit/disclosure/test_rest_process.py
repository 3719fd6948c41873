"""The process of the API: what it takes from the site file."""

from pathlib import Path

import pytest

from services.disclosure import process
from services.runtime.service import ServiceError, ServiceSettings

SITE = "name: north\npolicy: store\ncameras:\n  - {id: gate, source: gate.mp4, outputs: {mp4: out.mp4}}\n"


def test_accounts_of_a_site_see_its_cameras(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    site_of = process._site_of(ServiceSettings(site=tmp_path / "site.yaml"))
    assert (site_of("gate"), site_of("elsewhere")) == ("north", "")


def test_without_a_site_file_no_camera_is_of_a_site() -> None:
    assert process._site_of(ServiceSettings(site=None))("gate") == ""


def test_a_wrong_site_file_keeps_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("name: north\ncamras: []\n")
    with pytest.raises(ServiceError):
        process._site_of(ServiceSettings(site=tmp_path / "site.yaml"))
