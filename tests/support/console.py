"""A console to try out: accounts without a database, masked video that was never a camera's."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.sync.client import ClientConnection, connect

from services.accounts.accounts import Accounts
from services.accounts.settings import AccountSettings
from services.accounts.web import Gate
from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import VIDEO_REDACTED
from services.console.app import create_app
from services.console.hub import Hub
from services.console.server import served
from services.console.settings import ConsoleSettings
from services.media.encoding import H264Encoder, H264Options
from services.media.picture import Picture
from services.schema import pb

PASSWORD = "correct horse battery"
TIMEOUT_S = 20


class Told(list[tuple[str, str, dict[str, str]]]):
    """What a console told the audit."""

    def __call__(self, action: str, who: str, details: Mapping[str, str]) -> None:
        self.append((action, who, dict(details)))


@dataclass
class Console:
    """A console that runs, and a program that talks to it as a browser would."""

    hub: Hub
    accounts: Accounts
    told: Told
    address: str
    client: httpx.Client

    def log_in(self, name: str) -> str:
        """Logs in; returns the token for changes."""
        answer = self.client.post("/api/v1/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200
        return str(answer.json()["csrf"])

    def live(self, origin: str | None = None) -> ClientConnection:
        """Connects to the video."""
        return live(self.address, self.client, origin)

    def show(self, items: Sequence[pb.RedactedUnit | pb.EndOfStream]) -> None:
        """Gives messages of video.redacted to the console as its reading thread would."""
        steps = [step for item in items if (step := self.hub._step(message_of(item))) is not None]
        assert self.hub._loop is not None
        self.hub._hand_over(steps, self.hub._loop)


def live(address: str, client: httpx.Client, origin: str | None = None) -> ClientConnection:
    """Connects to the video of the console at `address` with the client's session."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    at = address.rstrip("/")
    return connect(
        f"{at.replace('http', 'ws', 1)}/api/v1/live",
        origin=origin or at,  # type: ignore[arg-type]
        additional_headers={"Cookie": cookies},
        compression=None,
    )


@contextmanager
def console(
    folder: Path,
    settings: ConsoleSettings,
    cameras: Collection[str] | None = None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Console]:
    """A console on a free port of this machine, with its accounts in a folder: `all`, and `hall-only`."""
    accounts = accounts_in(folder)
    hub, told = Hub(settings, cameras), Told()
    with (
        closing(accounts),
        served(create_app(settings, hub, Gate(accounts, secure=False), told, facts), settings) as at,
        httpx.Client(base_url=at.address, headers={"Origin": at.address.rstrip("/")}, timeout=TIMEOUT_S) as client,
    ):
        yield Console(hub, accounts, told, at.address, client)


def accounts_in(folder: Path) -> Accounts:
    """Accounts for trying out; all have the same password."""
    accounts = Accounts(AccountSettings(database=f"sqlite:///{folder / 'accounts.db'}"))
    accounts.add("test", "all", PASSWORD, ["viewer", "admin"], sites=["*"])
    accounts.add("test", "hall-only", PASSWORD, ["viewer"], cameras=["hall"])
    accounts.add("test", "leaver", PASSWORD, ["viewer"], sites=["*"])
    accounts.add("test", "clerk", PASSWORD, ["auditor"], sites=["*"])
    return accounts


def units(
    camera: str,
    frames: int,
    *,
    epoch: int = 1,
    width: int = 160,
    height: int = 96,
    rate: int = 25,
    keyframe_s: float = 0.4,
    live: bool = True,
    bright: int = 90,
) -> list[pb.RedactedUnit]:
    """The access units of an epoch as the encoder makes them: a bar that moves over grey."""
    base = Fraction(1, 90_000)
    options = H264Options(keyframe_s=keyframe_s, preset="ultrafast" if live else "veryfast")
    encoder = H264Encoder(width, height, base, frame_rate=rate, live=live, options=options)
    encoded = []
    for number in range(frames):
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        planes[:height] = bright
        at = number * 4 % (width - 16)
        planes[:height, at : at + 16] = 220
        encoded += encoder.encode(Picture(planes, full_range=False), number * 90_000 // rate)
    encoded += encoder.flush()
    return [
        pb.RedactedUnit(
            camera_id=camera,
            epoch=epoch,
            seq=seq,
            keyframe=each.keyframe,
            pts=each.pts,
            dts=each.dts,
            duration=90_000 // rate,
            time_base_num=1,
            time_base_den=90_000,
            width=width,
            height=height,
            captured_us=1_000_000 + seq * 40_000,
            payload=each.payload,
        )
        for seq, each in enumerate(encoded)
    ]


def message_of(item: pb.RedactedUnit | pb.EndOfStream, offset: int = 0) -> Message:
    """As a consumer would get it."""
    message = pb.RedactedMessage()
    body = message.unit if isinstance(item, pb.RedactedUnit) else message.end
    body.CopyFrom(item)
    record = Record(VIDEO_REDACTED, item.camera_id, message.SerializeToString())
    return Message(record, Position(TopicPartition(VIDEO_REDACTED.name, 0), offset), 0)
