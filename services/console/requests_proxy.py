"""Passes requests for footage on to disclosure's own process, which alone holds keys to originals.

A browser reaches one prefix there, by a few methods, and nothing else; only the headers named here cross, either way.
"""

import contextlib
import logging
import re
import ssl
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from services.accounts.model import Role
from services.accounts.web import BODY_MAX, COOKIE, CSRF_HEADER, allows
from services.console.settings import ConsoleSettings

PREFIX = "/api/v1/requests"
METHODS = ("GET", "POST", "PUT")
ROLES = (Role.OFFICER, Role.APPROVER, Role.AUDITOR)
"""Who gets as far as disclosure, which asks again, and more precisely."""

ANSWER_MAX = 64 << 30
"""Bytes of one answer: a package of a day's footage is far smaller."""

_log = logging.getLogger(__name__)

_PART = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_QUERY = re.compile(rb"[!-~]{0,4096}")
_CONNECTIONS = 64
_CONNECT_S = 3.0
_ASKED = ("accept", "content-type", "range", "authorization", "idempotency-key", CSRF_HEADER.lower())
_ANSWERED = ("content-type", "content-length", "content-disposition", "content-range", "accept-ranges", "retry-after")
_TYPES = frozenset(
    ("application/json", "application/zip", "image/jpeg", "text/html", "text/plain", "text/csv", "video/mp4")
)


class RequestsProxy:
    """The endpoints below /api/v1/requests, as long as disclosure runs elsewhere.

    Args:
        settings: of the console; `disclosure_url` says where disclosure is.
    """

    def __init__(self, settings: ConsoleSettings) -> None:
        self._there = httpx.URL(settings.disclosure_url) if settings.disclosure_url else None
        slow = settings.disclosure_timeout_s
        self._timeout = httpx.Timeout(slow, connect=min(_CONNECT_S, slow)).as_dict()
        # Not a client: that would keep the cookies of one account for the next, follow redirects, and heed the
        # environment's proxies.
        self._transport = httpx.AsyncHTTPTransport(
            verify=_trusted(settings), trust_env=False, limits=httpx.Limits(max_connections=_CONNECTIONS)
        )
        self.router = APIRouter(lifespan=self._running)
        for method in METHODS:
            for name, path in (("all", PREFIX), ("one", f"{PREFIX}/{{rest:path}}")):
                self.router.add_api_route(
                    path,
                    self.pass_on,
                    methods=[method],
                    operation_id=f"{method.lower()}_requests_{name}",
                    response_class=StreamingResponse,
                    **allows(*ROLES, answers={502: "Disclosure's answer makes no sense.", 504: "It took too long."}),
                )

    async def pass_on(self, request: Request) -> StreamingResponse:
        """Asks disclosure the same, and gives its answer as it comes."""
        asked = await self._asked(request)
        try:
            answer = await self._transport.handle_async_request(asked)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise HTTPException(503, "Requests can't be worked on now: disclosure can't be reached.") from None
        except httpx.TimeoutException:
            raise HTTPException(504, "Disclosure took too long to answer: try again.") from None
        except httpx.HTTPError as error:
            _log.warning("disclosure's answer can't be read: %s", type(error).__name__)
            raise HTTPException(502, "Disclosure's answer can't be read: try again.") from None
        return await _answered(answer)

    async def _asked(self, request: Request) -> httpx.Request:
        if self._there is None:
            raise HTTPException(503, "No requests are worked on here: VEIL_CONSOLE_DISCLOSURE_URL names no disclosure.")
        target = _target(request)
        body = await _body(request) if request.method in ("POST", "PUT") else b""
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        # No compression: what comes is passed on as it is, with its length.
        headers |= {"host": self._there.netloc.decode(), "accept-encoding": "identity"}
        if COOKIE in request.cookies:
            headers["cookie"] = f"{COOKIE}={request.cookies[COOKIE]}"
        return httpx.Request(
            request.method,
            self._there.copy_with(raw_path=target),
            headers=headers,
            content=body,
            extensions={"timeout": self._timeout},
        )

    @contextlib.asynccontextmanager
    async def _running(self, _: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self._transport.aclose()


def _target(request: Request) -> bytes:
    """Path and query as they came, where nothing in them could mean another place. Raises 404."""
    path = bytes(request.scope.get("raw_path") or request.scope["path"].encode())
    query = bytes(request.scope["query_string"])
    rest = path.removeprefix(PREFIX.encode())
    parts = rest.split(b"/")[1:]
    if rest == path or not all(_PART.fullmatch(part) for part in parts) or not _QUERY.fullmatch(query):
        raise HTTPException(404, "There is no such address.")
    return path + b"?" + query if query else path


async def _body(request: Request) -> bytes:
    """All of what was sent. Raises 413."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > BODY_MAX:
            raise HTTPException(413, "The body is too large.")
    return bytes(taken)


async def _answered(answer: httpx.Response) -> StreamingResponse:
    """The answer, without what concerns only the two processes. Raises 502 where it is none of disclosure's."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().casefold()
    empty = answer.status_code == HTTPStatus.NO_CONTENT
    length = answer.headers.get("content-length", "0")
    known = (empty or kind in _TYPES) and "content-encoding" not in answer.headers
    if answer.is_redirect or not known or not length.isdecimal() or int(length) > ANSWER_MAX:
        await answer.aclose()
        _log.warning("disclosure answered %d with %r, which is not passed on", answer.status_code, kind)
        raise HTTPException(502, "Disclosure's answer makes no sense: see the console's log.")
    headers = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    if kind == "text/html":
        # A page of its own, to be kept or printed; never one of the console's.
        headers.setdefault("content-disposition", "attachment")
    return StreamingResponse(_stream(answer), answer.status_code, headers)


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes as they come. What breaks off is broken off, so that it is never taken for whole."""
    size = 0
    try:
        async for chunk in answer.aiter_raw():
            size += len(chunk)
            if size > ANSWER_MAX:
                raise httpx.RemoteProtocolError("the answer is too large")
            yield chunk
    finally:
        await answer.aclose()


def _trusted(settings: ConsoleSettings) -> ssl.SSLContext:
    """The certificates that disclosure is believed by. Raises OSError where the file can't be read."""
    if settings.disclosure_ca_file is None:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=settings.disclosure_ca_file)
