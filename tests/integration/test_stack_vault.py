"""A stack with a vault, on a real broker with access rules: kept, killed under load, disclosed, expired for good."""

import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
from kafka.admin import KafkaAdminClient
from sqlalchemy import select

from deploy.stack.kafka_install import MissingTool, jars, java
from deploy.stack.media_build import BINARY
from deploy.stack.originals import NAME, store_of
from deploy.stack.services import VAULT
from deploy.stack.site import CameraPlan
from deploy.stack.stack import Stack, StackOptions
from services.bus.interface import Start
from services.bus.kafka import KafkaBus
from services.bus.kafka_client import client_options
from services.bus.topics import AUDIT, VIDEO_SOURCE
from services.envelope import KeyFolder
from services.schema import pb
from services.vault import Expired, Gap, Missing, Piece, Vault, VaultSettings
from services.vault.tables import KEYS, SEGMENTS
from tests.chaos.truth import RATE, TruthVideo, number_of, truth_video
from tests.support.frames import luma
from tests.support.servers import absent, required
from tests.support.similarity import CLEAR, region_similarity

pytestmark = [pytest.mark.models, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = ("gate", "yard")
ENDS = 1 << 60
KILLS = 3
SECONDS = 8
_PATIENCE_S = 120.0
_LOOK_S = 1.0
_SETTINGS = {
    "VEIL_VAULT_SEGMENT_S": "2",
    "VEIL_VAULT_SWEEP_S": "1",
    # A killed vault's partitions are given out again when its session is over.
    "VEIL_KAFKA_SESSION_TIMEOUT_S": "6",
    # What is asked here does not depend on how fast the machine is: every look is taken, however late.
    "VEIL_INFERENCE_LIVE_AGE_S": "300",
    "VEIL_INFERENCE_TIMEOUT_S": "60",
}

Frame = tuple[str, int, int]
"""Camera, epoch and seq."""


@dataclass
class Running:
    """A stack that runs, and what its cameras play."""

    stack: Stack
    truth: TruthVideo

    def vault(self) -> Vault:
        """The store as whoever has its keys opens it, in a process of its own."""
        settings = VaultSettings(store=str(store_of(self.stack.folder)), writer="a test")
        return Vault(settings, KeyFolder(self.stack.keys))

    def sent(self) -> dict[Frame, tuple[int, int]]:
        """Every frame on video.source so far: its partition and offset."""
        found = {}
        with closing(KafkaBus(self.stack.settings("admin"))) as bus:
            reader = bus.reader(VIDEO_SOURCE, Start("oldest"))
            while not reader.caught_up:
                for message in reader.poll(_LOOK_S, 256):
                    unit = pb.SourceMessage.FromString(message.record.value).unit
                    at = (message.position.source.partition, message.position.offset)
                    if unit.camera_id:
                        found[unit.camera_id, unit.epoch, unit.seq] = at
        return found

    def acknowledged(self) -> dict[int, int]:
        """Partition of video.source → where the vault's group goes on."""
        admin = KafkaAdminClient(**client_options(self.stack.settings("admin")))
        try:
            offsets = admin.list_group_offsets({VAULT: None})[VAULT]
        finally:
            admin.close()
        return {part.partition: at.offset for part, at in offsets.items() if part.topic == VIDEO_SOURCE.name}

    def kept(self, *cameras: str) -> list[Frame]:
        """Every frame of these cameras, or of all, that can be read from the vault, in the order given."""
        with closing(self.vault()) as vault:
            return [
                (camera, each.unit.epoch, each.unit.seq)
                for camera in cameras or CAMERAS
                for part in parts_of(vault, camera)
                if isinstance(part, Piece)
                for each in part.units
            ]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    try:
        java(), jars()
    except MissingTool as missing:
        absent(str(missing))
    if not BINARY.exists() and not required():
        absent("MediaMTX is not built: make stack")
    folder = tmp_path_factory.mktemp("vault-stack")
    truth = truth_video(folder / "truth.mp4")
    overrides = {"kinds": ["face", "plate"], "tracking": {"look_ahead_s": 0.3}}
    plans = [CameraPlan(camera, truth.path, overrides=overrides) for camera in CAMERAS]
    options = StackOptions(triton=False, vault=True, env=_SETTINGS)
    with Stack(folder / "stack", plans, options) as stack:
        yield Running(stack, truth)


def parts_of(vault: Vault, camera: str) -> list[Piece | Gap]:
    """Everything that is kept of a camera."""
    try:
        return list(vault.open(camera, 0, ENDS, purpose="a test", who="test"))
    except Missing:
        return []


def certain(running: Running, camera: str) -> list[int]:
    """When the frames were taken of the first seconds in which every frame has a span that is complete."""
    with closing(running.vault()) as vault:
        pieces = [part for part in parts_of(vault, camera) if isinstance(part, Piece)]
    found: list[int] = []
    for unit, span in ((each.unit, piece.span_of(each.unit.seq)) for piece in pieces for each in piece.units):
        if span is not None and span.coverage == pb.COMPLETE:
            found.append(unit.captured_us)
        elif len(found) >= SECONDS * RATE:
            break
        else:
            found.clear()
    return found[-SECONDS * RATE :]


def wait(until: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(_LOOK_S)


def some_is_kept(running: Running) -> None:
    """Returns once some seconds of every camera can be read."""
    wait(lambda: bool(running.acknowledged()), "nothing was acknowledged")
    wait(lambda: all(len(running.kept(camera)) > 50 for camera in CAMERAS), "nothing was kept")


def veil(running: Running, *words: str) -> str:
    """`veil` as somebody who was given originals.env."""
    lines = (running.stack.folder / f"{NAME}.env").read_text().splitlines()
    env = {**os.environ, **dict(line.split("=", 1) for line in lines), "COLUMNS": "200"}
    command = [sys.executable, "-m", "services", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_i6_what_a_vault_acknowledged_survives_its_kills_under_load(running: Running) -> None:
    some_is_kept(running)
    chance = random.Random(7)
    for _ in range(KILLS):
        before = running.acknowledged()
        wait(lambda before=before: running.acknowledged() != before, "it stores nothing more")  # type: ignore[misc]
        time.sleep(chance.uniform(0, 3))
        vault = running.stack.service(VAULT)
        vault.kill()
        # Nobody has cleared up yet: this is what a power cut leaves.
        sent, acknowledged, kept = running.sent(), running.acknowledged(), Counter(running.kept())
        promised = {frame for frame, (partition, offset) in sent.items() if offset < acknowledged.get(partition, 0)}
        assert len(promised) > 50
        assert not promised - set(kept), "acknowledged, and can't be read"
        assert max(kept.values()) == 1
        running.stack.restart(vault)
    sent = running.sent()
    wait(lambda: set(sent) <= set(running.kept()), "what was sent meanwhile is not kept")
    kept_now = running.kept()
    assert len(kept_now) == len(set(kept_now)), "a frame is there twice"
    assert kept_now == sorted(kept_now), "a frame is out of order"
    frames = Counter((camera, epoch) for camera, epoch, _ in kept_now)
    assert [seq for _, _, seq in kept_now] == [seq for count in frames.values() for seq in range(count)]


def test_what_is_kept_are_the_cameras_own_pictures_with_their_spans(running: Running) -> None:
    some_is_kept(running)
    with closing(running.vault()) as vault:
        parts = parts_of(vault, "gate")
    pieces = [part for part in parts if isinstance(part, Piece)]
    units = [each.unit for piece in pieces for each in piece.units]
    context = av.CodecContext.create(units[0].stream.codec, "r")
    context.extradata = units[0].stream.extradata or None
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.inline))] + context.decode(None)
    planes = [frame.to_ndarray(format="gray") for frame in frames]
    assert len(planes) == len(units)
    numbers = [number_of(plane) for plane in planes]
    whole = len(running.truth.planes)
    for number, plane, before in zip(numbers[1:], planes[1:], numbers, strict=False):
        assert number is not None
        assert before is None or number == (before + 1) % whole
        assert np.abs(plane.astype(int) - running.truth.planes[number]).max() <= 2
    # The newest pictures' spans may still be on their way.
    spans = [piece.span_of(each.unit.seq) for piece in pieces for each in piece.units][: -len(units) // 2]
    assert all(span is not None for span in spans)
    assert any(track.kind == pb.KIND_FACE for span in spans if span is not None for track in span.tracks)
    # The store itself has none of it.
    payload = units[-1].inline[8:72]
    files = [path for path in store_of(running.stack.folder).rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if payload in path.read_bytes()]


def test_a_person_gets_their_own_footage_with_the_plate_masked(running: Running, tmp_path: Path) -> None:
    """Every step by `veil disclose`, on what the vault has from the broker; judged on the pixels of the package."""
    some_is_kept(running)
    wait(lambda: len(certain(running, "gate")) >= SECONDS * RATE, "no seconds whose frames were all looked at are kept")
    begins, *_, ends = certain(running, "gate")
    times = [datetime.fromtimestamp(at_us / 1e6, UTC).isoformat() for at_us in (begins, ends)]
    signing = running.stack.folder / "disclosure" / "signing"
    veil(running, "disclose", "keys", "create", str(signing))
    filed = veil(
        running, "disclose", "file", "--whose", "the driver", "--camera", "gate", "--from", times[0], "--to", times[1],
        "--basis", "GDPR, article 15", "--why", "asked at the counter",
    )  # fmt: skip
    request = filed.split()[1]

    def step(name: str, *words: str, who: str = "kim") -> str:
        return veil(running, "disclose", name, request, *words, "--who", who, "--why", "the driver's request")

    listed = step("find")
    faces = re.findall(r"(?m)^(\d+)\s+gate\s+face\b", listed)
    assert faces, listed
    step("choose", *faces)
    step("submit")
    step("approve", who="lee")
    step("render")
    step("package")
    step("hand-over")
    package = tmp_path / "package.zip"
    step("download", "--to", str(package))
    assert "every file is as it was signed" in veil(running, "verify", str(package))
    (video,) = (running.stack.folder / "disclosure" / "requests" / request / "videos").glob("*.mp4")
    shown, plates = 0, 0
    numbered = [(number_of(plane), plane) for plane in luma(video)]
    for number, plane in numbered:
        if number is None:
            continue
        source, (face, *others) = running.truth.planes[number], running.truth.boxes[number]
        shown += region_similarity(source, plane, face) >= CLEAR
        plates += sum(region_similarity(source, plane, box) >= CLEAR for box in others)
    assert len(numbered) >= SECONDS * RATE - RATE
    assert shown >= len(numbered) / 2
    assert plates == 0


def test_i8_what_has_expired_can_not_be_read_by_anyone(running: Running) -> None:
    """The last one: the camera is gone afterwards."""
    some_is_kept(running)
    running.stack.cameras["yard"].stop()
    ended = {frame for frame in running.sent() if frame[0] == "yard"}
    wait(lambda: ended <= set(running.kept()), "the last frames are not kept")
    store = store_of(running.stack.folder)
    with closing(running.vault()) as vault, vault.database.read() as connection:
        mine = SEGMENTS.c.camera_id == "yard", SEGMENTS.c.salt.is_not(None)
        rows = connection.execute(select(SEGMENTS.c.name, SEGMENTS.c.salt).where(*mine)).all()
        keys = connection.execute(select(KEYS.c.wrapped).where(KEYS.c.camera_id == "yard")).scalars().all()
    secrets = [bytes(row.salt) for row in rows] + [bytes(key) for key in keys if key is not None]
    assert len(secrets) > 3
    assert all((store / row.name).exists() for row in rows)
    with closing(running.vault()) as vault:
        # As a policy does that has become shorter: what is there is due from now on.
        vault.purger.shorten("yard", 0)
        with pytest.raises(Expired):
            vault.open("yard", 0, ENDS, purpose="too late", who="test")
        wait(lambda: bool(vault.purger.purges("yard")), "the running vault lets nothing expire")
        wait(lambda: all(purge.done_us for purge in vault.purger.purges("yard")), "files are left")
        (purge,) = vault.purger.purges("yard")
        assert purge.segments == len(rows)
    assert not any((store / row.name).exists() for row in rows)
    files = [path for path in store.rglob("*") if path.is_file()]
    for secret in secrets:
        assert not [path.name for path in files if secret in path.read_bytes()], "what would open it is still there"
    said = veil(running, "vault", "prove-purge", purge.id, "--purpose", "to see it gone")
    assert "NO:" not in said
    assert said.count("yes:") >= 6
    assert running.kept("gate"), "nothing else has gone"
    wait(lambda: {"vault.open", "vault.purge", "vault.refused"} <= told(running, "yard"), "the audit does not tell")


def told(running: Running, camera: str) -> set[str]:
    """What was done to the originals of a camera, by the topic `audit` as the auditor's user reads it."""
    with closing(KafkaBus(running.stack.settings("auditor"))) as bus:
        reader, found = bus.reader(AUDIT, Start("oldest")), set()
        while not reader.caught_up:
            records = [message.record for message in reader.poll(_LOOK_S, 256)]
            found |= {pb.AuditEvent.FromString(each.value).action for each in records if each.key == camera}
    return found
