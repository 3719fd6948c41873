"""The console as one application: the page, its API, and what guards both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI

from services.accounts.routes import account_routes
from services.accounts.web import BODY_MAX, Gate, check_rules, install
from services.audit.log import Tell
from services.console import pages
from services.console.hub import Hub
from services.console.layouts import Layouts
from services.console.live_api import Live
from services.console.security import Secured
from services.console.settings import ConsoleSettings


def create_app(
    settings: ConsoleSettings,
    hub: Hub,
    gate: Gate,
    tell: Tell,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """The application. Raises ValueError where a route does not say who may use it.

    Args:
        settings: of the console.
        hub: has the cameras; runs while the application does.
        gate: accounts and sessions.
        tell: takes what goes into the audit.
        facts: camera_id → what is known of it beside its condition, as JSON.
        routers: further endpoints under /api/v1, each with `allows(…)` of services/accounts/web.py.
    """

    @contextlib.asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(hub.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    app = FastAPI(
        title="Veil's console",
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        max_body_size=BODY_MAX,
    )
    install(app, gate)
    live = Live(settings, hub, tell, facts or {})
    layouts = Layouts(gate.accounts.database)
    for each in (account_routes(), live.router, layouts.router, *routers, pages.router()):
        app.include_router(each)
    check_rules(app)
    # The last one added is the first that a request meets, and the last that an answer does.
    app.add_middleware(Secured, secure=settings.secure)
    return app
