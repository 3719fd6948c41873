"""Only who reads cameras learns their addresses, and only who writes outputs learns those."""

from importlib import import_module
from pathlib import Path

import pytest

from services.runtime.service import ServiceError, ServiceSettings
from services.startup import site_of

SITE = """name: x
cameras:
  - {id: gate, source: "rtsp://u:${CAMERA}@h/1", outputs: {rtsp: "rtsp://u:${SERVER}@h/2"}}
"""
NEEDED = {"decoder": {"CAMERA"}, "inference": set(), "tracker": set(), "renderer": set(), "encoder": {"SERVER"}}


class _Read(Exception):
    """The site file was read; what else a service needs is of no interest here."""


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("given", [set(), {"CAMERA"}, {"SERVER"}])
def test_i4_a_service_starts_without_the_secrets_of_others_and_not_without_its_own(
    name: str, given: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(settings: ServiceSettings, *addresses: str) -> None:
        site = site_of(settings, *addresses)
        (camera,) = site.config.cameras
        known = {camera.source.get_secret_value()}
        if camera.outputs is not None and camera.outputs.rtsp is not None:
            known.add(camera.outputs.rtsp.get_secret_value())
        assert ("hunter2" in "".join(known)) == bool(NEEDED[name])
        assert ("withheld" in known) == (name != "decoder")
        raise _Read

    process = import_module(f"services.{name}.process")
    monkeypatch.setattr(process, "site_of", read)
    for variable in given:
        monkeypatch.setenv(variable, "hunter2")
    (tmp_path / "site.yaml").write_text(SITE)
    with pytest.raises(_Read if NEEDED[name] <= given else ServiceError):
        process.prepare(ServiceSettings(site=tmp_path / "site.yaml"))
