"""Live pictures: which cameras there are, how they are, and their video over one WebSocket for each page."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.clock import now_us
from services.console import metrics
from services.console.access import Access, NotLoggedIn, Tell, Viewer
from services.console.hub import Hub
from services.console.settings import ConsoleSettings
from services.console.viewer import FEEDS_MAX, TooSlow, ViewerQueue, condition_of

_log = logging.getLogger(__name__)

# WebSocket codes of an application, from 4000 on, with the numbers of HTTP in them.
LOGIN, FORBIDDEN, TOO_MANY, UNREADABLE, BEHIND = 4401, 4403, 4429, 4400, 4408
_WORDS_MOST = 16 << 10

_CameraId = Field(min_length=1, max_length=64)


class _Wish(BaseModel):
    """What a browser says. All fields may be left out.

    Attributes:
        follow: cameras whose condition it wants to be told.
        watch: those of them whose video it wants.
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
        access: says who asks.
        tell: writes down who looked at what.
        facts: camera_id → what is known of it beside its condition, as JSON.
    """

    def __init__(
        self, settings: ConsoleSettings, hub: Hub, access: Access, tell: Tell, facts: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._settings, self._hub, self._access, self._tell, self._facts = settings, hub, access, tell, facts
        self.router = APIRouter(prefix="/api/v1")
        self.router.add_api_route("/cameras", self.cameras, methods=["GET"])
        self.router.add_api_route("/cameras/{camera_id}", self.camera, methods=["GET"])
        self.router.add_api_websocket_route("/live", self.live)

    def cameras(self, request: Request) -> list[dict[str, Any]]:
        """The cameras that the account may see, by id."""
        viewer = self._access.viewer_of(request)
        return [self._described(each) for each in sorted(self._hub.channels) if viewer.may_see(each)]

    def camera(self, camera_id: str, request: Request) -> dict[str, Any]:
        """One camera."""
        self._check(self._access.viewer_of(request), (camera_id,))
        return self._described(camera_id)

    async def live(self, socket: WebSocket) -> None:
        """A WebSocket that gives the video of the cameras a browser names, for as long as its session lasts."""
        try:
            viewer = await run_in_threadpool(self._access.viewer_of, socket)
        except NotLoggedIn:
            await socket.close(LOGIN)
            return
        await socket.accept()
        if self._hub.viewers >= self._settings.viewers_max:
            await socket.close(TOO_MANY, "Too many viewers.")
            return
        await _Connection(self, socket, viewer).run()

    def _described(self, camera_id: str) -> dict[str, Any]:
        channel = self._hub.channels[camera_id]
        return {**condition_of(camera_id, channel.condition), **self._facts.get(camera_id, {})}

    def _check(self, viewer: Viewer, camera_ids: Collection[str]) -> None:
        """Raises 403, for a camera that isn't there as for one that is not theirs: nobody learns which there are."""
        for camera_id in camera_ids:
            if camera_id not in self._hub.channels or not viewer.may_see(camera_id):
                metrics.REFUSED.labels("camera").inc()
                self._tell("view.refused", viewer, {"camera": camera_id[:64]})
                raise HTTPException(403, "Your account may not see this camera.")


class _Connection:
    """One browser's WebSocket."""

    def __init__(self, live: Live, socket: WebSocket, viewer: Viewer) -> None:
        self._live, self._socket, self._viewer = live, socket, viewer
        settings = live._settings
        self._queue = ViewerQueue(settings.viewer_mb << 20, settings.window_kb << 10)
        self._told: set[str] = set()

    async def run(self) -> None:
        """Sends, listens and looks the session up until one of them ends it."""
        hub = self._live._hub
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
            except (WebSocketDisconnect, KeyError):
                return 1000, ""
            try:
                await self._heed(_Wish.model_validate_json(text[:_WORDS_MOST]))
            except HTTPException as refusal:
                return FORBIDDEN, str(refusal.detail)
            except (ValidationError, ValueError):
                return UNREADABLE, "What the browser said can't be read."

    async def _heed(self, wish: _Wish) -> None:
        named = {*(wish.follow or ()), *(wish.watch or ())}
        if named:
            await run_in_threadpool(self._live._check, self._viewer, named)
        channels = self._live._hub.channels
        if wish.follow is not None:
            self._queue.follow(channels[each] for each in dict.fromkeys(wish.follow))
        if wish.watch is not None:
            self._queue.watch(channels[each] for each in dict.fromkeys(wish.watch))
            await self._note(wish.watch)
        if wish.came is not None:
            self._queue.came(wish.came)
        if wish.ping is not None:
            self._queue.say({"pong": wish.ping, "now_us": now_us()})

    async def _note(self, camera_ids: Collection[str]) -> None:
        """Who looks at which camera is an event, once for each time the page is opened."""
        new = {*camera_ids} - self._told
        self._told |= new
        for camera_id in sorted(new):
            await run_in_threadpool(self._live._tell, "view", self._viewer, {"camera": camera_id})

    async def _watch_session(self) -> tuple[int, str]:
        """Ends the connection when the session ends, or the account no longer has what it watches."""
        while True:
            await asyncio.sleep(self._live._settings.account_check_s)
            try:
                self._viewer = await run_in_threadpool(self._live._access.viewer_of, self._socket)
            except NotLoggedIn:
                return LOGIN, "The session has ended."
            if not all(self._viewer.may_see(each) for each in self._queue.cameras | self._queue.followed):
                return FORBIDDEN, "Your account may not see this camera any more."
