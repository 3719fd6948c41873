"""The console as a process of its own on Kafka, or beside a line that runs in the same process."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from services.accounts.accounts import Accounts
from services.accounts.errors import AccountError
from services.accounts.settings import AccountSettings
from services.accounts.web import Gate
from services.audit.publish import Publisher
from services.bus.clock import now_us
from services.bus.interface import Bus, BusClosed, BusLost
from services.console import boxes as boxes_of
from services.console import metrics
from services.console.app import create_app
from services.console.boxes import Boxes
from services.console.closures import Closures
from services.console.facts import Facts
from services.console.feeds import BrokerFeed, MemoryFeed
from services.console.hub import Hub
from services.console.policy_api import Policies
from services.console.requests_here import is_set_up, requests_here
from services.console.requests_proxy import RequestsProxy
from services.console.rooms import rooms
from services.console.server import ConsoleError, Served, served
from services.console.settings import ConsoleSettings
from services.policy.site import Site
from services.runtime.health import HealthServer, Heartbeat
from services.runtime.lifecycle import stop_on_signals
from services.runtime.logs import configure_logs
from services.runtime.service import ServiceSettings, kafka_bus
from services.startup import site_of

_log = logging.getLogger(__name__)

_STOP_S = 5.0

_Settings = TypeVar("_Settings", bound=BaseSettings)


def run(make_bus: Callable[[], Bus] = kafka_bus) -> int:
    """Runs the console on a broker until SIGTERM or SIGINT, in the main thread; returns the exit status."""
    configure_logs()
    with stop_on_signals() as stop, ExitStack() as open_until_the_end:
        beat = Heartbeat()
        try:
            service = ServiceSettings()
            configure_logs(service.log_level, as_json=service.log_json)
            site = None if service.site is None else site_of(service)
            health = HealthServer({"console": beat}, service.health_port, service.health_host)
            open_until_the_end.enter_context(closing(health))
            desk = open_until_the_end.enter_context(_Desk.opened(site, _settings(ConsoleSettings)))
        except Exception as error:  # noqa: BLE001, whatever keeps it from starting is said in one line
            _log.error("console can't start: %s", _sentence(error))
            return 1
        _log.info("console starts at %s", desk.served.address)
        _read_broker(desk, make_bus, service, beat, stop)
    _log.info("console has stopped")
    return 0


@contextmanager
def console_beside(site: Site, port: int, bus: Bus, originals: Path | None = None) -> Iterator[Served]:
    """The console of a line on a memory bus; to be entered before the line starts. Raises ConsoleError.

    Pictures that the console can't take in time are left out for its viewers: the line never waits for it.

    Args:
        site: cameras and policies.
        port: of the page on this machine; 0 for any free one.
        bus: of the line.
        originals: folder of the vault that the line fills; where VEIL_DISCLOSURE_… is set up too, requests for footage
            are worked on in this process.
    """
    settings = _settings(ConsoleSettings, port=port)
    stop = threading.Event()
    with (
        _Desk.opened(site, settings, bus, originals) as desk,
        closing(MemoryFeed(bus)) as feed,
        closing(MemoryFeed(bus, boxes_of.READS, boxes_of.GROUP)) as boxes,
    ):
        threads = [
            threading.Thread(target=_read_memory, args=(desk.hub, feed, stop), name="console-feed", daemon=True),
            threading.Thread(target=_read_memory, args=(desk.boxes, boxes, stop), name="console-boxes", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield desk.served
        finally:
            stop.set()
            for thread in threads:
                thread.join(_STOP_S)


class _Desk:
    """The parts of a console that runs."""

    def __init__(self, hub: Hub, boxes: Boxes, accounts: Accounts, at: Served) -> None:
        self.hub, self.boxes, self.accounts, self.served = hub, boxes, accounts, at

    @classmethod
    @contextmanager
    def opened(
        cls, site: Site | None, settings: ConsoleSettings, bus: Bus | None = None, originals: Path | None = None
    ) -> Iterator["_Desk"]:
        """Opens the accounts and listens; `bus` and `originals` are a line's in this process. Raises ConsoleError."""
        try:
            accounts = Accounts(_settings(AccountSettings))
        except AccountError as error:
            raise ConsoleError(str(error).removesuffix(".")) from error
        closures, boxes, tell = Closures(now_us()), Boxes(), accounts.log.tell
        hub = Hub(settings, None if site is None else tuple(site.policies), closed=closures.note)
        facts: Mapping[str, Mapping[str, Any]] = {} if site is None else Facts(site)
        # With the line in this process a change is in force at once: both look into the same book.
        policies = [] if site is None else [Policies(site, tell, boxes, at_once=bus is not None).router]
        gate = Gate(accounts, secure=settings.secure)
        vault = originals if site is not None and is_set_up() else None
        requests = [] if vault else [_requests(settings).router]
        with closing(accounts), rooms(site, closures, tell, bus) as routers, ExitStack() as more:
            app = create_app(settings, hub, gate, tell, facts, [*routers, *policies, *requests])
            if vault and site:
                more.enter_context(requests_here(app, accounts, vault, site.config.name))
            with served(app, settings) as at:
                yield cls(hub, boxes, accounts, at)


def _read_broker(
    desk: _Desk, make_bus: Callable[[], Bus], service: ServiceSettings, beat: Heartbeat, stop: threading.Event
) -> None:
    """Reads until told to stop; when the bus is lost, begins afresh after pauses, and cameras are shown as lost."""
    pause_s = service.retry_min_s
    while not stop.is_set():
        began = time.monotonic()
        try:
            with closing(make_bus()) as bus, closing(BrokerFeed(bus)) as feed, _boxes_read(desk, bus):
                publisher = Publisher([desk.accounts.log], bus.producer, (AccountError,))
                publisher.start()
                try:
                    desk.hub.read(feed, stop, beat.beat)
                finally:
                    publisher.stop()
        except BusLost as loss:
            if time.monotonic() - began > service.retry_max_s:
                pause_s = service.retry_min_s
            metrics.LOST.inc()
            _log.warning("console lost the bus and starts afresh in %.0f s: %s", pause_s, loss)
            _pause(pause_s, beat, stop)
            pause_s = min(2 * pause_s, service.retry_max_s)


@contextmanager
def _boxes_read(desk: _Desk, bus: Bus) -> Iterator[None]:
    """Boxes are read along as long as the bus is there; without them only the policy editor shows less."""
    stop = threading.Event()
    with closing(BrokerFeed(bus, boxes_of.READS)) as feed:
        thread = threading.Thread(target=_read_boxes, args=(desk.boxes, feed, stop), name="console-boxes", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_STOP_S)


def _read_boxes(boxes: Boxes, feed: BrokerFeed, stop: threading.Event) -> None:
    try:
        boxes.read(feed, stop)
    except (BusLost, BusClosed) as loss:
        _log.warning("the console reads no boxes: %s", loss)


def _pause(seconds: float, beat: Heartbeat, stop: threading.Event) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stop.wait(min(left, 1.0)):
        beat.beat(ready=False)


def _read_memory(reader: Hub | Boxes, feed: MemoryFeed, stop: threading.Event) -> None:
    try:
        reader.read(feed, stop)
    except BusClosed:
        return  # the line has ended
    except Exception:  # noqa: BLE001, masking must not end because nobody can look
        _log.exception("the console reads no more")
        feed.close()


def _requests(settings: ConsoleSettings) -> RequestsProxy:
    try:
        return RequestsProxy(settings)
    except OSError as error:  # ssl's are among them
        why = (error.strerror or "it holds none").lower()
        raise ConsoleError(
            f"disclosure's certificate can't be read from {settings.disclosure_ca_file}: {why}"
        ) from None


def _settings(kind: type[_Settings], **given: Any) -> _Settings:
    try:
        return kind(**given)
    except ValidationError as error:
        raise ConsoleError(_sentence(error)) from None


def _sentence(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    found = (f"{'.'.join(map(str, each['loc'])) or 'settings'}: {each['msg']}" for each in error.errors())
    return f"{error.title}: {'; '.join(found)}"
