"""Puts the routes of requests into an app, its own or the console's."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from services import __version__
from services.accounts.routes import account_routes
from services.accounts.web import BODY_MAX, Gate, check_rules, install, public, tells
from services.disclosure.errors import Conflict, DisclosureError, Invalid, NotAllowed, Unavailable, Unknown
from services.disclosure.rest.counter import Counter
from services.disclosure.rest.routes import request_routes
from services.disclosure.verify import PackageError

_STATUS: Mapping[type[DisclosureError], HTTPStatus] = {
    Unknown: HTTPStatus.NOT_FOUND,
    NotAllowed: HTTPStatus.FORBIDDEN,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Conflict: HTTPStatus.CONFLICT,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_ABOUT = """Gives a person their own footage with everyone else masked: file, find, choose, submit, approve, render,
look, package, hand over.

Log in by `POST /session`, or send a token (`Authorization: Bearer …`). Whatever changes a request names the `version`
that it was looked at in, and gets 409 where somebody else was faster. What takes long is a job: 202, and its progress
under `jobs`. Every error is `{"error": "one sentence"}`."""


def install_requests(app: FastAPI, counter: Counter, errors: tuple[type[Exception], ...] = ()) -> None:
    """Adds the routes of requests to an app with accounts (`services.accounts.web.install`).

    Args:
        app: such as the console's.
        counter: does what they ask for.
        errors: of the footage: their text is one sentence that may be shown.
    """
    app.state.veil_counter = counter
    tells(app, DisclosureError, lambda error: _STATUS.get(type(error), HTTPStatus.BAD_REQUEST))
    tells(app, PackageError, lambda _: HTTPStatus.UNPROCESSABLE_ENTITY)
    for kind in errors:
        tells(app, kind, lambda _: HTTPStatus.SERVICE_UNAVAILABLE)
    app.include_router(request_routes())


def request_app(
    gate: Gate,
    counter: Counter,
    errors: tuple[type[Exception], ...] = (),
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The API of requests and accounts as an app of its own; the last argument runs beside it."""
    app = FastAPI(
        title="Veil disclosure",
        version=__version__,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=BODY_MAX,
        lifespan=lifespan,
    )
    install(app, gate)
    app.include_router(account_routes())
    install_requests(app, counter, errors)

    @app.get("/api/v1/openapi.json", include_in_schema=True, tags=["about"], **public())
    def openapi() -> JSONResponse:
        """The description of all routes (OpenAPI 3.1)."""
        return JSONResponse(app.openapi())

    check_rules(app)
    return app
