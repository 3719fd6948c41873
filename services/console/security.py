"""What every answer of the console carries, and what it refuses before anything looks at a request."""

import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console import metrics

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""No inline script or style, no eval, nothing from elsewhere, in no frame; video through blob: addresses only."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=(), payment=(), usb=()",
}
_A_YEAR = "max-age=31536000"
_SAFE = ("GET", "HEAD", "OPTIONS")
_SESSION = "/api/v1/session"
_ADDRESSES_MAX = 10_000


class Secured:
    """Headers on every answer; cookies are of use to pages of the console's own origin only.

    Nothing but the built files may be kept by a browser, and what it kept is cleared when a session ends.

    Args:
        app: what is inside.
        secure: browsers reach the console over TLS.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app, self._secure = app, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if changes and not _is_own(scope):
            metrics.REFUSED.labels("origin").inc()
            await _refuse(scope, receive, self._with_headers(scope, send), 403, "This page is not the console's own.")
            return
        await self._app(scope, receive, self._with_headers(scope, send))

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(scope, message)
            await send(message)

        return sending

    def _add(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if self._secure:
            headers["Strict-Transport-Security"] = _A_YEAR
        if scope["path"] == _SESSION and scope["method"] == "DELETE" and message["status"] < 300:
            # Not "cookies": that would end the sessions of whatever else runs on this host.
            headers["Clear-Site-Data"] = '"cache", "storage"'


class Limited:
    """So many requests from one address: an allowance that fills up again with time.

    Args:
        app: what is inside.
        per_s: requests a second on average.
        burst: requests at once.
        clock: seconds that only rise.
    """

    def __init__(self, app: ASGIApp, *, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._per_s, self._burst, self._clock = app, per_s, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what is within the allowance."""
        if scope["type"] in ("http", "websocket") and not self._allows(HTTPConnection(scope)):
            metrics.REFUSED.labels("rate").inc()
            await _refuse(scope, receive, send, 429, "Too many requests: wait a moment.")
            return
        await self._app(scope, receive, send)

    def _allows(self, connection: HTTPConnection) -> bool:
        address = connection.client.host if connection.client else ""
        now = self._clock()
        left, at = self._left.pop(address, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._per_s)
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, now)
        while len(self._left) > _ADDRESSES_MAX:
            self._left.popitem(last=False)
        return allowed


def _is_own(scope: Scope) -> bool:
    """Whether a page of this very origin asks, or a program that is no browser and sends no cookie by itself."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return scope["type"] == "http" and headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    return urlsplit(origin).netloc == headers.get("host")


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        # Before the handshake is accepted this is HTTP's 403.
        await send({"type": "websocket.close", "code": 1008, "reason": sentence})
        return
    await JSONResponse({"error": sentence}, status)(scope, receive, send)
