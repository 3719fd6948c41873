"""What every web app here needs of accounts: who asks, what they may, safe headers, and errors in one sentence.

`install` puts it into an app. Each route says who may use it, by `allows` or `public`, and `check_rules` refuses an
app with a route that doesn't.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.accounts.accounts import Accounts
from services.accounts.errors import (
    AccountError,
    Conflict,
    Invalid,
    NotAllowed,
    Refused,
    TooMany,
    Unavailable,
    Unknown,
)
from services.accounts.model import Account, Role
from services.accounts.oidc import Provider
from services.accounts.rate import Rate
from services.accounts.secrets import csrf_of, same
from services.accounts.tries import network_of

COOKIE = "veil_session"
CSRF_HEADER = "X-Veil-CSRF"
ROLES_KEY = "x-veil-roles"
"""In OpenAPI: the roles that may use a route; `anyone` for who has not logged in, `anybody` for who has."""

BODY_MAX = 1 << 20
"""Bytes of a request's body; for `FastAPI(max_body_size=…)`."""

_ERROR = {"$ref": "#/components/schemas/ErrorOut"}
_log = logging.getLogger(__name__)

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Of one address, behind which a whole office may sit.
_ADDRESS_SHARE = 10
_MINUTE_S = 60
_HEADERS: Mapping[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
_HSTS = b"max-age=31536000"
_STATUS: Mapping[type[AccountError], HTTPStatus] = {
    Refused: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    Unknown: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class ErrorOut(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"error": "Log in first."}]})

    error: str = Field(description="One sentence.")


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorOut, "description": "What was sent can't be read."},
    413: {"model": ErrorOut, "description": "The body is too large."},
    422: {"model": ErrorOut, "description": "A value is missing or makes no sense."},
    429: {"model": ErrorOut, "description": "Too many requests or tries; `Retry-After` says how long to wait."},
    503: {"model": ErrorOut, "description": "A database, the originals or the identity provider can't be reached."},
}
"""Answers that every route may give."""

_CLOSED: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorOut, "description": "There is no session or token, or it is over."},
    403: {"model": ErrorOut, "description": "The account's roles, or the request's state, do not allow it."},
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        account: with the roles that count now.
        by: what shows it.
        secret: the session's token, or the script's.
    """

    account: Account
    by: Literal["session", "token"]
    secret: str


class Gate:
    """Accounts, as an app asks for them.

    Args:
        accounts: of the house.
        provider: for single sign-on, if there is one.
        secure: whether browsers reach the app by https; False only on loopback.
    """

    def __init__(self, accounts: Accounts, provider: Provider | None = None, *, secure: bool = True) -> None:
        self.accounts, self.provider, self.secure = accounts, provider, secure
        per_minute = accounts.settings.requests_per_minute
        self.of_accounts, self.of_addresses = Rate(per_minute), Rate(per_minute * _ADDRESS_SHARE)

    def caller_of(self, connection: HTTPConnection) -> Caller:
        """Who asks; a token counts before a cookie. Raises Refused, NotAllowed, TooMany."""
        known = getattr(connection.state, "veil_caller", None)
        if isinstance(known, Caller):
            return known
        caller = self._shown(connection)
        self.of_accounts.take(caller.account.id)
        connection.state.veil_caller = caller
        return caller

    def _shown(self, connection: HTTPConnection) -> Caller:
        header = connection.headers.get("authorization")
        if header is not None:
            kind, _, secret = header.partition(" ")
            account = self.accounts.tokens.find(secret.strip()) if kind.casefold() == "bearer" else None
            if account is None:
                raise Refused("The token is not known, or is over.")
            return Caller(account, "token", secret.strip())
        secret = connection.cookies.get(COOKIE, "")
        account = self.accounts.sessions.find(secret)
        if account is None:
            raise Refused("Log in first.")
        _check_origin(connection, secret)
        return Caller(account, "session", secret)


def gate_of(connection: HTTPConnection) -> Gate:
    """The gate of the app that is asked."""
    gate = connection.app.state.veil_gate
    if not isinstance(gate, Gate):
        raise TypeError("install() was not called")
    return gate


def caller_of(connection: HTTPConnection) -> Caller:
    """A dependency: who asks, and what shows it."""
    return gate_of(connection).caller_of(connection)


def account_of(connection: HTTPConnection) -> Account:
    """A dependency, for requests and WebSockets: who asks. Raises Refused, NotAllowed, TooMany."""
    return caller_of(connection).account


Who = Annotated[Account, Depends(account_of)]
"""The account that asks, as a parameter of a route."""
By = Annotated[Caller, Depends(caller_of)]

_cookie = APIKeyCookie(
    name=COOKIE, scheme_name="session", auto_error=False, description=f"Of POST /api/v1/session; with {CSRF_HEADER}."
)
_bearer = HTTPBearer(scheme_name="token", auto_error=False, description="A token for scripts.")


class _Guard:
    """A dependency that lets only some roles through."""

    def __init__(self, roles: frozenset[Role], *, session: bool) -> None:
        self._roles, self._session = roles, session

    def __call__(
        self,
        request: Request,
        _by_cookie: Annotated[str | None, Security(_cookie)] = None,
        _by_token: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    ) -> None:
        caller = caller_of(request)
        if self._roles and not caller.account.may(*self._roles):
            raise NotAllowed(f"That is for {' or '.join(sorted(self._roles))} only.")
        if self._session and caller.by != "session":
            raise NotAllowed("A token can't do that: log in with your password.")


def allows(*roles: Role, session: bool = False, answers: Mapping[int, str] | None = None) -> dict[str, Any]:
    """Of a route: which roles may use it, as keywords of `@router.get(…)`.

    Args:
        roles: any of them; none: everybody who has logged in.
        session: whether a browser's session is needed, and a script's token is not enough.
        answers: further statuses that it answers with an error, and when.
    """
    further = {status: {"model": ErrorOut, "description": says} for status, says in (answers or {}).items()}
    return {
        "dependencies": [Depends(_Guard(frozenset(roles), session=session))],
        "openapi_extra": {ROLES_KEY: sorted(roles) or ["anybody"], "x-veil-session": session},
        "responses": {**ERRORS, **_CLOSED, **further},
    }


def public(answers: Mapping[int, str] | None = None) -> dict[str, Any]:
    """Of a route: anyone may use it, without logging in."""
    further = {status: {"model": ErrorOut, "description": says} for status, says in (answers or {}).items()}
    return {"openapi_extra": {ROLES_KEY: ["anyone"]}, "responses": {**ERRORS, **further}}


def files(rules: Mapping[str, Any], kind: str, says: str, status: int = 200) -> dict[str, Any]:
    """Of a route that answers with something else than JSON, though its errors are JSON all the same.

    Args:
        rules: of `allows` or `public`.
        kind: media type of what it answers; "" for none.
        says: what that is.
        status: of that answer.
    """
    errors = {
        code: {"description": given["description"], "content": {"application/json": {"schema": _ERROR}}}
        for code, given in rules["responses"].items()
    }
    good = {status: {"description": says, "content": {kind: {}} if kind else {}}}
    return {**rules, "status_code": status, "response_class": _OfItsOwn, "responses": {**errors, **good}}


class _OfItsOwn(Response):
    """Has no media type, so that descriptions say it themselves."""

    media_type = None


def install(app: FastAPI, gate: Gate) -> None:
    """Puts accounts into an app: who asks, errors, headers and rates. The routes are in `routes`."""
    app.state.veil_gate = gate
    app.add_middleware(_Safety, gate=gate)
    tells(app, AccountError, lambda error: _STATUS.get(type(error), HTTPStatus.BAD_REQUEST))
    app.add_exception_handler(RequestValidationError, _of_values)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_anything)


def tells(app: FastAPI, kind: type[Exception], status: Callable[[Any], int]) -> None:
    """Answers errors of a kind with their sentence; `status` says with which status."""

    def handler(_request: Request, error: Exception) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooMany) else None
        return said(status(error), str(error), headers)

    app.add_exception_handler(kind, handler)


def said(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as every route gives it."""
    return JSONResponse({"error": sentence}, int(status), headers)


def check_rules(app: FastAPI) -> None:
    """Raises ValueError where an operation of an app's OpenAPI does not say who may use it."""
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            if ROLES_KEY not in operation:
                raise ValueError(f"{method.upper()} {path} does not say who may use it.")


def set_cookie(response: Any, gate: Gate, token: str) -> None:
    """Gives the browser its session; it ends with the browser, or earlier."""
    response.set_cookie(COOKIE, token, path="/", secure=gate.secure, httponly=True, samesite="strict")


def address_of(connection: HTTPConnection) -> str:
    """From where somebody asks; behind a proxy, what the server believes of it."""
    return connection.client.host if connection.client is not None else "unknown"


def _check_origin(connection: HTTPConnection, token: str) -> None:
    """A cookie comes along with whatever a foreign page asks: it alone changes nothing, and opens no WebSocket."""
    if connection.scope["type"] == "websocket":
        origin = connection.headers.get("origin", "")
        if origin.partition("://")[2] != connection.headers.get("host"):
            raise NotAllowed("A page of another address can't do that.")
    elif connection.scope["method"] not in _SAFE_METHODS and not same(
        connection.headers.get(CSRF_HEADER, ""), csrf_of(token)
    ):
        raise NotAllowed(f"The header {CSRF_HEADER} is missing or wrong: GET /api/v1/session tells it.")


class _Safety:
    """Middleware: safe headers where a route sets none of its own, and a rate for each address."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate
        self._headers = dict(_HEADERS)
        if gate.secure:
            self._headers[b"strict-transport-security"] = _HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                missing = [(name, value) for name, value in self._headers.items() if name not in there]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        try:
            self._gate.of_addresses.take(network_of(address_of(HTTPConnection(scope))))
        except TooMany as error:
            answer = said(429, str(error), {"Retry-After": str(error.retry_after_s)})
            await answer(scope, receive, safely)
            return
        await self._app(scope, receive, safely)


def _of_values(_request: Request, error: Exception) -> JSONResponse:
    """Which value makes no sense; never the value itself, which may be a password."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": "makes no sense"}
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "The body"
    return said(422, f"{where}: {str(first['msg']).removeprefix('Value error, ')}.")


def _of_http(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return said(500, "Something went wrong here.")
    sentence = str(error.detail).rstrip(".")
    return said(error.status_code, f"{sentence}.", error.headers)


def _of_anything(_request: Request, error: Exception) -> JSONResponse:
    _log.error("a request failed: %s", type(error).__name__, exc_info=error)
    return said(500, "Something went wrong here.")
