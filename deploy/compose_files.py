"""Writes what compose.yaml mounts: passwords, keys, certificates, server settings: `python -m deploy.compose_files`.

All of it lies in out/compose, readable by whoever runs this, under whose number the containers run. What is there
already stays.
"""

import argparse
import base64
import os
import secrets
import shutil
from pathlib import Path

import yaml

from deploy.samples import sample
from deploy.stack.camera_videos import playable
from deploy.stack.certificates import make_certificates
from deploy.stack.kafka_config import ADMIN, BrokerPorts, broker_config
from deploy.stack.originals import write_policies
from deploy.stack.principals import password_file
from deploy.stack.secret_files import write_secret
from services.policy.site import Site, load_site

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "out" / "compose"
STAGES = ("decoder", "inference", "tracker", "renderer", "encoder", "auditor", "vault")
USERS = (*STAGES, "console", "control-centre", "analytics", "disclosure")
PORTS = BrokerPorts(client=9093, internal=9094, controller=9095)
RTSP = 8554
CAMERA = "street"

_KEY_BYTES = 32


def write_files(folder: Path, video: Path) -> None:
    """Writes all files into `folder`; `video` is what the camera plays. Raises OSError, SourceError."""
    passwords = folder / "passwords"
    for name in (ADMIN, *USERS, "camera", "grafana"):
        password_file(passwords, name)
    make_certificates(folder / "tls", "kafka", hosts=("kafka",))
    # Of an authority of its own, which browsers are told to trust, or not: brokers' clients never trust it.
    make_certificates(folder / "console-tls", "console")
    make_certificates(folder / "disclosure-tls", "disclosure", hosts=("disclosure",))
    if not (folder / "keys").exists():
        write_secret(folder / "keys" / "compose.key", base64.b64encode(os.urandom(_KEY_BYTES)))
    scram = "".join(f"--add-scram\n{_scram(passwords, name)}\n" for name in (ADMIN, *USERS))
    write_secret(folder / "kafka-users.args", scram.encode())
    write_secret(folder / "broker.properties", broker_properties().encode())
    write_secret(folder / "mediamtx.yml", yaml.safe_dump(media_server(_password(passwords, "camera"))).encode())
    for name in ("kafka", "prometheus", "grafana", "models", "originals", "accounts", "insight", "disclosure"):
        (folder / name).mkdir(exist_ok=True)
    shutil.copyfile(playable(video), folder / "camera.mp4")
    write_policies(folder / "policies", site(folder))
    numbers = f"VEIL_UID={os.getuid()}\nVEIL_GID={os.getgid()}\nKAFKA_CLUSTER_ID=V{secrets.token_hex(10)}\n"
    if not (folder / ".env").exists():
        (folder / ".env").write_text(numbers)


def site(folder: Path) -> Site:
    """The site that compose.yaml gives to the services, without how to reach its cameras. Raises ConfigError."""
    content = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["configs"]["site"][
        "content"
    ]
    file = folder / "site.yaml"
    file.write_text(content.replace("$$", "$"), encoding="utf-8")
    return load_site(file, addresses=())


def broker_properties() -> str:
    """The settings of the stack's broker, under the name that it has among containers."""
    config = broker_config(1, [PORTS], Path("/var/lib/veil-kafka/data"), tls=Path("/run/tls"))
    # Its only certificate bears the file's name as its subject: who shows it is a broker.
    config |= {"super.users": f"User:{ADMIN};User:CN=kafka", "ssl.keystore.location": "/run/tls/kafka.pem"}
    return "".join(f"{key}={value.replace('127.0.0.1', 'kafka')}\n" for key, value in config.items())


def media_server(password: str) -> dict[str, object]:
    """Settings of MediaMTX: it plays the video to itself as a camera would, for whoever has the password."""
    url = f"rtsp://camera:{password}@127.0.0.1:{RTSP}/$MTX_PATH"
    play = f"ffmpeg -loglevel warning -re -stream_loop -1 -i /camera.mp4 -c copy -f rtsp -rtsp_transport tcp {url}"

    def user(name: str, password: str, folder: str) -> dict[str, object]:
        may = [{"action": action, "path": f"~^{folder}/"} for action in ("publish", "read")]
        return {"user": name, "pass": password, "ips": [], "permissions": may}

    return {
        "authInternalUsers": [user("camera", password, "camera"), user("any", "", "masked")],
        "rtspTransports": ["tcp"],
        "rtspAddress": f":{RTSP}",
        "rtmp": False,
        "hls": False,
        "webrtc": False,
        "srt": False,
        "paths": {f"camera/{CAMERA}": {"runOnInit": play, "runOnInitRestart": True}, "all_others": {}},
    }


def main() -> None:
    """Reads the command line and writes."""
    parser = argparse.ArgumentParser(prog="python -m deploy.compose_files", description=__doc__)
    parser.add_argument("--video", type=Path, help="what the camera plays; a sample if left out")
    given = parser.parse_args()
    write_files(FOLDER, given.video or sample("bikes.mp4"))
    print(f"docker compose --env-file {FOLDER.relative_to(ROOT)}/.env -f deploy/compose.yaml up --build")  # noqa: T201


def _password(folder: Path, name: str) -> str:
    return password_file(folder, name).read_text().strip()


def _scram(folder: Path, name: str) -> str:
    return f"SCRAM-SHA-512=[name={name},password={_password(folder, name)}]"


if __name__ == "__main__":
    main()
