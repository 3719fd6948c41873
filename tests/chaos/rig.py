"""The system under fault: a stack with two live cameras, and a file that is read whenever a fault asks for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.stack.ports import free_ports
from deploy.stack.process import ServerProcess
from deploy.stack.services import ServiceProcess
from deploy.stack.site import CameraPlan
from deploy.stack.stack import Stack, StackOptions
from tests.chaos.truth import TruthVideo, truth_video

LIVE = ("live-1", "live-2")
FILE = "file-1"
FILE_ROUNDS = 1


class Rig:
    """A started stack, its truth, and the ways to disturb it.

    Attributes:
        truths: by the width of the pictures.
        file: what the file camera reads.
        other: another resolution and codec, for a camera that comes back changed.
    """

    def __init__(self, folder: Path, *, triton: bool = True) -> None:
        videos = folder.parent / "videos"
        videos.mkdir(parents=True, exist_ok=True)
        self.live = truth_video(videos / "live.mp4")
        self.other = truth_video(videos / "other.mp4", codec="libx265", width=480)
        self.file = truth_video(videos / "file.mp4", rounds=FILE_ROUNDS)
        self.truths: Mapping[int, TruthVideo] = {640: self.live, 480: self.other}
        plans = [CameraPlan(name, self.live.path, overrides=_overrides()) for name in LIVE]
        self.stack = _Stack(folder, plans, StackOptions(triton=triton))
        self._ports = free_ports(19_400)
        self._file_decoder: ServiceProcess | None = None

    def __enter__(self) -> "Rig":
        self.stack.write_file_site(self.file.path)
        self.stack.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file_decoder is not None:
            self._file_decoder.kill()
        self.stack.stop()

    @property
    def file_frames(self) -> int:
        """Frames of the file."""
        return len(self.live.planes) * FILE_ROUNDS

    def read_file(self, speed: float = 1.0) -> None:
        """A decoder of its own reads the file, from its start.

        At full speed (0) it leaves two cores no time for the cameras: every fault would look like an overload.
        """
        if self._file_decoder is not None:
            self._file_decoder.kill()
        decoder = self.stack.replica("decoder", 9, next(self._ports), self.stack.file_site, speed)
        decoder.start()
        self._file_decoder = decoder

    def kill(self, name: str) -> None:
        """Ends a service as a power cut does, and starts it again, as a supervisor does."""
        again = [self.stack.service(name)]
        if name == "decoder" and self._file_decoder is not None:
            again.append(self._file_decoder)
        for service in again:
            service.kill()
        for service in again:
            service.start()
        self.stack.service(name).wait_ready()

    def restart_camera(self, name: str, options: Sequence[str]) -> None:
        """Switches a camera off and on; `options` say how it misbehaves from then on."""
        camera: ServerProcess = self.stack.cameras[name]
        camera.stop()
        plan = next(plan for plan in self.stack.plans if plan.camera_id == name)
        camera.command = [*camera.command[: camera.command.index(str(plan.video.absolute())) + 2], *options]
        camera.start()


class _Stack(Stack):
    """A stack whose services know of the file too; only the decoder that reads it is not among them."""

    @property
    def file_site(self) -> Path:
        return self.folder.parent / "file.yaml"

    @property
    def whole_site(self) -> Path:
        return self.folder.parent / "whole.yaml"

    def write_file_site(self, video: Path) -> None:
        camera = {"id": FILE, "source": str(video), "policy": "public", "overrides": _overrides()}
        live = [
            {"id": name, "source": self.media.url(f"camera/{name}"), "policy": "public", "overrides": _overrides()}
            for name in LIVE
        ]
        for path, cameras in ((self.file_site, [camera]), (self.whole_site, [*live, camera])):
            path.write_text(yaml.safe_dump({"name": "chaos", "cameras": cameras}, sort_keys=False))

    def replica(self, name: str, number: int, port: int, site: Path, speed: float) -> ServiceProcess:
        env = {**self._env(name), "VEIL_SERVICE_SITE": str(site), "VEIL_DECODER_FILE_SPEED": f"{speed:g}"}
        env["VEIL_DECODER_ALONE"] = "true"
        return ServiceProcess(name, number, port, self.folder / "services", env)

    def _env(self, service: str) -> dict[str, str]:
        env = super()._env(service)
        return env if service == "decoder" else {**env, "VEIL_SERVICE_SITE": str(self.whole_site)}


def _overrides() -> dict[str, Any]:
    """Only what the truth knows, so that the frame's number stays readable; look-ahead as the latency goal has it."""
    return {"kinds": ["face", "plate"], "tracking": {"look_ahead_s": 0.3}}
