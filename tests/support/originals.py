"""Messages of a camera and its spans as the vault gets them, and a vault to put them into."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import REDACTIONS, VIDEO_SOURCE
from services.envelope import KeyFolder, Opener
from services.policy.book import StaticPolicyBook
from services.policy.model import Policy
from services.runtime.stage import Backpressure
from services.schema import pb
from services.vault import Gap, Opened, Piece, VaultSettings
from services.vault.stage import VaultStage
from services.vault.vault import Vault
from tests.support.keys import add_key

CAMERA = "gate"
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
START_US = 1_790_000_000 * SECOND_US
"""A while into an hour: 14:13:20."""
FPS = 10
GROUP = 10
PATIENCE_S = 30.0

KEEPING = Policy(name="keeping", originals="keep", retention_hours=24)


class Clock:
    """Microseconds since 1970, as told."""

    def __init__(self, at_us: int = START_US) -> None:
        self.at_us = at_us

    def __call__(self) -> int:
        return self.at_us


def make_vault(folder: Path, clock: Clock | None = None, keys: Path | None = None, **settings: object) -> Vault:
    """A vault in a folder, with a key beside it; settings as VaultSettings has them."""
    keys = keys or folder / "keys"
    if not keys.exists():
        keys.mkdir(mode=0o700, parents=True)
        add_key(keys, "a")
    given = {"store": str(folder / "vault"), "sweep_s": 3600, "retry_max_s": 0.2, "open_wait_s": 0} | settings
    return Vault(VaultSettings(**given), KeyFolder(keys), clock=clock or Clock())


def unit(
    seq: int, epoch: int = START_US, camera: str = CAMERA, at_us: int | None = None, payload: bytes | None = None
) -> pb.AccessUnit:
    """Frame `seq` of an epoch that began when its number says; a keyframe every GROUP frames."""
    keyframe = seq % GROUP == 0
    return pb.AccessUnit(
        camera_id=camera,
        epoch=epoch,
        seq=seq,
        keyframe=keyframe,
        keyframe_seq=seq - seq % GROUP,
        pts=seq,
        captured_us=epoch + seq * SECOND_US // FPS if at_us is None else at_us,
        stream=pb.StreamInfo(codec="h264", width=64, height=48, time_base_num=1, time_base_den=FPS, live=True)
        if keyframe
        else None,
        inline=payload or f"picture {camera} {epoch} {seq}".encode() * 20,
    )


def span(first: int, last: int, epoch: int = START_US, camera: str = CAMERA, why: str = "") -> pb.RedactionSpan:
    """A span with one track."""
    track = pb.TrackSegment(track_id=1, kind=pb.KIND_FACE, first=[1, 2, 3, 4], last=[5, 6, 7, 8])
    hop = pb.Hop(stage="decoder", received_us=epoch + last * SECOND_US // FPS)
    return pb.RedactionSpan(
        camera_id=camera,
        epoch=epoch,
        first_seq=first,
        last_seq=last,
        tracks=[track],
        coverage=pb.COMPLETE,
        why=why,
        trace=[hop],
    )


def end(epoch: int = START_US, camera: str = CAMERA, frames: int = 0) -> pb.EndOfStream:
    return pb.EndOfStream(camera_id=camera, epoch=epoch, frames=frames, reason=pb.EndOfStream.LOST)


class Bus:
    """Puts messages on one partition of each topic, and gives them to a stage as a runner would."""

    def __init__(self, partition: int = 0) -> None:
        self.partition = partition
        self.messages: list[Message] = []
        self.offsets = {VIDEO_SOURCE.name: 0, REDACTIONS.name: 0}

    def put(
        self, *bodies: pb.AccessUnit | pb.RedactionSpan | pb.EndOfStream | pb.AudioUnit, spans: bool = False
    ) -> None:
        """Appends messages; `spans` sends an end on redactions."""
        for body in bodies:
            redactions = spans or isinstance(body, pb.RedactionSpan)
            topic = REDACTIONS if redactions else VIDEO_SOURCE
            if redactions:
                value = pb.RedactionsMessage(**{"span" if isinstance(body, pb.RedactionSpan) else "end": body})
            else:
                field = {pb.AccessUnit: "unit", pb.AudioUnit: "audio", pb.EndOfStream: "end"}[type(body)]
                value = pb.SourceMessage(**{field: body})
            at_us = body.captured_us if isinstance(body, pb.AccessUnit) else body.epoch
            self.put_raw(topic, body.camera_id, value.SerializeToString(), at_us)

    def put_raw(self, topic: object, key: str, value: bytes, at_us: int) -> None:
        """Appends one message as it is, stamped by the broker at `at_us`."""
        position = Position(TopicPartition(topic.name, self.partition), self.offsets[topic.name])  # type: ignore[attr-defined]
        self.offsets[topic.name] += 1  # type: ignore[attr-defined]
        self.messages.append(Message(Record(topic, key, value), position, at_us))  # type: ignore[arg-type]


def minutes(bus: Bus, seconds: float, epoch: int = START_US, camera: str = CAMERA, first: int = 0) -> int:
    """Puts so many seconds of an epoch on the bus, and a span for each second behind it; the next frame's number."""
    last = first + round(seconds * FPS)
    for seq in range(first, last):
        bus.put(unit(seq, epoch, camera))
        if seq % GROUP == GROUP - 1:
            bus.put(span(seq - GROUP + 1, seq, epoch, camera))
    return last


def make_stage(
    vault: Vault, clock: Clock | None = None, policies: object = None, opener: Opener | None = None
) -> VaultStage:
    book = policies or StaticPolicyBook(default=KEEPING)
    return VaultStage(vault, book, opener, clock or Clock())  # type: ignore[arg-type]


def feed(stage: VaultStage, messages: Iterable[Message], patience_s: float = PATIENCE_S) -> list[Position]:
    """Submits all, offering again what is refused for now; the positions that became done meanwhile."""
    done: list[Position] = []
    deadline = time.monotonic() + patience_s
    for message in messages:
        while True:
            try:
                stage.submit(message)
            except Backpressure:
                assert time.monotonic() < deadline, "no room for a message"
                time.sleep(0.005)
                done += finished(stage)
            else:
                break
        done += finished(stage)
    return done


def finished(stage: VaultStage) -> list[Position]:
    return [position for emission in stage.completed() for position in emission.done]


def stop(stage: VaultStage, timeout_s: float = PATIENCE_S) -> list[Position]:
    """Closes and waits; the positions that became done."""
    stage.close()
    return [position for emission in stage.join(timeout_s) for position in emission.done]


def store(vault: Vault, bus: Bus, clock: Clock | None = None) -> list[Position]:
    """Everything on a bus into a vault."""
    stage = make_stage(vault, clock)
    done = feed(stage, bus.messages)
    return done + stop(stage)


def opened(vault: Vault, start_us: int = 0, end_us: int = 1 << 60, camera: str = CAMERA) -> Opened:
    return vault.open(camera, start_us, end_us, purpose="a test", who="tester")


def pieces(parts: Iterable[Piece | Gap]) -> list[Piece]:
    return [part for part in parts if isinstance(part, Piece)]


def gaps(parts: Iterable[Piece | Gap]) -> list[Gap]:
    return [part for part in parts if isinstance(part, Gap)]


def seqs(parts: Iterable[Piece | Gap], *, wanted: bool = False) -> list[tuple[int, int]]:
    """Epoch and number of every frame, in the order given."""
    return [
        (each.unit.epoch, each.unit.seq) for piece in pieces(parts) for each in piece.units if each.wanted or not wanted
    ]


def files(vault_folder: Path) -> list[Path]:
    """Files of segments, half written ones too."""
    return sorted(path for path in vault_folder.rglob("*") if path.is_file() and not path.name.startswith("index.db"))


def expected(epoch: int, numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(epoch, seq) for seq in numbers]
