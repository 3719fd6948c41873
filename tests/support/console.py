"""A console to try out: accounts without a database, masked video that was never a camera's."""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from websockets.sync.client import ClientConnection, connect

from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import VIDEO_REDACTED
from services.console.access import NotLoggedIn, Viewer
from services.console.app import create_app
from services.console.hub import Hub
from services.console.server import served
from services.console.settings import ConsoleSettings
from services.media.encoding import H264Encoder, H264Options
from services.media.picture import Picture
from services.schema import pb

PASSWORD = "correct horse battery"
COOKIE = "veil_session"


class Login(BaseModel):
    """Name and password."""

    name: str
    password: str


class PlayAccess:
    """Accounts in memory: everyone has the same password."""

    def __init__(self, *viewers: Viewer) -> None:
        self.accounts = {viewer.name: viewer for viewer in viewers}
        self.sessions: dict[str, tuple[str, str]] = {}
        self.router = APIRouter(prefix="/api/v1")
        self.router.add_api_route("/session", self.who, methods=["GET"])
        self.router.add_api_route("/session", self.log_in, methods=["POST"])
        self.router.add_api_route("/session", self.log_out, methods=["DELETE"], status_code=204)

    def who(self, request: Request) -> dict[str, object]:
        viewer = self.viewer_of(request)
        return self._said(viewer, self.sessions[request.cookies[COOKIE]][1])

    def log_in(self, given: Login, response: Response) -> dict[str, object]:
        viewer = self.accounts.get(given.name)
        if viewer is None or given.password != PASSWORD:
            raise HTTPException(401, "Name or password is wrong.")
        session, token = secrets.token_hex(), secrets.token_hex()
        self.sessions[session] = (viewer.name, token)
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict")
        return self._said(viewer, token)

    def log_out(self, request: Request) -> None:
        self.check_change(request)
        self.sessions.pop(request.cookies.get(COOKIE, ""), None)

    def viewer_of(self, connection: HTTPConnection) -> Viewer:
        found = self.sessions.get(connection.cookies.get(COOKIE, ""))
        if found is None:
            raise NotLoggedIn
        return self.accounts[found[0]]

    def check_change(self, connection: HTTPConnection) -> None:
        found = self.sessions.get(connection.cookies.get(COOKIE, ""))
        if found is None or connection.headers.get("X-Veil-CSRF") != found[1]:
            raise HTTPException(403, "The page is out of date: load it again.")

    @staticmethod
    def _said(viewer: Viewer, token: str) -> dict[str, object]:
        return {"name": viewer.name, "roles": sorted(viewer.roles), "csrf": token}


class Told(list[tuple[str, str, dict[str, str]]]):
    """What a console told the audit."""

    def __call__(self, action: str, who: Viewer, details: Mapping[str, str]) -> None:
        self.append((action, who.name, dict(details)))


@dataclass
class Console:
    """A console that runs, and a program that talks to it as a browser would."""

    hub: Hub
    access: PlayAccess
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
        cookies = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        return connect(
            self.address.replace("http", "ws", 1) + "api/v1/live",
            origin=origin or self.address.rstrip("/"),  # type: ignore[arg-type]
            additional_headers={"Cookie": cookies},
            compression=None,
        )

    def show(self, items: Sequence[pb.RedactedUnit | pb.EndOfStream]) -> None:
        """Gives messages of video.redacted to the console as its reading thread would."""
        steps = [step for item in items if (step := self.hub._step(message_of(item))) is not None]
        assert self.hub._loop is not None
        self.hub._hand_over(steps, self.hub._loop)


@contextmanager
def console(
    access: PlayAccess,
    settings: ConsoleSettings,
    cameras: Collection[str] | None = None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Console]:
    """A console on a free port of this machine."""
    hub, told = Hub(settings, cameras), Told()
    with (
        served(create_app(settings, hub, access, told, facts), settings) as at,
        httpx.Client(base_url=at.address, headers={"Origin": at.address.rstrip("/")}) as client,
    ):
        yield Console(hub, access, told, at.address, client)


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
