"""Site files: cameras, their policies, secrets and paths."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.policy.model import Mode
from services.policy.problems import ConfigError
from services.policy.site import SiteConfig, load_site, shown_address


def _write(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _errors(path: Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_site(path, environment or {})
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_a_site_with_secrets_overrides_and_relative_paths(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "yard.yaml").write_text("extends: parking\nmode: solid\n")
    path = _write(
        tmp_path,
        f"""name: Corner shop
policy: store
cameras:
  - id: door
    source: rtsp://viewer:${{PASSWORD}}@10.0.0.11:8554/live?token=${{file:{tmp_path}/secret}}
    overrides: {{strength: 2}}
    outputs: {{hls: live/door}}
  - id: yard
    source: yard.mp4
    policy: yard.yaml
    outputs: {{mp4: /srv/yard.mp4}}
    loop: true
""",
    )
    site = load_site(path, {"PASSWORD": "p4ss"})
    door, yard = site.config.cameras
    assert door.source.get_secret_value() == "rtsp://viewer:p4ss@10.0.0.11:8554/live?token=hunter2"
    assert door.shown_source == "rtsp://10.0.0.11:8554/live"
    assert "p4ss" not in repr(site)
    assert "hunter2" not in repr(site)
    assert door.outputs.hls == tmp_path / "live/door"
    assert yard.source.get_secret_value() == str(tmp_path / "yard.mp4")
    assert yard.outputs.mp4 == Path("/srv/yard.mp4")
    assert site.policies["door"].strength == 2
    assert site.policies["yard"].mode is Mode.SOLID
    assert site.book.policy_for("yard") == site.policies["yard"]


def test_all_that_is_wrong_in_the_site_file_is_told_at_once(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        """name: x
cameras:
  - id: door
    source: rtsp://u:${PW}@h/1
    outputs: {mp4: a.mp4, rtps: b}
  - id: "a b"
    source: 0
    outputs: {}
""",
    )
    assert _errors(path) == [
        "site.yaml:4:5: cameras.0.source: the environment variable PW is not set",
        "site.yaml:5:27: cameras.0.outputs.rtps: unknown key, did you mean 'rtsp'?",
        "site.yaml:6:5: cameras.1.id: may hold up to 64 letters, digits, ., - and _, and starts with a letter or digit",
        "site.yaml:7:5: cameras.1.source: must be text, in quotes, is 0",
        "site.yaml:8:5: cameras.1.outputs: needs at least one of mp4, hls, rtsp",
    ]


def test_policies_and_clashes_are_told_at_their_lines(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        """name: x
cameras:
  - id: door
    source: a.mp4
    overrides: {strength: 9, kinds: {fase: {}}}
    outputs: {mp4: out.mp4}
  - id: door
    source: b.mp4
    policy: stroe
    outputs: {mp4: out.mp4}
""",
    )
    errors = _errors(path)
    assert "site.yaml:5:17: strength: must be at most 4.0, is 9" in errors
    assert "site.yaml:5:38: kinds.fase: unknown key, did you mean 'face'?" in errors
    assert "site.yaml:7:5: cameras.1.id: is the same as that of cameras.0" in errors
    assert "site.yaml:10:15: cameras.1.outputs.mp4: is the same as that of cameras.0" in errors
    (policy,) = (error for error in errors if ".policy" in error)
    assert policy.startswith("site.yaml:9:5: cameras.1.policy: stroe: there is neither a preset nor a file")
    assert policy.endswith("did you mean 'store'?")


def test_a_missing_secret_file_is_told_by_name(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "name: x\ncameras:\n  - {id: a, source: '${file:/nowhere/pw}', outputs: {mp4: a.mp4}}\n",
    )
    assert _errors(path) == [
        "site.yaml:3:13: cameras.0.source: the file /nowhere/pw can't be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:secret@host:554/a?key=secret#secret", "rtsp://host:554/a"),
        ("rtsp://user:sec/ret@host/a", "an address that can't be read"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_addresses_are_shown_without_secrets(address: str, shown: str) -> None:
    assert shown_address(address) == shown


def test_a_camera_may_have_no_outputs(tmp_path: Path) -> None:
    """As a service its masked pictures are on the bus; beside it there need be none."""
    site = load_site(_write(tmp_path, "name: x\ncameras:\n  - {id: door, source: a.mp4}\n"), {})
    assert site.config.cameras[0].outputs is None


def test_a_site_chooses_models_and_is_told_which_there_are(tmp_path: Path) -> None:
    camera = "cameras: [{id: a, source: a.mp4}]"
    chosen = _write(tmp_path, f"name: x\nmodels: {{face: centerface, plate: clp_det}}\n{camera}\n")
    assert load_site(chosen).config.models == {"face": "centerface", "plate": "clp_det"}
    assert load_site(_write(tmp_path, f"name: x\n{camera}\n")).config.models == {}
    for models, sentence in (
        ("{face: clp_det}", "there is no model clp_det for face; there is centerface"),
        ("{motion: centerface}", "there is no motion detector; known are audit-face, face, person, plate, text"),
    ):
        (error,) = _errors(_write(tmp_path, f"name: x\nmodels: {models}\n{camera}\n"))
        assert error.startswith(f"site.yaml:2:1: models: {sentence}")


_TWO = """name: x
cameras:
  - {id: door, source: "rtsp://u:hunter2@h/1", outputs: {rtsp: "rtsp://u:${SINK}@out/1"}}
  - {id: yard, source: "rtsp://${SOURCE}@h/2?t=${file:/run/secrets/none}"}
"""


def test_secrets_that_a_service_does_not_need_are_neither_looked_up_nor_kept(tmp_path: Path) -> None:
    path = _write(tmp_path, _TWO)
    site = load_site(path, {}, addresses=())
    assert [camera.id for camera in site.config.cameras] == ["door", "yard"]
    assert {camera.source.get_secret_value() for camera in site.config.cameras} == {"withheld"}
    assert [camera.outputs for camera in site.config.cameras] == [None, None]
    assert site.policies.keys() == {"door", "yard"}
    (door, _) = load_site(path, {"SINK": "p4ss"}, addresses=("outputs",)).config.cameras
    assert door.outputs is not None
    assert door.outputs.rtsp is not None
    assert door.outputs.rtsp.get_secret_value() == "rtsp://u:p4ss@out/1"
    assert door.source.get_secret_value() == "withheld"
    with pytest.raises(ConfigError, match="SOURCE is not set"):
        load_site(path, {}, addresses=("source",))


def test_what_is_wrong_with_an_address_is_told_though_it_is_not_needed(tmp_path: Path) -> None:
    path = _write(tmp_path, "name: x\ncameras:\n  - {id: door, source: a, outputs: {rtps: b}}\n")
    with pytest.raises(ConfigError, match="unknown key"):
        load_site(path, {}, addresses=())


def test_a_city_fits_into_one_file_and_its_overrides_are_each_cameras_own(tmp_path: Path) -> None:
    lines = (
        f"  - {{id: c{number}, source: rtsp://h/{number}, overrides: {{strength: {1 + number % 3}}}}}\n"
        for number in range(600)
    )
    site = load_site(_write(tmp_path, "name: x\ncameras:\n" + "".join(lines)), {})
    assert [site.policies[f"c{number}"].strength for number in range(600)] == [1 + n % 3 for n in range(600)]


def test_a_wrong_override_far_down_the_file_is_told_at_its_line(tmp_path: Path) -> None:
    lines = [f"  - {{id: c{number}, source: a{number}}}\n" for number in range(300)]
    lines[299] = "  - {id: last, source: z, overrides: {strenght: 2}}\n"
    path = _write(tmp_path, "name: x\ncameras:\n" + "".join(lines))
    (error,) = _errors(path)
    assert error.startswith("site.yaml:302:")
    assert "strenght" in error


def test_more_cameras_than_a_city_has_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most 32768"):
        SiteConfig(name="x", cameras=[{"id": "a", "source": "b"}] * 32_769)
