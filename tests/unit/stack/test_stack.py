"""The parts of the stack that need no server: its site file, its services' environment, its options."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.stack import up
from deploy.stack.media_server import MediaServer
from deploy.stack.originals import store_of, write_opener
from deploy.stack.ports import answers, free_ports
from deploy.stack.process import StartError
from deploy.stack.services import ServiceProcess
from deploy.stack.site import CameraPlan, write_site
from deploy.stack.stack import Stack, StackOptions
from services.disclosure.settings import DisclosureSettings
from services.policy.loader import load_policy
from services.policy.site import load_site
from services.vault.settings import VaultSettings


def test_the_site_file_is_one_that_services_read(tmp_path: Path) -> None:
    media = MediaServer(tmp_path, 18_999)
    media.password_file.write_text("s3cret\n")
    plans = [
        CameraPlan("gate", tmp_path / "a.mp4", overrides={"tracking": {"look_ahead_s": 0.3}}),
        CameraPlan("yard", tmp_path / "b.mp4", policy="parking"),
    ]
    path = tmp_path / "site.yaml"
    write_site(path, plans, media)
    site = load_site(path)
    gate, yard = site.config.cameras
    assert gate.source.get_secret_value() == "rtsp://camera:s3cret@127.0.0.1:18999/camera/gate"
    assert "s3cret" not in path.read_text()
    assert site.policies["gate"].profile == "live"
    assert site.policies["gate"].tracking.look_ahead_s == 0.3
    assert site.policies["yard"].name == "parking"
    assert yard.outputs is not None
    assert yard.outputs.rtsp is not None
    assert yard.outputs.rtsp.get_secret_value() == "rtsp://127.0.0.1:18999/masked/yard"


def test_with_a_vault_originals_are_kept_and_can_be_opened_again(tmp_path: Path) -> None:
    media = MediaServer(tmp_path, 18_999)
    media.password_file.write_text("s3cret\n")
    # Two cameras that share what differs: a site file may not say so by reference.
    shared = {"kinds": ["face"]}
    plans = [
        CameraPlan("gate", tmp_path / "a.mp4", overrides=shared),
        CameraPlan("yard", tmp_path / "b.mp4", overrides={**shared, "originals": "drop"}),
    ]
    path = tmp_path / "site.yaml"
    write_site(path, plans, media, keep=True)
    site = load_site(path)
    assert [site.policies[name].originals for name in ("gate", "yard")] == ["keep", "drop"]
    opener = write_opener(tmp_path, tmp_path / "keys", site)
    variables = dict(line.split("=", 1) for line in opener.read_text().splitlines())
    settings = VaultSettings(store=variables["VEIL_VAULT_STORE"])
    assert Path(settings.store) == store_of(tmp_path)
    assert not Path(variables["VEIL_KEYS_FOLDER"]).is_relative_to(settings.store)
    disclosure = DisclosureSettings(
        **{name: variables[f"VEIL_DISCLOSURE_{name.upper()}"] for name in ("folder", "keys", "policies")}
    )
    assert disclosure.policies is not None
    known = {load_policy(file).fingerprint for file in disclosure.policies.iterdir()}
    assert known == {policy.fingerprint for policy in site.policies.values()}


def test_a_vault_is_one_of_the_services_and_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [], StackOptions(vault=True))
    assert list(stack.services) == ["decoder", "inference", "tracker", "renderer", "encoder", "vault"]
    writers = {stack._service("vault", number).env["VEIL_VAULT_WRITER"] for number in (1, 2)}
    assert writers == {"vault-1", "vault-2"}
    assert "vault" not in Stack(tmp_path / "other", [], StackOptions()).services


def test_ports_are_free_different_and_below_those_of_outgoing_connections() -> None:
    first = next(free_ports())
    with socket.create_server(("127.0.0.1", first)):
        assert answers(first)
        found = [port for _, port in zip(range(5), free_ports(first), strict=False)]
    assert first not in found
    assert len(set(found)) == 5
    assert max(found) < 32_768
    assert not answers(first, 0.2)


def test_cameras_share_out_the_videos() -> None:
    plans = up.plans([Path("a.mp4"), Path("b.mp4")], 3)
    assert [(plan.camera_id, plan.video.name) for plan in plans] == [
        ("camera-1", "a.mp4"),
        ("camera-2", "b.mp4"),
        ("camera-3", "a.mp4"),
    ]


def test_fused_services_and_replicas_have_names_of_their_own(tmp_path: Path) -> None:
    fused = ServiceProcess("renderer+encoder", 1, 19_000, tmp_path, {})
    second = ServiceProcess("tracker", 2, 19_001, tmp_path, {})
    assert (fused.name, fused.log.name) == ("renderer-encoder", "renderer-encoder.log")
    assert fused.command[1:] == ["-m", "services", "service", "renderer+encoder"]
    assert (second.name, second.command[1:]) == ("tracker-2", ["-m", "services.tracker"])
    assert second.env["VEIL_SERVICE_HEALTH_PORT"] == "19001"


def test_a_service_that_says_no_is_not_ready(tmp_path: Path) -> None:
    said = iter((503, 200))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(said))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        service = ServiceProcess("decoder", 1, server.server_port, tmp_path, {})
        heard = service.ready, service.ready
        server.shutdown()
        thread.join()
    assert heard == (False, True)


def test_a_service_that_can_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    env = {"VEIL_SERVICE_SITE": str(tmp_path / "nothing.yaml")}
    service = ServiceProcess("tracker", 1, next(free_ports(19_900)), tmp_path, env)
    service.start()
    try:
        with pytest.raises(StartError, match=r"tracker ended at its start:[\s\S]*nothing\.yaml"):
            service.wait_ready(20)
    finally:
        service.kill()


def test_without_its_models_the_stack_runs_without_an_auditor_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEIL_MODELS", str(tmp_path))
    said: list[str] = []
    stack = Stack(tmp_path / "stack", [], StackOptions(auditor=True), said.append)
    stack._start_auditor()
    (sentence,) = said
    assert sentence.startswith("No auditor looks at what comes out, since the audit-face model is not installed")
    assert "auditor" not in stack.services


def test_i4_the_auditor_is_told_neither_cameras_nor_keys(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [], StackOptions(auditor=True))
    given = stack._env("auditor")
    assert given["VEIL_KAFKA_USERNAME"] == "auditor"
    assert not {name for name in given if not name.startswith("VEIL_KAFKA_")}
    assert "VEIL_KEYS_FOLDER" in stack._env("renderer")
