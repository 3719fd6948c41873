"""The console as one application: the page, its API, and what guards both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from services.console import pages
from services.console.access import Access, NotLoggedIn, Tell
from services.console.hub import Hub
from services.console.live_api import Live
from services.console.security import Limited, Secured
from services.console.settings import ConsoleSettings


def create_app(
    settings: ConsoleSettings,
    hub: Hub,
    access: Access,
    tell: Tell,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """The application.

    Args:
        settings: of the console.
        hub: has the cameras; runs while the application does.
        access: accounts and sessions.
        tell: takes what goes into the audit.
        facts: camera_id → what is known of it beside its condition, as JSON.
        routers: further endpoints under /api/v1, which look after their own rights.
    """

    @contextlib.asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(hub.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    app = FastAPI(title="Veil's console", lifespan=running, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(NotLoggedIn, _not_logged_in)
    for each in (access.router, Live(settings, hub, access, tell, facts or {}).router, *routers, pages.router()):
        app.include_router(each)
    # The last one added is the first that a request meets.
    app.add_middleware(Limited, per_s=settings.requests_per_s, burst=settings.requests_burst)
    app.add_middleware(Secured, secure=settings.secure)
    return app


async def _told(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101, what the handler was added for
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _unreadable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101, what the handler was added for
    where = ", ".join(sorted({".".join(map(str, each["loc"][1:])) or "body" for each in error.errors()}))
    return JSONResponse({"error": f"What was asked can't be read: {where}."}, 422)


async def _not_logged_in(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"error": "Log in first."}, 401)
