"""The whole system on this machine: broker, model server, cameras and services, each a process of its own."""

import base64
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from deploy.stack import state
from deploy.stack.kafka import KafkaServer
from deploy.stack.media_server import MediaServer
from deploy.stack.originals import store_of, write_opener
from deploy.stack.ports import free_ports
from deploy.stack.process import ServerProcess, StartError
from deploy.stack.secret_files import write_secret
from deploy.stack.services import AUDITOR, FUSED, STAGES, VAULT, ServiceProcess, principal_of
from deploy.stack.site import CameraPlan, write_site
from deploy.stack.triton import TritonServer
from deploy.triton import environment
from services.auditor.eyes import MODELS
from services.bus.interface import Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import VIDEO_REDACTED
from services.detect.catalogue import ModelMissing, default_models_dir, read_model
from services.policy.site import load_site
from services.schema import pb

_FIRST_HEALTH_PORT = 19_100
_KEY_BYTES = 32
_FIRST_FRAMES_S = 45.0
_POLL_S = 0.5
_GRACE_S = 60.0
_ROLLED_FROM = 101
"""Numbers of replicas that replace others: two never have the same log."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What a stack is made of.

    Attributes:
        brokers: 1 or 3.
        secure: TLS, passwords and access rules on the broker.
        triton: detectors in Triton; without, in the inference processes.
        fused: renderer and encoder in one process.
        auditor: looks at what comes out; left out, in one sentence, where its models are not installed.
        vault: keeps the originals, encrypted, in the stack's folder.
        env: further variables of the services, such as VEIL_RUNNER_….
    """

    brokers: int = 1
    secure: bool = True
    triton: bool = True
    fused: bool = False
    auditor: bool = False
    vault: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """Starts, changes and ends the whole system. Usable as a context manager: what was started ends in any case.

    Args:
        folder: for data, secrets, logs and stack.json; its content from an earlier run is deleted.
        cameras: what plays where.
        options: what it is made of.
        say: takes one line for each step.

    Attributes:
        kafka, triton, media: the servers; `triton` is None where options say so.
        cameras: process of each camera.
        services: the replicas of each service, by stage, or by stages joined with "+" where fused; then vault, auditor.
    """

    def __init__(
        self,
        folder: Path,
        cameras: Sequence[CameraPlan],
        options: StackOptions = StackOptions(),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self.options = options
        self.plans = tuple(cameras)
        self._say = say
        _clear(self.folder)
        self._ports = free_ports(_FIRST_HEALTH_PORT)
        self._numbers = count(_ROLLED_FROM)
        self.kafka = KafkaServer(self.folder / "kafka", secure=options.secure, brokers=options.brokers)
        self.media = MediaServer(self.folder / "media", next(free_ports()), self._say)
        self.triton: TritonServer | None = None
        self.cameras: dict[str, ServerProcess] = {}
        line = FUSED if options.fused else STAGES
        self.services: dict[str, list[ServiceProcess]] = {name: [] for name in line}
        if options.vault:
            self.services[VAULT] = []

    @property
    def site_file(self) -> Path:
        """What the services read."""
        return self.folder / "site.yaml"

    @property
    def keys(self) -> Path:
        """Folder of the key-encryption keys."""
        return self.folder / "keys"

    def start(self) -> None:
        """Starts everything, and returns once masked frames of every camera come out.

        Raises StartError and what the parts raise; nothing runs on then.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends everything in the order of the flow, so that what is under way is finished. Data and logs stay."""
        for camera in self.cameras.values():
            camera.stop()
        for replicas in self.services.values():
            for service in replicas:
                service.stop()
        if self.triton is not None:
            self.triton.stop()
        self.media.stop()
        self.kafka.stop()

    def kill(self) -> None:
        """Ends everything at once."""
        for process in self._processes():
            process.kill()
        if self.triton is not None:
            self.triton.kill()
        self.media.kill()
        self.kafka.kill()

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def service(self, name: str) -> ServiceProcess:
        """The first replica of a service."""
        return self.services[name][0]

    def scale(self, name: str, replicas: int) -> None:
        """Starts or stops replicas of a service; returns when all of them work. Raises StartError."""
        running = self.services[name]
        while len(running) > replicas:
            running.pop().stop()
        new = [self._service(name, number) for number in range(len(running) + 1, replicas + 1)]
        for service in new:
            service.start()
            running.append(service)
        self.save()
        for service in new:
            service.wait_ready()

    def roll(self, name: str) -> None:
        """Replaces every replica of a service: the new one works before the old one is asked to leave.

        Raises StartError if a new one does not work, or an old one does not leave within Kubernetes' grace period.
        """
        running = self.services[name]
        for old in running[:]:
            new = self._service(name, next(self._numbers))
            new.start()
            running.append(new)
            new.wait_ready()
            old.leave(_GRACE_S)
            running.remove(old)
            self.save()

    def restart(self, service: ServiceProcess) -> None:
        """Starts an ended service again, on the same port. Raises StartError."""
        service.start()
        self.save()
        service.wait_ready()

    def settings(self, principal: str) -> KafkaSettings:
        """How to reach the broker as this principal."""
        return self.kafka.settings(principal)

    def save(self) -> None:
        """Writes stack.json: what runs where, for the commands."""
        state.save(self.folder, self.entries())

    def entries(self) -> list[state.Entry]:
        """What runs, in the order in which it is ended."""
        return [*self._camera_entries(), *self._service_entries(), *self._server_entries()]

    def wait_for_frames(self, timeout_s: float = _FIRST_FRAMES_S) -> dict[str, str]:
        """Waits until every camera has a masked frame that shows something.

        Returns why not, by camera, where all frames were closed so far. Raises StartError if a camera has none at all.
        """
        waiting = {plan.camera_id for plan in self.plans}
        why_closed: dict[str, str] = {}
        deadline = time.monotonic() + timeout_s
        with closing(KafkaBus(self.settings("control-centre"))) as bus:
            reader = bus.reader(VIDEO_REDACTED, Start("oldest"))
            while waiting and time.monotonic() < deadline:
                for message in reader.poll(_POLL_S):
                    body = pb.RedactedMessage.FromString(message.record.value)
                    if body.WhichOneof("body") != "unit":
                        continue
                    if body.unit.closed:
                        why_closed[body.unit.camera_id] = body.unit.why
                    else:
                        waiting.discard(body.unit.camera_id)
        if nothing := sorted(waiting - why_closed.keys()):
            raise StartError(
                f"nothing of {', '.join(nothing)} came out within {timeout_s:.0f} s; the logs are in {self.folder}"
            )
        return {camera: why_closed[camera] for camera in sorted(waiting)}

    def _start(self) -> None:
        with self._step("Kafka"):
            self.kafka.start()
            self.save()
            self.kafka.prepare(self.folder)
        with self._step("RTSP server and cameras"):
            self.media.start()
            self.save()
            write_site(self.site_file, self.plans, self.media, keep=self.options.vault)
            for plan in self.plans:
                self._start_camera(plan)
        if self.options.triton:
            with self._step("Triton"):
                self._start_triton()
        with self._step("services"):
            self._start_services()
        with self._step("first masked frames"):
            closed = self.wait_for_frames()
        for camera, why in closed.items():
            self._say(f"{camera} shows nothing yet, its frames are closed: {why}")
        if self.options.auditor:
            self._start_auditor()

    def _start_triton(self) -> None:
        environment.install()
        site = load_site(self.site_file)
        detectors = {name for policy in site.policies.values() for name in policy.detectors}
        self.triton = TritonServer(self.folder / "triton", sorted(detectors))
        self.triton.start()
        self.save()

    def _start_camera(self, plan: CameraPlan) -> None:
        command = [sys.executable, "-m", "deploy.stack.cameras", str(plan.video.absolute())]
        command += [self.media.url(f"camera/{plan.camera_id}"), *plan.options]
        log = self.folder / "cameras" / f"{plan.camera_id}.log"
        camera = ServerProcess(plan.camera_id, command, log, cwd=Path(__file__).resolve().parents[2])
        self.cameras[plan.camera_id] = camera
        camera.start()
        self.save()

    def _start_services(self) -> None:
        write_secret(self.keys / "stack.key", base64.b64encode(os.urandom(_KEY_BYTES)))
        if self.options.vault:
            write_opener(self.folder, self.keys, load_site(self.site_file))
        # All that waits for the decoder first: a live camera's frames wait for nobody.
        for name in reversed(self.services):
            self.services[name].append(self._service(name, 1))
            if name != "decoder":
                self.service(name).start()
        self.save()
        for name, (service,) in self.services.items():
            if name != "decoder":
                service.wait_ready()
        self.restart(self.service("decoder"))

    def _start_auditor(self) -> None:
        try:
            for model in MODELS.values():
                read_model(model, default_models_dir())
        except ModelMissing as missing:
            self._say(f"No auditor looks at what comes out, since {missing}")
            return
        with self._step("auditor"):
            self.services[AUDITOR] = []
            self.scale(AUDITOR, 1)

    def _service(self, name: str, replica: int) -> ServiceProcess:
        env = self._env(name)
        if name == VAULT:
            # What a vault left half written it knows by its own name.
            env |= {"VEIL_VAULT_STORE": str(store_of(self.folder)), "VEIL_VAULT_WRITER": f"vault-{replica}"}
        return ServiceProcess(name, replica, next(self._ports), self.folder / "services", env)

    def _env(self, service: str) -> dict[str, str]:
        env = self.kafka.env(principal_of(service))
        if service != AUDITOR:
            # The auditor sees what viewers see: it is told neither cameras nor keys.
            env |= {"VEIL_SERVICE_SITE": str(self.site_file), "VEIL_KEYS_FOLDER": str(self.keys)}
        if self.triton is not None and "inference" in service:
            env |= {"VEIL_INFERENCE_HOME": "triton", "VEIL_INFERENCE_TRITON_URLS": self.triton.grpc}
        return {**env, **self.options.env}

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self._say(f"{name} …")
        yield
        self._say(f"{name}: {time.monotonic() - began:.1f} s")

    def _processes(self) -> Iterator[ServerProcess]:
        yield from self.cameras.values()
        for replicas in self.services.values():
            yield from replicas

    def _camera_entries(self) -> Iterator[state.Entry]:
        for name, camera in self.cameras.items():
            if camera.running:
                address = f"rtsp://127.0.0.1:{self.media.port}/camera/{name}"
                yield state.entry("camera", name, camera.pid, address, camera.log)

    def _service_entries(self) -> Iterator[state.Entry]:
        for replicas in self.services.values():
            for service in replicas:
                if service.running:
                    address, urls = f"http://127.0.0.1:{service.port}", (service.ready_url, service.metrics_url)
                    yield state.entry("service", service.name, service.pid, address, service.log, *urls)

    def _server_entries(self) -> Iterator[state.Entry]:
        triton, media = self.triton, self.media
        if triton is not None and triton.running:
            yield state.entry("server", "triton", triton.pid, triton.grpc, triton.log, metrics=triton.metrics)
        if media.process.running:
            address = f"rtsp://127.0.0.1:{media.port}"
            yield state.entry("server", "mediamtx", media.process.pid, address, media.process.log)
        addresses = self.kafka.bootstrap.split(",")
        for number, (pid, address, log) in enumerate(
            zip(self.kafka.pids, addresses, self.kafka.logs, strict=False), start=1
        ):
            yield state.entry("server", f"kafka-{number}", pid, address, log)


def _clear(folder: Path) -> None:
    """Deletes what an earlier stack left, and nothing else. Raises StartError."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / state.NAME).exists():
            raise StartError(f"{folder} is not empty and holds no {state.NAME}: name another folder")
        if state.alive(state.load(folder)):
            raise StartError(f"a stack runs from {folder} already")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
