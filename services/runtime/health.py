"""Health over HTTP: alive while the main loops beat, ready while all have work to do, metrics beside it."""

import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


class Heartbeat:
    """The moment at which a main loop last came round. A port that answers proves nothing; this does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self.ready = False

    def beat(self, *, ready: bool = True) -> None:
        """Called once every turn of the loop, which says whether it is at work or still waits for its share of it."""
        self._last = self._clock()
        self.ready = ready

    @property
    def age_s(self) -> float:
        """Seconds since the last beat; 0 before the first."""
        return 0.0 if self._last is None else self._clock() - self._last


class HealthServer:
    """Serves /live, /ready and /metrics on one port.

    Args:
        beats: heartbeat of each main loop by name.
        port: TCP port, 0 for any free one.
        host: address to listen on; loopback unless a container needs more.
        stalled_after_s: age of a heartbeat at which the process counts as dead.
    """

    def __init__(
        self, beats: Mapping[str, Heartbeat], port: int, host: str = "127.0.0.1", stalled_after_s: float = 30.0
    ) -> None:
        self._beats = beats
        self._stalled_after_s = stalled_after_s
        report = self._report

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                status, content_type, body = report(self.path)
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes come every few seconds: not worth a line each."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def _report(self, path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        if path == "/live":
            bad = [name for name, beat in self._beats.items() if beat.age_s > self._stalled_after_s]
            return _verdict("stalled", bad)
        if path == "/ready":
            bad = [name for name, beat in self._beats.items() if not beat.ready]
            return _verdict("not ready", bad)
        return 404, "text/plain", b"not found\n"


def _verdict(word: str, bad: list[str]) -> tuple[int, str, bytes]:
    text = f"{word}: {', '.join(bad)}\n" if bad else "ok\n"
    return (503 if bad else 200), "text/plain", text.encode()
