"""What every answer of the console carries, and what it refuses before anything looks at a request."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
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


class Secured:
    """Headers on every answer; cookies are of use to pages of the console's own origin only.

    Nothing but the built files may be kept by a browser. What concerns accounts (sessions, roles, tokens against forged
    requests, rates) is in services/accounts.

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
            await _refuse(scope, receive, self._with_headers(send), 403, "This page is not the console's own.")
            return
        await self._app(scope, receive, self._with_headers(send))

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(message)
            await send(message)

        return sending

    def _add(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if self._secure:
            headers["Strict-Transport-Security"] = _A_YEAR


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
