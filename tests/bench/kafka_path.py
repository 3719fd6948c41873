"""Megabytes per second through a real broker: Veil's bus beside Kafka's own performance tools.

Both send the same number of records of random bytes to a topic of their own with one partition and read them back:
first all are produced and acknowledged (acks=all, idempotent), then all are consumed. The path's figure is what both
steps together let through, 1 / (1/produce + 1/consume). Rounds alternate, the median counts.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from deploy.stack import kafka_install
from deploy.stack.kafka import KafkaServer
from services.bus.interface import BusFull, Record, Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_settings import KafkaSettings
from services.bus.topics import Topic

SIZES = (16 << 10, 60 << 10, 300 << 10)
_PATIENCE_S = 120.0
_TOOLS = "org.apache.kafka.tools"
# What Veil's producer does too; the tools' own defaults send every record alone and are slower.
_JAVA_PRODUCER = ("acks=all", "enable.idempotence=true", "batch.size=1048576", "linger.ms=2", "buffer.memory=67108864")
_JAVA_CONSUMER = ("fetch.max.bytes=33554432", "max.partition.fetch.bytes=16777216")

Step = Callable[[str, int, int], float]
"""topic, records, bytes of each → megabytes per second."""


@dataclass(frozen=True)
class Speed:
    """Megabytes (10^6 bytes) per second of one client at one size."""

    produce: float
    consume: float

    @property
    def both(self) -> float:
        return 1 / (1 / self.produce + 1 / self.consume)


def measure(megabytes: int = 200, rounds: int = 3, *, secure: bool = False) -> dict[str, dict[str, dict[str, float]]]:
    """size in KiB → client (veil, java) → produce, consume and path in MB/s; and the ratio of the paths.

    Args:
        megabytes: sent in each round at each size.
        secure: over TLS with SCRAM.
    """
    with tempfile.TemporaryDirectory(prefix="veil-kafka-") as name:
        server = KafkaServer(Path(name), secure=secure, heap_mb=1024)
        server.start()
        try:
            return {str(size >> 10): _at(server, size, megabytes * 10**6 // size, rounds) for size in SIZES}
        finally:
            server.kill()


def _at(server: KafkaServer, size: int, records: int, rounds: int) -> dict[str, dict[str, float]]:
    settings = server.settings("admin")
    java = _JavaTools(settings, server.folder)
    clients: Mapping[str, tuple[Step, Step]] = {
        "veil": (_Veil(settings).produce, _Veil(settings).consume),
        "java": (java.produce, java.consume),
    }
    found: dict[str, list[Speed]] = {client: [] for client in clients}
    for number in range(rounds + 1):
        for client, (produce, consume) in clients.items():
            topic = f"bench-{client}-{size}-{number}"
            java.create(topic)
            speeds = Speed(produce(topic, records, size), consume(topic, records, size))
            java.delete(topic)
            # The first round warms the broker up.
            found[client] += [speeds] if number else []
    figures = {client: _median(paths) for client, paths in found.items()}
    names = ("produce", "consume", "path")
    figures["ratio"] = {step: figures["veil"][step] / figures["java"][step] for step in names}
    return figures


def _median(paths: Sequence[Speed]) -> dict[str, float]:
    return {
        "produce": median(path.produce for path in paths),
        "consume": median(path.consume for path in paths),
        "path": median(path.both for path in paths),
    }


class _Veil:
    """Veil's own producer and reader, as the stages use them."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def produce(self, name: str, records: int, size: int) -> float:
        value = os.urandom(size)
        with closing(KafkaBus(self._settings)) as bus:
            producer = bus.producer()
            warm = _topic(f"{name}")
            began = time.perf_counter()
            for _ in range(records):
                record = Record(warm, "camera", value)
                while True:
                    try:
                        producer.publish(record)
                        break
                    except BusFull:
                        producer.wait(1.0)
            producer.flush(_PATIENCE_S)
            took = time.perf_counter() - began
            producer.close()
        return records * size / took / 1e6

    def consume(self, name: str, records: int, size: int) -> float:
        with closing(KafkaBus(self._settings)) as bus:
            reader = bus.reader(_topic(name), Start("oldest"))
            began, seen = time.perf_counter(), 0
            while seen < records:
                if time.perf_counter() - began > _PATIENCE_S:
                    raise TimeoutError(f"{seen} of {records} records came")
                seen += len(reader.poll(1.0, 64))
            took = time.perf_counter() - began
            reader.close()
        return records * size / took / 1e6


class _JavaTools:
    """Kafka's ProducerPerformance, ConsumerPerformance and TopicCommand."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self._bootstrap = settings.bootstrap
        self._options = folder / "client.properties"
        self._options.write_text("".join(f"{line}\n" for line in _connection(settings)))
        self._quiet = f"-Dlog4j2.configurationFile={kafka_install.LOGGING}"

    def create(self, topic: str) -> None:
        self._topics("--create", "--topic", topic, "--partitions", "1", "--config", "max.message.bytes=16777216")

    def delete(self, topic: str) -> None:
        self._topics("--delete", "--topic", topic)

    def produce(self, topic: str, records: int, size: int) -> float:
        options = ["--topic", topic, "--num-records", str(records), "--record-size", str(size), "--throughput", "-1"]
        properties = ["--producer-props", f"bootstrap.servers={self._bootstrap}", *_JAVA_PRODUCER]
        said = self._run("ProducerPerformance", *options, *properties, "--producer.config", str(self._options))
        # «… 1000 records sent, 2500.0 records/sec (146.48 MB/sec), 12.3 ms avg latency, …», in MiB.
        total = [line for line in said.splitlines() if "records sent" in line][-1]
        return float(total.partition("(")[2].partition(" MB/sec")[0]) * 2**20 / 1e6

    def consume(self, topic: str, records: int, size: int) -> float:
        options = self._options.with_name("consumer.properties")
        lines = [*self._options.read_text().splitlines(), *_JAVA_CONSUMER, "auto.offset.reset=earliest"]
        options.write_text("".join(f"{line}\n" for line in lines))
        said = self._run(
            "ConsumerPerformance", "--bootstrap-server", self._bootstrap, "--topic", topic, "--messages", str(records),
            "--consumer.config", str(options), "--timeout", "60000",
        )  # fmt: skip
        heads, values = ([cell.strip() for cell in line.split(",")] for line in said.strip().splitlines()[-2:])
        row = dict(zip(heads, values, strict=True))
        # Without the time that joining the group took: Veil's reader has no group.
        return float(row["data.consumed.in.MB"]) * 2**20 / 1e6 / (float(row["fetch.time.ms"]) / 1000)

    def _topics(self, *arguments: str) -> None:
        options = ["--bootstrap-server", self._bootstrap, "--command-config", str(self._options)]
        self._run("TopicCommand", *options, *arguments)

    def _run(self, tool: str, *arguments: str) -> str:
        command = [kafka_install.java(), "-Xmx512m", self._quiet, "-cp", f"{kafka_install.jars()}/*"]
        done = subprocess.run(
            [*command, f"{_TOOLS}.{tool}", *arguments], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{tool} failed: {(done.stderr or done.stdout)[-800:]}")
        return done.stdout


def _connection(settings: KafkaSettings) -> list[str]:
    """The lines by which a Java client connects as Veil's does."""
    if settings.ca_file is None or settings.password_file is None:
        return []
    password = settings.password_file.read_text().strip()
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    return [
        "security.protocol=SASL_SSL",
        "sasl.mechanism=SCRAM-SHA-512",
        f'sasl.jaas.config={login} username="{settings.username}" password="{password}";',
        "ssl.truststore.type=PEM",
        f"ssl.truststore.location={settings.ca_file}",
    ]


def _topic(name: str) -> Topic:
    return Topic(name, "DeadLetter", (), (), False, timedelta(hours=1))
