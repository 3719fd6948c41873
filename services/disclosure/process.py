"""`veil service disclosure`: the API of requests and accounts as a process of its own."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from services.accounts.accounts import Accounts
from services.accounts.errors import AccountError
from services.accounts.oidc import Provider
from services.accounts.settings import AccountSettings
from services.accounts.web import Gate
from services.audit.publish import publishing
from services.bus.kafka_settings import KafkaSettings
from services.disclosure.desk import Desk
from services.disclosure.errors import DisclosureError
from services.disclosure.opening import open_desk
from services.disclosure.request import Actor
from services.disclosure.rest.app import request_app
from services.disclosure.rest.counter import Counter, Rooms
from services.disclosure.rest.jobs import Jobs
from services.disclosure.rest.keys import WORDS, FilingKeys
from services.disclosure.rest.settings import ApiSettings
from services.disclosure.settings import DisclosureSettings
from services.policy.problems import ConfigError
from services.runtime.health import HealthServer, Heartbeat
from services.runtime.lifecycle import stop_on_signals
from services.runtime.logs import configure_logs
from services.runtime.service import ServiceError, ServiceSettings, kafka_bus
from services.sql import Database, parsed
from services.startup import site_of
from services.vault.errors import VaultError
from services.vault.vault import open_vault

_log = logging.getLogger(__name__)

_NAME = "disclosure"
_BEAT_S = 1.0
_STOP_S = 10
_EXPIRES = Actor(who="veil", why="its time is over", role="service")
_PREFIXES = {
    "DisclosureSettings": "VEIL_DISCLOSURE_",
    "AccountSettings": "VEIL_ACCOUNTS_",
    "KafkaSettings": "VEIL_KAFKA_",
    "ServiceSettings": "VEIL_SERVICE_",
}
_FIRST = "there is no account yet: veil accounts add NAME --role admin makes the first"


class StartError(Exception):
    """The API can't start as it is set up; one sentence."""


_KEEPS_FROM_STARTING = (
    StartError,
    AccountError,
    DisclosureError,
    VaultError,
    ConfigError,
    ServiceError,
    ValidationError,
    OSError,
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def run() -> int:
    """Serves the API until SIGTERM or SIGINT. To be called in the main thread. Returns the exit status."""
    try:
        settings, service = ApiSettings(), ServiceSettings()
    except ValidationError as error:
        configure_logs()
        _log.error("%s can't start: %s", _NAME, _sentence(error))
        return 1
    configure_logs(service.log_level, as_json=service.log_json)
    try:
        # The server takes signals while it runs, and raises them again afterwards: without a handler of ours that would
        # end the process before what was opened is closed.
        with stop_on_signals() as stop, _opened(settings, service) as (server, listening):
            if not stop.is_set():
                server.run([listening])
    except _KEEPS_FROM_STARTING as error:
        _log.error("%s can't start: %s", _NAME, _sentence(error))
        return 1
    _log.info("%s has stopped", _NAME)
    return 0


@contextmanager
def _opened(settings: ApiSettings, service: ServiceSettings) -> Iterator[tuple[uvicorn.Server, socket.socket]]:
    """Everything that the API needs, while the block runs."""
    of_accounts, kafka = AccountSettings(), KafkaSettings()
    name_of = _site_of(service)
    with closing(Accounts(of_accounts)) as accounts, closing(Jobs(settings.jobs, (VaultError,))) as jobs:
        desk = open_desk(DisclosureSettings(), open_vault())  # type: ignore[call-arg, unused-ignore]
        keys = FilingKeys(Database(parsed(of_accounts.database, WORDS, of_accounts.database_password_file), WORDS))
        provider = Provider(of_accounts, accounts.database, accounts.clock) if of_accounts.oidc_issuer else None
        gate = Gate(accounts, provider, secure=settings.secure)
        beat = Heartbeat()
        app = request_app(gate, Counter(Rooms(desk, accounts, jobs, keys, name_of)), (VaultError,), _beating(beat))
        if accounts.book.is_empty():
            _log.warning("%s", _FIRST)
        with (
            closing(HealthServer({_NAME: beat}, service.health_port, service.health_host)) as health,
            closing(_listen(settings)) as listening,
            _expiring(desk, settings.expire_every_s),
            _publishing(desk, accounts, kafka),
        ):
            scheme = "https" if settings.certificate is not None else "http"
            port = listening.getsockname()[1]
            _log.info("%s listens on %s://%s:%d; health on port %d", _NAME, scheme, settings.host, port, health.port)
            yield _server(app, settings), listening


def _site_of(service: ServiceSettings) -> Callable[[str], str]:
    """The site of a camera, for accounts that see a site as a whole: that of the site file, for its cameras."""
    if service.site is None:
        return lambda _: ""
    site = site_of(service)
    return lambda camera: site.config.name if camera in site.policies else ""


def _publishing(desk: Desk, accounts: Accounts, kafka: KafkaSettings) -> AbstractContextManager[None]:
    """Brings events of requests and accounts to the topic audit, where a broker is named; the vault brings its own."""
    if "bootstrap" not in kafka.model_fields_set:
        _log.info("audit events stay in their tables: VEIL_KAFKA_BOOTSTRAP names no broker")
        return nullcontext()
    return publishing([desk.store, accounts.log], kafka_bus, (DisclosureError, AccountError))


def _server(app: FastAPI, settings: ApiSettings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        # Addresses of requests hold codes of single sign-on.
        access_log=False,
        server_header=False,
        ws="none",
        # Without a proxy that was named, anybody could say that they come from elsewhere.
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies or None,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.certificate_key,
        limit_concurrency=settings.connections_max,
        timeout_graceful_shutdown=_STOP_S,
    )
    try:
        config.load()
    except OSError as error:
        raise StartError(f"the certificate can't be used: {(error.strerror or str(error)).lower()}") from None
    return uvicorn.Server(config)


def _listen(settings: ApiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise StartError(f"it can't listen on {where}: {(error.strerror or 'failed').lower()}") from None


def _beating(beat: Heartbeat) -> Lifespan:
    """The loop that answers requests says that it turns."""

    async def beats() -> None:
        while True:
            beat.beat()
            await asyncio.sleep(_BEAT_S)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(beats())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return lifespan


@contextmanager
def _expiring(desk: Desk, every_s: float) -> Iterator[None]:
    """Takes back what has expired, now and then, in a thread of its own."""
    stop = threading.Event()

    def expires() -> None:
        while True:
            try:
                desk.expire(_EXPIRES)
            except (DisclosureError, OSError) as error:
                _log.warning("what has expired could not be taken back: %s", error)
            if stop.wait(every_s):
                return

    thread = threading.Thread(target=expires, name="expiry", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_STOP_S)


def _sentence(error: Exception) -> str:
    if isinstance(error, ConfigError):
        return "; ".join(str(problem) for problem in error.problems)
    if not isinstance(error, ValidationError):
        return str(error).removesuffix(".")
    prefix = _PREFIXES.get(error.title, "VEIL_API_")
    found = []
    for problem in error.errors():
        name = f"{prefix}{str(problem['loc'][0]).upper()}: " if problem["loc"] else ""
        found.append(name + problem["msg"].removeprefix("Value error, "))
    return "; ".join(found)
