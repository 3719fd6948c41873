"""Dockerfile and compose files name modules, settings, ports and files that exist."""

import importlib.util
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from pydantic_settings import BaseSettings

import services
from deploy import compose_files, lock, metrics_page
from services.bus.kafka_table import FUSED, principals
from services.cli.service import SERVERS, SERVICES, stages_of
from services.console.settings import ConsoleSettings
from services.disclosure.rest.settings import ApiSettings
from services.policy.site import load_site
from services.runtime.service import ServiceSettings

_DEPLOY = Path(compose_files.__file__).parent
_DOCKERFILE = (_DEPLOY / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((_DEPLOY / "compose.yaml").read_text())
OURS = {name: each for name, each in COMPOSE["services"].items() if name in (*SERVICES, *SERVERS)}


def stages() -> dict[str, str]:
    """Text of each build stage by its name."""
    parts = re.split(r"(?m)^FROM (\S+) AS (\S+)$", _DOCKERFILE)
    return {
        name: f"FROM {base}\n{text}" for base, name, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    }


@cache
def settings() -> frozenset[str]:
    """Every variable that a settings class of the code reads."""
    metrics_page.exported()  # imports every module

    def classes(parent: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
        for child in parent.__subclasses__():
            yield child
            yield from classes(child)

    return frozenset(
        f"{each.model_config['env_prefix']}{field}".upper()
        for each in classes(BaseSettings)
        if each.__module__.startswith("services.")
        for field in each.model_fields
    )


def test_every_service_has_an_image_and_what_it_starts_exists() -> None:
    images = stages()
    assert {*SERVICES, *SERVERS, *FUSED, "cli"} <= images.keys()
    for name in (*SERVICES, *SERVERS, *FUSED):
        _, _, entry = images[name].partition("ENTRYPOINT ")
        command = json.loads(entry.splitlines()[0])
        if command[0] == "veil":
            assert "-".join(stages_of(command[2])) == name
        else:
            assert command == ["python", "-m", f"services.{name}"]
            assert importlib.util.find_spec(f"services.{name}.__main__")


def test_compose_and_make_build_the_images_of_the_dockerfile() -> None:
    final = {*SERVICES, *SERVERS, *FUSED, "cli"}
    makefile = (_DEPLOY.parent / "Makefile").read_text()
    assert set(re.findall(r"(?m)^IMAGES := (.+)$", makefile)[0].split()) == final
    built = {name: each for name, each in COMPOSE["services"].items() if "build" in each}
    assert set(OURS) < set(built)
    for name, service in built.items():
        target = service["build"]["target"]
        assert target in final
        assert target == (name if name in OURS else "cli")
        assert service["image"] == f"veil-{target}"
        assert (
            _DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]
        ) == _DEPLOY / "../deploy/Dockerfile"
        # What an image starts is said in the image, and for the command its arguments.
        assert "entrypoint" not in service
        assert ("command" in service) == (target == "cli")
    for name, service in COMPOSE["services"].items():
        if "build" not in service:
            assert not service["image"].startswith("veil"), name


def test_containers_run_as_the_images_user_unless_the_files_are_anothers() -> None:
    user = re.findall(r"(?m)^USER (\d+):(\d+)$", _DOCKERFILE)
    assert user == [("10001", "10001")]
    for name, service in COMPOSE["services"].items():
        assert service["user"] == "${{VEIL_UID:-{}}}:${{VEIL_GID:-{}}}".format(*user[0]), name


def test_what_images_are_made_of_is_let_into_the_build() -> None:
    patterns = (_DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [name for line in re.findall(r"(?m)^COPY (?!--from)(.+)$", _DOCKERFILE) for name in line.split()[:-1]]
    assert len(copied) >= 7
    for name in copied:
        assert (_DEPLOY.parent / name).exists()
        # The last pattern that fits decides.
        fitting = [pattern for pattern in patterns if fnmatch(name, pattern.removeprefix("!"))]
        assert fitting[-1].startswith("!"), f"{name} is left out of the build"


def test_no_image_runs_as_root_or_holds_a_compiler() -> None:
    images = stages()
    assert "USER 10001:10001" in images["veil"]
    for name in (*SERVICES, *SERVERS, *FUSED, "cli"):
        assert images[name].startswith("FROM veil\n")
        assert "RUN" not in images[name], "nothing is installed in a final stage"
        assert "USER" not in images[name]
    assert "RUN" not in images["veil"]
    assert "apt-get" not in _DOCKERFILE


def test_variables_of_images_and_containers_are_settings_of_the_code() -> None:
    given = set(re.findall(r"\b(VEIL_\w+)=", _DOCKERFILE))
    for service in OURS.values():
        given |= {*service["environment"]}
    given |= {*COMPOSE["services"]["topics"]["environment"]}
    assert given - settings() == {"VEIL_MODELS"}
    assert 'os.environ.get("VEIL_MODELS")' in Path("services/detect/catalogue.py").read_text()


def test_ports_are_those_of_the_code() -> None:
    port = ServiceSettings.model_fields["health_port"].default
    assert f"EXPOSE {port}" in stages()["veil"]
    assert f"127.0.0.1:{port}/live" in COMPOSE["x-service"]["healthcheck"]["test"][3]
    scraped = yaml.safe_load((_DEPLOY / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    (ours,) = scraped[0]["dns_sd_configs"]
    assert (ours["port"], set(ours["names"])) == (port, OURS.keys())
    triton = " ".join(COMPOSE["services"]["triton"]["command"])
    assert f"--metrics-port={scraped[1]['dns_sd_configs'][0]['port']}" in triton
    inference = OURS["inference"]["environment"]["VEIL_INFERENCE_TRITON_URLS"]
    assert f"--grpc-port={inference.rpartition(':')[2]}" in triton
    assert COMPOSE["x-kafka"]["VEIL_KAFKA_BOOTSTRAP"] == f"kafka:{compose_files.PORTS.client}"


def test_i4_every_service_logs_in_as_itself_and_only_those_that_need_them_get_keys() -> None:
    for name, service in OURS.items():
        environment = service["environment"]
        user = "analytics" if name == "insight" else name
        assert environment["VEIL_KAFKA_USERNAME"] == user
        assert environment["VEIL_KAFKA_PASSWORD_FILE"] == f"/run/secrets/{user}"
        has_keys = any("/run/keys" in volume for volume in service.get("volumes", ()))
        touches_originals = name in ("decoder", "inference", "renderer", "vault", "disclosure")
        assert has_keys == touches_originals == ("VEIL_KEYS_FOLDER" in environment)
        others = {*service["secrets"]} - {user, "kafka-ca"}
        assert others <= ({f"{name}-tls", "disclosure-ca"} if name in SERVERS else {"camera"})
    assert "VEIL_SERVICE_SITE" not in OURS["auditor"]["environment"]
    assert set(compose_files.USERS) <= set(principals())
    assert set(OURS) - {"insight"} <= set(compose_files.USERS)


def test_a_server_speaks_tls_on_the_port_that_is_opened() -> None:
    for name, kind in (("console", ConsoleSettings), ("disclosure", ApiSettings)):
        prefix = str(kind.model_config["env_prefix"])
        given = OURS[name]["environment"]
        values = {key.removeprefix(prefix).lower(): value for key, value in given.items() if key.startswith(prefix)}
        chosen = kind(**values)
        assert chosen.secure
        # Browsers reach the console alone, which passes requests on.
        assert OURS[name].get("ports", []) == ([f"127.0.0.1:{chosen.port}:{chosen.port}"] if name == "console" else [])
        if name == "disclosure":
            assert OURS["console"]["environment"]["VEIL_CONSOLE_DISCLOSURE_URL"] == f"https://{name}:{chosen.port}"
        assert f"EXPOSE {chosen.port}" in stages()[name]
        assert chosen.certificate == Path(f"/run/secrets/{name}-tls")
    # Both know the same accounts.
    assert len({OURS[name]["environment"]["VEIL_ACCOUNTS_DATABASE"] for name in SERVERS}) == 1


def test_containers_are_closed_in() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["user"].startswith("${VEIL_UID"), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        if name in OURS:
            # Who opens a port to this machine has to be outside too.
            assert service["networks"] == (["line", "outside"] if name == "console" else ["line"])
            assert service["healthcheck"]
    assert COMPOSE["networks"]["line"]["internal"] is True


def test_every_file_that_is_mounted_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"video")
    monkeypatch.setattr(compose_files, "playable", lambda given: given)
    folder = tmp_path / "compose"
    compose_files.write_files(folder, video)
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".mp4"}
    compose_files.write_files(folder, video)
    assert all(path.read_bytes() == content for path, content in first.items()), "a second run keeps what is there"
    mounted = [secret["file"] for secret in COMPOSE["secrets"].values()]
    mounted += [volume.partition(":")[0] for each in COMPOSE["services"].values() for volume in each.get("volumes", ())]
    for source in mounted:
        inside = source.removeprefix("../out/compose/")
        assert (folder / inside).exists() if inside != source else (_DEPLOY / source).exists()
    for secret in (*(folder / "passwords").iterdir(), folder / "kafka-users.args", folder / "mediamtx.yml"):
        assert secret.stat().st_mode & 0o077 == 0


def test_the_site_file_is_valid(tmp_path: Path) -> None:
    password = tmp_path / "camera"
    password.write_text("secret\n")
    text = COMPOSE["configs"]["site"]["content"].replace("$$", "$").replace("/run/secrets/camera", str(password))
    (tmp_path / "site.yaml").write_text(text)
    (camera,) = load_site(tmp_path / "site.yaml").config.cameras
    assert camera.id == compose_files.CAMERA
    assert f"@camera:{compose_files.RTSP}/camera/{camera.id}" in camera.source.get_secret_value()
    assert compose_files.media_server("p")["paths"].keys() >= {f"camera/{camera.id}"}  # type: ignore[attr-defined]


def test_the_broker_is_the_stacks_broker_under_another_name() -> None:
    lines = dict(line.split("=", 1) for line in compose_files.broker_properties().splitlines())
    assert not any("127.0.0.1" in value for value in lines.values())
    assert lines["advertised.listeners"].startswith(f"CLIENT://kafka:{compose_files.PORTS.client},")
    assert lines["listener.security.protocol.map"] == "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL"
    assert lines["allow.everyone.if.no.acl.found"] == "false"
    assert lines["super.users"] == "User:admin;User:CN=kafka"


@pytest.mark.parametrize(
    ("file", "packages"),
    [
        (lock.LOCK, lock.wanted()),
        (lock.VAULT_LOCK, lock.wanted_by_vault()),
        (lock.SERVER_LOCK, lock.wanted_by_servers()),
    ],
)
def test_images_install_what_the_project_asks_for(file: Path, packages: list[str]) -> None:
    locked = dict(re.findall(r"(?m)^([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", file.read_text()))
    assert len(locked) == len(file.read_text().splitlines()) - 1
    names = {name.lower().replace("_", "-"): number for name, number in locked.items()}
    for line in packages:
        wanted = Requirement(line)
        assert wanted.specifier.contains(names[wanted.name.lower()]), f"run: python -m deploy.lock ({line})"
    assert "--require-hashes" in stages()["build"]
    assert f"--require-hashes \\\n        -r {lock.VAULT_LOCK.name}" in stages()["vault-packages"]
    assert f"--require-hashes \\\n        -r {lock.SERVER_LOCK.name}" in stages()["server-packages"]
    assert f"ARG VERSION={services.__version__}" in _DOCKERFILE
