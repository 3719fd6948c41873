"""Live pictures: which cameras there are, how they are, and their video over one WebSocket for each page."""

import asyncio
import contextlib
import io
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import av
import cv2
from fastapi import APIRouter, HTTPException, Path, Response, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.accounts.errors import AccountError, NotAllowed, Refused
from services.accounts.model import Account, Role
from services.accounts.web import Who, account_of, allows
from services.audit.log import Tell
from services.bus.clock import now_us
from services.console import metrics
from services.console.channel import Channel
from services.console.hub import Hub
from services.console.settings import ConsoleSettings
from services.console.viewer import FEEDS_MAX, TooSlow, ViewerQueue, condition_of

# WebSocket codes of an application, from 4000 on, with the numbers of HTTP in them.
LOGIN, FORBIDDEN, TOO_MANY, UNREADABLE, BEHIND = 4401, 4403, 4429, 4400, 4408
LOOKING = (Role.VIEWER, Role.OFFICER, Role.APPROVER)
"""Roles that may look at live pictures; which cameras, is up to the account."""

_JPEG_QUALITY = 85
_NOT_YOURS = "Your account may not see this camera."
_CameraId = Annotated[str, Path(min_length=1, max_length=64)]


class _Wish(BaseModel):
    """What a browser says. All fields may be left out.

    Attributes:
        follow: cameras whose condition it wants to be told.
        watch: cameras whose video it wants.
        came: bytes of video that came since the connection was made.
        ping: a number that comes back with the server's clock.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    follow: list[str] | None = Field(None, max_length=FEEDS_MAX)
    watch: list[str] | None = Field(None, max_length=FEEDS_MAX)
    came: int | None = Field(None, ge=0)
    ping: float | None = None


class Live:
    """The endpoints.

    Args:
        settings: of the console.
        hub: has the cameras.
        tell: writes down who looked at what.
        facts: camera_id → what is known of it beside its condition, as JSON; `site` and `purpose` are used here too.
    """

    def __init__(self, settings: ConsoleSettings, hub: Hub, tell: Tell, facts: Mapping[str, Mapping[str, Any]]) -> None:
        self.settings, self.hub, self._tell, self._facts = settings, hub, tell, facts
        self.router = APIRouter(prefix="/api/v1")
        self.router.add_api_route("/cameras", self.cameras, methods=["GET"], **allows())
        self.router.add_api_route("/cameras/{camera_id}", self.camera, methods=["GET"], **allows())
        self.router.add_api_route("/cameras/{camera_id}/still", self.still, methods=["GET"], **allows(*LOOKING))
        self.router.add_api_websocket_route("/live", self.live)

    def cameras(self, who: Who) -> list[dict[str, Any]]:
        """The cameras that the account may see, by id."""
        return [self._described(each) for each in sorted(self.hub.channels) if self.sees(who, each)]

    def camera(self, camera_id: _CameraId, who: Who) -> dict[str, Any]:
        """One camera."""
        self.check(who, (camera_id,))
        return self._described(camera_id)

    def still(self, camera_id: _CameraId, who: Who) -> Response:
        """The newest keyframe of the masked video as a JPEG; X-Veil-Captured-Us says when it was taken."""
        self.check(who, (camera_id,))
        found = _still(self.hub.channels[camera_id])
        if found is None:
            raise HTTPException(404, "There is no picture of this camera now.")
        self.note(who, (camera_id,))
        jpeg, captured_us = found
        return Response(jpeg, media_type="image/jpeg", headers={"X-Veil-Captured-Us": str(captured_us)})

    async def live(self, socket: WebSocket) -> None:
        """A WebSocket that gives the video of the cameras a browser names, for as long as its session lasts."""
        try:
            account = await run_in_threadpool(self.account_now, socket)
        except AccountError:
            # Before the handshake is accepted, this is HTTP's 403.
            await socket.close()
            return
        await socket.accept()
        if self.hub.viewers >= self.settings.viewers_max:
            await socket.close(TOO_MANY, "Too many viewers.")
            return
        await _Connection(self, socket, account).run()

    def account_now(self, socket: WebSocket) -> Account:
        """Whose WebSocket it is, looked up anew. Raises AccountError where it may not look at live pictures."""
        socket.state._state.pop("veil_caller", None)
        account = account_of(socket)
        if not account.may(*LOOKING):
            raise NotAllowed(_NOT_YOURS)
        return account

    def sees(self, account: Account, camera_id: str) -> bool:
        """Whether there is such a camera, and the account may see it."""
        site = str(self._facts.get(camera_id, {}).get("site", ""))
        return camera_id in self.hub.channels and account.sees(camera_id, site)

    def check(self, account: Account, camera_ids: Collection[str]) -> None:
        """Raises 403, for a camera that isn't there as for one that is not theirs: nobody learns which there are."""
        for camera_id in camera_ids:
            if not self.sees(account, camera_id):
                metrics.REFUSED.labels("camera").inc()
                details = {"object": camera_id[:64], "purpose": "refused"}
                self._tell("live.refused", account.who, details)
                raise HTTPException(403, _NOT_YOURS)

    def note(self, account: Account, camera_ids: Collection[str]) -> None:
        """Writes down who looks at which cameras."""
        for camera_id in sorted(camera_ids):
            purpose = str(self._facts.get(camera_id, {}).get("purpose", "")) or "live monitoring"
            self._tell("live.view", account.who, {"camera": camera_id, "object": camera_id, "purpose": purpose})

    def _described(self, camera_id: str) -> dict[str, Any]:
        channel = self.hub.channels[camera_id]
        return {**condition_of(camera_id, channel.condition), **self._facts.get(camera_id, {})}


class _Connection:
    """One browser's WebSocket."""

    def __init__(self, live: Live, socket: WebSocket, account: Account) -> None:
        self._live, self._socket, self._account = live, socket, account
        self._queue = ViewerQueue(live.settings.viewer_mb << 20, live.settings.window_kb << 10)
        self._noted: set[str] = set()

    async def run(self) -> None:
        """Sends, listens and looks the session up until one of them ends it."""
        hub = self._live.hub
        hub.join(self._queue)
        tasks = [asyncio.create_task(each) for each in (self._send(), self._listen(), self._watch_session())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code, reason = next(iter(done)).result()
        finally:
            hub.leave(self._queue)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it may be gone already
            await self._socket.close(code, reason)

    async def _send(self) -> tuple[int, str]:
        while True:
            try:
                what = await self._queue.next()
            except TooSlow:
                return BEHIND, "This browser is too slow."
            try:
                if isinstance(what, str):
                    await self._socket.send_text(what)
                else:
                    metrics.SENT.inc(len(what))
                    await self._socket.send_bytes(what)
            except (WebSocketDisconnect, RuntimeError):
                return 1000, ""

    async def _listen(self) -> tuple[int, str]:
        while True:
            try:
                text = await self._socket.receive_text()
            except (WebSocketDisconnect, RuntimeError, KeyError):  # gone, found gone by the sender, or no text
                return 1000, ""
            try:
                await self._heed(_Wish.model_validate_json(text))
            except HTTPException as refusal:
                return FORBIDDEN, str(refusal.detail)
            except (ValidationError, ValueError):
                return UNREADABLE, "What the browser said can't be read."

    async def _heed(self, wish: _Wish) -> None:
        if named := {*(wish.follow or ()), *(wish.watch or ())}:
            await run_in_threadpool(self._live.check, self._account, named)
        channels = self._live.hub.channels
        if wish.follow is not None:
            self._queue.follow(channels[each] for each in dict.fromkeys(wish.follow))
        if wish.watch is not None:
            # Once for each time the page is opened; written down before anything is shown.
            new = {*wish.watch} - self._noted
            self._noted |= new
            await run_in_threadpool(self._live.note, self._account, new)
            self._queue.watch(channels[each] for each in dict.fromkeys(wish.watch))
        if wish.came is not None:
            self._queue.came(wish.came)
        if wish.ping is not None:
            self._queue.say({"pong": wish.ping, "now_us": now_us()})

    async def _watch_session(self) -> tuple[int, str]:
        """Ends the connection when the session ends, or the account may no longer see what it watches."""
        while True:
            await asyncio.sleep(self._live.settings.account_check_s)
            try:
                self._account = await run_in_threadpool(self._live.account_now, self._socket)
            except Refused:
                return LOGIN, "The session has ended."
            except AccountError as error:
                return FORBIDDEN, str(error)
            if not all(self._live.sees(self._account, each) for each in self._queue.cameras | self._queue.followed):
                return FORBIDDEN, _NOT_YOURS


def _still(channel: Channel) -> tuple[bytes, int] | None:
    start, keyframe = channel.start, next(iter(channel.group), None)
    if start is None or keyframe is None:
        return None
    with av.open(io.BytesIO(start.data + keyframe.data), "r", format="mp4") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="bgr24")
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return jpeg.tobytes(), keyframe.captured_us
