"""An RTSP server on loopback: cameras push to it, the decoder reads from it, masked video goes out through it."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from deploy.stack.media_build import mediamtx
from deploy.stack.ports import answers
from deploy.stack.process import ServerProcess
from deploy.stack.secret_files import write_secret

CAMERA_USER = "camera"

_SETTLE_S = 0.3
_START_S = 15


class MediaServer:
    """MediaMTX with RTSP over TCP and nothing else.

    Under `camera/` only who has the password may publish or read: it is the cameras' own picture. Under `masked/`
    everybody on this machine may.

    Args:
        folder: for its settings, the password and the log.
        port: TCP port.
        say: takes a sentence when the server has to be built first.
    """

    def __init__(self, folder: Path, port: int, say: Callable[[str], None] = lambda _: None) -> None:
        self.port = port
        self._say = say
        self._settings = folder / "mediamtx.yml"
        self.password_file = folder / "camera.password"
        self.process = ServerProcess("mediamtx", [], folder / "mediamtx.log", cwd=folder)

    def start(self) -> None:
        """Builds it if need be, and returns when it listens. Raises StartError."""
        binary = mediamtx(self._say)
        if not self.password_file.exists():
            write_secret(self.password_file, f"{secrets.token_urlsafe(24)}\n".encode())
        write_secret(self._settings, yaml.safe_dump(self._configuration()).encode())
        self.process.command = [str(binary), str(self._settings)]
        self.process.start()
        self.process.wait_until(lambda: answers(self.port), _START_S)
        # Another server on this port would have answered too, and this one would have ended for it.
        time.sleep(_SETTLE_S)
        self.process.wait_until(lambda: self.process.running, 0)

    def stop(self) -> None:
        """Ends it."""
        self.process.stop()

    def kill(self) -> None:
        """Ends it at once."""
        self.process.kill()

    def url(self, path: str) -> str:
        """Address of a stream. Under `camera/` it names the password by its file, as site files do."""
        login = f"{CAMERA_USER}:${{file:{self.password_file.resolve()}}}@" if path.startswith("camera/") else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def _configuration(self) -> dict[str, object]:
        password = self.password_file.read_text().strip()
        return {
            "logLevel": "info",
            "authInternalUsers": [_user(CAMERA_USER, password, "camera"), _user("any", "", "masked")],
            "rtspTransports": ["tcp"],
            "rtspAddress": f"127.0.0.1:{self.port}",
            "rtmp": False,
            "hls": False,
            "webrtc": False,
            "srt": False,
            "paths": {"all_others": {}},
        }


def _user(name: str, password: str, folder: str) -> dict[str, object]:
    may = [{"action": action, "path": f"~^{folder}/"} for action in ("publish", "read")]
    return {"user": name, "pass": password, "ips": ["127.0.0.1/32"], "permissions": may}
