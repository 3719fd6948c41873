"""The auditor as a process on a real broker, as the user that the stack gives it."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from urllib.request import urlopen

import pytest

from deploy.stack.kafka import KafkaServer
from deploy.stack.ports import free_ports
from deploy.stack.services import AUDITOR, ServiceProcess
from services.audit_chain import first_break
from services.bus.interface import Record, Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_table import kafka_acls
from services.bus.topics import AUDIT, VIDEO_REDACTED
from services.schema import pb
from services.watch.figures import parse
from tests.support.leaks import FPS, Leak, boxes, masked_pictures, redacted_units
from tests.support.on_kafka import publish

pytestmark = pytest.mark.models

_SECONDS = 2
"""Of each camera: a weak find must be there in two looks."""
_TIMEOUT_S = 60


@pytest.fixture
def auditor(kafka: KafkaServer, tmp_path: Path) -> Iterator[ServiceProcess]:
    """The process, at work."""
    env = {**kafka.env(AUDITOR), "VEIL_AUDITOR_EVERY_S": "0.5"}
    process = ServiceProcess(AUDITOR, 1, next(free_ports(27_000 + os.getpid() % 2000)), tmp_path, env)
    process.start()
    try:
        process.wait_ready()
        yield process
    finally:
        process.kill()


def seconds_of(camera: str, epoch: int, leaks: Sequence[Leak] = ()) -> Iterator[list[Record]]:
    """What an encoder sends of the masked scene, a second at a time."""
    pictures = list(islice(masked_pictures(leaks), _SECONDS * FPS))
    units = redacted_units(pictures, camera, epoch, live=True)
    records = [Record(VIDEO_REDACTED, camera, pb.RedactedMessage(unit=unit).SerializeToString()) for unit in units]
    return (records[first : first + FPS] for first in range(0, len(records), FPS))


def figure(process: ServiceProcess, name: str) -> float:
    """A counter without labels, of the process's metrics."""
    with urlopen(process.metrics_url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_leak_on_the_broker_is_told_on_the_topic_audit_and_masked_video_is_not(
    kafka: KafkaServer, auditor: ServiceProcess
) -> None:
    epoch = time.time_ns() // 1000
    masked, leaking = f"masked-{epoch}", f"leaking-{epoch}"
    for second in seconds_of(masked, epoch):
        before = figure(auditor, "veil_auditor_looks_total")
        publish(kafka, "encoder", second)
        wait_for(lambda before=before: figure(auditor, "veil_auditor_looks_total") > before)
    leaks = [Leak(kind, range(_SECONDS * FPS)) for kind in ("face", "plate")]
    events: list[pb.AuditEvent] = []
    with closing(KafkaBus(kafka.settings("auditor"))) as bus:
        reader = bus.reader(AUDIT, Start("oldest"))

        def told() -> bool:
            # Other tests leave on the topic what is no event.
            new = [message.record for message in reader.poll(0.1) if message.record.key in (masked, leaking)]
            events.extend(pb.AuditEvent.FromString(record.value) for record in new)
            return {event.details["kind"] for event in events} == {"face", "plate"}

        for second in seconds_of(leaking, epoch, leaks):
            publish(kafka, "encoder", second)
        wait_for(told)
    for event in events:
        camera, _, frame = event.object.split("/")
        assert (camera, event.actor, event.action) == (leaking, "auditor", "leak.suspected")
        (true,) = [box.box for box in boxes(int(frame)) if box.kind == event.details["kind"]]
        x1, y1, x2, y2 = map(float, event.details["box"].split(","))
        assert true[0] < (x1 + x2) / 2 < true[2]
        assert true[1] < (y1 + y2) / 2 < true[3]
    assert first_break(events) is None
    with urlopen(auditor.metrics_url, timeout=30) as answer:
        assert parse(answer.read().decode()).sums["suspects"] >= len(events)


def test_i4_the_auditor_reads_masked_video_and_the_audit_and_writes_the_audit_alone() -> None:
    may = {(acl.resource, acl.name, acl.operation) for acl in kafka_acls() if acl.principal == f"User:{AUDITOR}"}
    assert may == {
        ("TOPIC", "video.redacted", "READ"),
        ("TOPIC", "video.redacted", "DESCRIBE"),
        ("TOPIC", "audit", "READ"),
        ("TOPIC", "audit", "WRITE"),
        ("TOPIC", "audit", "DESCRIBE"),
        ("GROUP", "auditor", "READ"),
    }
