"""Serves the console over HTTP or TLS from a thread, so that the main thread can read the bus or run the line."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from services.console.settings import ConsoleSettings

_START_S = 30.0
_STOP_S = 10.0
# What a browser says is short; a request's body is bounded by what its endpoint takes.
_WORDS_BYTES = 16 << 10


class ConsoleError(Exception):
    """The console can't start as it is set up; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Served:
    """A console that listens.

    Attributes:
        address: to give to a browser.
    """

    address: str
    port: int


@contextmanager
def served(app: FastAPI, settings: ConsoleSettings) -> Iterator[Served]:
    """Serves `app` while the block runs. Raises ConsoleError where it can't listen."""
    listening = _listen(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        # The address that a proxy names would let anyone choose whose allowance they use up.
        proxy_headers=settings.behind_tls,
        server_header=False,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.certificate_key,
        ws="websockets-sansio",
        ws_max_size=_WORDS_BYTES,
        # Video is compressed already.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    try:
        server = uvicorn.Server(config)
        config.load()
    except OSError as error:
        listening.close()
        raise ConsoleError(
            f"the console's certificate can't be used: {(error.strerror or str(error)).lower()}"
        ) from None
    thread = threading.Thread(target=server.run, args=([listening],), name="console", daemon=True)
    thread.start()
    try:
        _wait(server, thread)
        port = int(listening.getsockname()[1])
        scheme = "https" if settings.certificate is not None else "http"
        yield Served(f"{scheme}://{_named(settings.host)}:{port}/", port)
    finally:
        server.should_exit = True
        thread.join(_STOP_S)
        listening.close()


def _listen(settings: ConsoleSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), family=_family(settings.host))
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        # Python puts the address into the system's words, where it stands a second time.
        why = (error.strerror or "failed").partition(" (while ")[0].lower()
        raise ConsoleError(f"the console can't listen on {where}: {why}") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _wait(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause = threading.Event()
    for _ in range(int(_START_S / 0.02)):
        if server.started:
            return
        if not thread.is_alive():
            break
        pause.wait(0.02)
    raise ConsoleError("the console did not start; its log says why")
