"""A real Apache Kafka on this machine: brokers that are controllers too, with TLS, SCRAM and ACLs by default."""

import random
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from deploy.stack import kafka_install
from deploy.stack.certificates import make_certificates
from deploy.stack.kafka_config import ADMIN, BrokerPorts, broker_config
from deploy.stack.ports import answers, free_ports
from deploy.stack.principals import create_users, password_file, write_env_file
from deploy.stack.process import ServerProcess, StartError
from deploy.stack.secret_files import write_secret
from services.bus.kafka_admin import KafkaAdmin
from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import principals

_FORMAT_TIMEOUT_S = 120
# 5 s on an idle machine with two cores, 40 s were seen on one that a dozen others shared.
_START_TIMEOUT_S = 120
# Writing the classes down takes 4 s on an idle machine; a file that is cut short would be worse than none.
_LAYING_OUT_TIMEOUT_S = 120
# Servers that start at the same moment look in different places.
_FIRST_PORTS = (20_000, 31_000)


class KafkaServer:
    """Brokers on the loopback, their data and secrets in one folder.

    Args:
        folder: takes data, logs, tls/ and secrets/; what it holds from before is used again.
        secure: TLS, SCRAM-SHA-512 and ACLs; without it, plain text and everything allowed.
        brokers: 1, or 3 with every partition on all of them and two needed for a write.
        ports: for clients, one per broker; free ones where none are given.
        partitions: of every topic but the dead letters.
        data_dir: takes the brokers' data instead of `folder`, for a disk of another size.
        heap_mb: of each broker, at least 128.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secure: bool = True,
        brokers: int = 1,
        ports: Sequence[int] = (),
        partitions: int = 8,
        data_dir: Path | None = None,
        heap_mb: int = 512,
    ) -> None:
        self.folder = folder.absolute()
        self.secure = secure
        self.replication = brokers
        if ports and len(ports) != brokers:
            raise ValueError(f"{brokers} brokers need as many ports, not {len(ports)}")
        first = random.randint(*_FIRST_PORTS)  # noqa: S311, no secret
        free = (port for port in free_ports(first) if port not in ports)
        clients = ports or [next(free) for _ in range(brokers)]
        self._ports = [BrokerPorts(client, next(free), next(free)) for client in clients]
        self._partitions = partitions
        self.data_folders = [(data_dir or self.folder).absolute() / f"data-{node}" for node in self._nodes]
        self._heap_mb = heap_mb
        self._cluster = cluster_id(self.folder)
        self._processes: list[ServerProcess] = []

    @property
    def bootstrap(self) -> str:
        """host:port of every broker, separated by commas."""
        return ",".join(f"127.0.0.1:{ports.client}" for ports in self._ports)

    @property
    def ca_file(self) -> Path | None:
        """What clients verify the brokers with; None without TLS."""
        return self.folder / "tls" / "ca.pem" if self.secure else None

    @property
    def internal_ports(self) -> list[int]:
        """Where brokers and controllers talk to each other."""
        return [port for ports in self._ports for port in (ports.internal, ports.controller)]

    @property
    def pids(self) -> list[int]:
        """Of the brokers' processes."""
        return [process.pid for process in self._processes]

    @property
    def logs(self) -> list[Path]:
        """The brokers' logs."""
        return [self.folder / f"broker-{node}.log" for node in self._nodes]

    def start(self) -> None:
        """Starts the brokers on the data they have and waits until they answer.

        Raises MissingTool without Java or Maven, StartError if a broker doesn't come up.
        """
        archive = kafka_install.class_archive()
        if not archive.exists():
            _lay_out_classes(archive)
        self._launch(f"-XX:SharedArchiveFile={archive}")

    def stop(self, timeout_s: float = 20.0) -> None:
        """Ends the brokers, data kept; by force after `timeout_s`."""
        # Together: those that stay last would wait for a majority that is gone.
        with ThreadPoolExecutor(len(self._nodes)) as pool:
            list(pool.map(lambda process: process.stop(timeout_s), self._processes))

    def kill(self) -> None:
        """Ends the brokers at once, as a power cut does; `start` goes on with what is on disk."""
        for process in self._processes:
            process.kill()

    def prepare(self, env_folder: Path | None = None) -> None:
        """Makes users, topics and access rules as the table in the code says, and PRINCIPAL.env in `env_folder`.

        May be called again: it changes what differs. Raises BusUnreachable, AdminError.
        """
        everyone = (*principals(), ADMIN)
        if self.secure:
            create_users(self.settings(ADMIN), {name: self._password_file(name) for name in principals()})
        with KafkaAdmin(self.settings(ADMIN)) as admin:
            admin.apply(admin.plan())
        for name in everyone:
            write_env_file(env_folder or self.folder, name, self.env(name))

    def settings(self, principal: str) -> KafkaSettings:
        """What a client needs to connect as this principal."""
        return KafkaSettings(
            bootstrap=self.bootstrap,
            ca_file=self.ca_file,
            username=principal if self.secure else None,
            password_file=self._password_file(principal) if self.secure else None,
            partitions=self._partitions,
            replication=self.replication,
        )

    def env(self, principal: str) -> dict[str, str]:
        """The same as variables of an environment."""
        values = self.settings(principal).model_dump(exclude_unset=True, exclude_none=True)
        return {f"VEIL_KAFKA_{name.upper()}": str(value) for name, value in values.items()}

    def _password_file(self, principal: str) -> Path:
        return password_file(self.folder / "secrets", principal)

    @property
    def _nodes(self) -> range:
        return range(1, len(self._ports) + 1)

    def _launch(self, *options: str) -> None:
        if self.secure:
            make_certificates(self.folder / "tls", "broker")
        configs = [str(self._configure(node)) for node in self._nodes]
        heap = ("-Xms128m", f"-Xmx{self._heap_mb}m")
        self._processes = [
            ServerProcess(f"Kafka broker {node}", _java("kafka.Kafka", [config], (*heap, *options)), log)
            for node, config, log in zip(self._nodes, configs, self.logs, strict=True)
        ]
        for process in self._processes:
            process.start()
        for process, ports in zip(self._processes, self._ports, strict=True):
            process.wait_until(partial(answers, ports.client), _START_TIMEOUT_S)

    def _configure(self, node: int) -> Path:
        """Writes a broker's settings, and its empty storage at the first time."""
        data, path = self.data_folders[node - 1], self.folder / f"broker-{node}.properties"
        config = broker_config(node, self._ports, data, tls=self.folder / "tls" if self.secure else None)
        write_secret(path, "".join(f"{key}={value}\n" for key, value in config.items()).encode())
        if not (data / "meta.properties").exists():
            self._format(path)
        return path

    def _format(self, config: Path) -> None:
        options = ["--cluster-id", self._cluster, "--config", str(config)]
        if self.secure:
            # The first user can't be made over the network, as nobody could log in to make it.
            password = self._password_file(ADMIN).read_text().strip()
            options += ["--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={password}]"]
        java, *arguments = _java("kafka.tools.StorageTool", ["format", *options])
        # In a file, because everyone on the machine sees a command line.
        file = self.folder / "secrets" / "format.args"
        write_secret(file, "".join(f'"{argument}"\n' for argument in arguments).encode())
        try:
            done = subprocess.run([java, f"@{file}"], capture_output=True, timeout=_FORMAT_TIMEOUT_S, check=False)  # noqa: S603, ours
        finally:
            file.unlink()
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise StartError(f"Kafka's storage could not be made:\n{said[-1000:]}")


def cluster_id(folder: Path) -> str:
    """The cluster's name (22 characters, base64url of a UUID): the same for the same folder."""
    name = urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).bytes).decode().rstrip("=")
    # Kafka's tools take a name that begins with a dash for an option.
    return f"V{name[1:]}"


def _java(main: str, arguments: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={kafka_install.LOGGING}"
    return [kafka_install.java(), *options, logging, "-cp", f"{kafka_install.jars()}/*", main, *arguments]


def _lay_out_classes(archive: Path) -> None:
    """Runs a broker once, so that the JVM writes down how its classes look in memory."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        part = Path(scratch) / archive.name
        server = KafkaServer(Path(scratch) / "broker")
        try:
            server._launch(f"-XX:ArchiveClassesAtExit={part}")
        finally:
            server.stop(_LAYING_OUT_TIMEOUT_S)
        part.replace(archive)
