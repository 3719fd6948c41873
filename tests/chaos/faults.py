"""What is done to the running system; each fault returns once it is repaired."""

import math
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from services.bus.interface import BusFull, Producer, Record
from services.bus.kafka import KafkaBus
from services.bus.topics import TOPICS
from services.schema import pb
from tests.chaos.rig import LIVE, Rig

MARK = b"\xde\xad\xbe\xef never to be seen in a dead letter \xde\xad\xbe\xef"
_OUTAGE_S = 20.0
_SCALED_S = 8.0
_GARBAGE_EACH = 3


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: as the table says it.
        strike: does it, and repairs it.
        short: part of the short form.
        closed_s: how long a camera may show nothing but closed frames.
    """

    name: str
    strike: Callable[[Rig], None]
    short: bool = False
    closed_s: float = math.inf


def broker_stopped(rig: Rig) -> None:
    rig.stack.kafka.kill()
    time.sleep(_OUTAGE_S)
    rig.stack.kafka.start()


def triton_stopped(rig: Rig) -> None:
    assert rig.stack.triton is not None, "needs a stack with Triton"
    rig.stack.triton.kill()
    time.sleep(_OUTAGE_S)
    rig.stack.triton.start()


def rebalanced(name: str, rig: Rig) -> None:
    rig.stack.scale(name, 3)
    time.sleep(_SCALED_S)
    rig.stack.scale(name, 1)


def rolled(rig: Rig) -> None:
    """As Kubernetes brings a new version: stage after stage, nobody leaves before another works."""
    for name in ("encoder", "renderer", "tracker", "inference", "decoder"):
        rig.stack.roll(name)


def disk_full(rig: Rig) -> None:
    """The broker can write no more: its files may not grow beyond what they are. It gives up, is mended, and starts."""
    for pid in rig.stack.kafka.pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))
    time.sleep(_OUTAGE_S / 2)
    rig.stack.kafka.kill()
    rig.stack.kafka.start()


def garbage(rig: Rig) -> None:
    """Onto every topic, under the key of a camera that runs and under keys of nobody."""
    with closing(KafkaBus(rig.stack.settings("admin"))) as bus:
        producer = bus.producer()
        for topic in TOPICS:
            for key in (LIVE[0], "nobody", ""):
                for value in _garbage():
                    _publish(producer, Record(topic, key, value))
        producer.flush(30)


def _publish(producer: Producer, record: Record) -> None:
    while True:
        try:
            producer.publish(record)
        except BusFull:
            producer.wait(1.0)
        else:
            return


def camera_changed(rig: Rig) -> None:
    rig.restart_camera(LIVE[0], ["--then", str(rig.other.path.absolute()), "--then-after", "4"])
    time.sleep(12)
    rig.restart_camera(LIVE[0], [])


def clock_jumped(rig: Rig) -> None:
    for jump in ("3600", "-3600"):
        rig.restart_camera(LIVE[0], ["--jump", jump, "--jump-after", "4"])
        time.sleep(10)
    rig.restart_camera(LIVE[0], [])


def nothing(rig: Rig) -> None:
    time.sleep(5)


FAULTS = (
    Fault("none", nothing, short=True),
    Fault("kill -9 decoder", lambda rig: rig.kill("decoder")),
    Fault("kill -9 inference", lambda rig: rig.kill("inference")),
    Fault("kill -9 tracker", lambda rig: rig.kill("tracker"), short=True),
    Fault("kill -9 renderer", lambda rig: rig.kill("renderer"), short=True),
    Fault("kill -9 encoder", lambda rig: rig.kill("encoder"), short=True),
    Fault("broker gone for 20 s", broker_stopped),
    Fault("Triton gone for 20 s", triton_stopped),
    Fault("inference 1→3→1", partial(rebalanced, "inference")),
    Fault("tracker 1→3→1", partial(rebalanced, "tracker")),
    Fault("renderer 1→3→1", partial(rebalanced, "renderer")),
    Fault("rolling restart of every stage", rolled, closed_s=1.0),
    Fault("broker's disk full", disk_full),
    Fault("garbage on every topic", garbage, short=True),
    Fault("a file at full speed", lambda rig: rig.read_file(speed=0)),
    Fault("camera comes back another", camera_changed),
    Fault("camera's clock jumps", clock_jumped),
)


def _garbage() -> Iterator[bytes]:
    for _ in range(_GARBAGE_EACH):
        yield MARK + os.urandom(200)
    whole = pb.RedactedMessage(unit=pb.RedactedUnit(camera_id=LIVE[0], epoch=1, seq=2**63, payload=MARK))
    yield whole.SerializeToString()
    yield whole.SerializeToString()[:-7]
    yield b""
    far = pb.SourceMessage(unit=pb.AccessUnit(camera_id=LIVE[0], epoch=2**62, seq=2**62, pts=-(2**62), inline=MARK))
    yield far.SerializeToString()


def is_marked(value: bytes) -> bool:
    """True where a dead letter holds anything of what was refused."""
    return MARK[:12] in value
