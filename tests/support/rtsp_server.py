"""RTSP servers to publish to: one that behaves badly on purpose, and FFmpeg's, which receives for real."""

import re
import socket
import threading
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Receiver:
    """FFmpeg listening for one publisher; keeps the time of each packet and the luma of each picture it got."""

    def __init__(self) -> None:
        self.url = f"rtsp://127.0.0.1:{free_port()}/live"
        self.times: dict[str, list[Fraction]] = {"video": [], "audio": []}
        self.shown: list[NDArray[np.uint8]] = []
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def pictures(self) -> int:
        """How many pictures came."""
        return len(self.shown)

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join(15)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        options = {"rtsp_flags": "listen", "listen_timeout": "10", "analyzeduration": "200000"}
        try:
            with av.open(self.url, options=options, timeout=10) as container:
                for packet in container.demux():
                    if packet.pts is not None and packet.size:
                        self.times[packet.stream.type].append(packet.pts * packet.time_base)
                    pictures = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
                    self.shown += [picture.to_ndarray(format="gray8") for picture in pictures]
        except av.FFmpegError as error:
            self.error = error


class ScriptedServer:
    """Answers RTSP requests with `answer`, then hands the connection to `record` after RECORD.

    Args:
        answer: request text → reply text.
        record: what to do with the socket once the publisher may send; the connection closes when it returns.
    """

    def __init__(
        self,
        answer: Callable[[str], str] | None = None,
        record: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self._answer, self._record = answer or ok, record or read_all
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._over = threading.Event()
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live"
        self.requests: list[str] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> "ScriptedServer":
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with self._listener:
            while not self._over.is_set():
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    continue
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            received = b""
            while True:
                try:
                    chunk = connection.recv(4096)
                except OSError:
                    return
                if not chunk:
                    return
                received += chunk
                while (request := _cut(received)) is not None:
                    received = received[len(request) :]
                    text = request.decode()
                    self.requests.append(text)
                    connection.sendall(self._answer(text).encode())
                    if text.startswith("RECORD"):
                        self._record(connection)
                        return


def ok(request: str) -> str:
    """The answer of a server that agrees."""
    return reply(request, "200 OK", "Session: 17;timeout=60")


def reply(request: str, status: str, *headers: str) -> str:
    """A reply to a request."""
    match = re.search(r"CSeq: (\d+)", request)
    assert match is not None
    return "\r\n".join([f"RTSP/1.0 {status}", f"CSeq: {match[1]}", *headers]) + "\r\n\r\n"


def read_all(connection: socket.socket) -> None:
    """Takes everything until the publisher hangs up."""
    while connection.recv(65536):
        pass


def _cut(received: bytes) -> bytes | None:
    head, separator, _ = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    match = re.search(rb"Content-Length: (\d+)", head)
    length = len(head) + 4 + (int(match[1]) if match else 0)
    return received[:length] if len(received) >= length else None
