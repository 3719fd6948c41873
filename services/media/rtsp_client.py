"""Publishing to an RTSP server over one TCP connection: every request and every write has a deadline (RFC 2326)."""

import hashlib
import re
import secrets
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from services import __version__

_PORTS = {"rtsp": 554, "rtsps": 322}
_LARGEST_REPLY = 64 * 1024
_GOODBYE_S = 0.5


class RtspError(Exception):
    """The server refused or the connection broke; one sentence, without password."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    reason: str
    headers: Mapping[str, str]


def without_password(url: str) -> str:
    """The URL as it may be logged."""
    return re.sub(r"//[^/@]*@", "//", url)


class RtspPublisher:
    """One session: ANNOUNCE, SETUP of each track, RECORD, then packets.

    The FFmpeg muxer is not used for this: it would wait for the server while holding the interpreter's lock, and a
    dead server would stop every other thread of the process.

    Args:
        url: rtsp:// or rtsps://, with user and password where the server asks for them.
        timeout_s: longest wait for the connection, for a reply, and for one write.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._timeout_s = timeout_s
        self._url = without_password(url)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._authorise: str | None = None
        self._nonce_count = 0
        self._sequence = 0
        self._session = ""
        host = parts.hostname or ""
        try:
            self._socket = socket.create_connection((host, parts.port or _PORTS[parts.scheme]), timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise RtspError(f"{self._url}: {error.strerror or error}") from error
        if parts.scheme == "rtsps":
            self._secure(host)

    def start(self, description: str, tracks: int) -> None:
        """Opens the session with an SDP of that many tracks. Raises RtspError."""
        self._request("ANNOUNCE", self._url, {"Content-Type": "application/sdp"}, description)
        for track in range(tracks):
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1};mode=record"
            reply = self._request("SETUP", f"{self._url}/streamid={track}", {"Transport": transport})
            self._session = reply.headers.get("session", "").split(";")[0]
        self._request("RECORD", self._url, {"Range": "npt=0.000-"})

    def send(self, channel: int, packets: Iterable[bytes]) -> None:
        """Writes packets to an interleaved channel. Raises RtspError."""
        framed = b"".join(b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet for packet in packets)
        try:
            self._socket.sendall(framed)
        except OSError as error:
            raise RtspError(f"{self._url}: {error.strerror or error}") from error

    def drain(self) -> None:
        """Throws away what the server has sent meanwhile (receiver reports). Raises RtspError if it hung up."""
        self._socket.setblocking(False)
        try:
            received = self._socket.recv(_LARGEST_REPLY)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise RtspError(f"{self._url}: {error.strerror or error}") from error
        finally:
            self._socket.settimeout(self._timeout_s)
        if not received:
            raise RtspError(f"{self._url}: the server closed the connection")

    def close(self) -> None:
        """Says goodbye and hangs up. Never raises."""
        try:
            if self._session:
                self._say_goodbye()
        except (OSError, RtspError):
            pass
        finally:
            self._socket.close()

    def _say_goodbye(self) -> None:
        """Closing with reports of the server unread would reset the connection, and with it what is still under way."""
        self._socket.settimeout(min(_GOODBYE_S, self._timeout_s))
        self._write("TEARDOWN", self._url, {}, "")
        deadline = time.monotonic() + _GOODBYE_S
        while self._socket.recv(_LARGEST_REPLY) and time.monotonic() < deadline:
            pass

    def _secure(self, host: str) -> None:
        plain = self._socket
        try:
            self._socket = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except OSError as error:
            plain.close()
            raise RtspError(f"{self._url}: {error.strerror or error}") from error

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: str = "") -> _Reply:
        self._write(method, url, headers, body)
        reply = self._read()
        if reply.status == 401 and self._user and self._authorise is None:
            self._authorise = reply.headers.get("www-authenticate", "")
            self._write(method, url, headers, body)
            reply = self._read()
        if reply.status != 200:
            raise RtspError(f"{self._url}: the server answered {method} with {reply.status} {reply.reason}")
        return reply

    def _write(self, method: str, url: str, headers: Mapping[str, str], body: str) -> None:
        self._sequence += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._sequence}", f"User-Agent: veil/{__version__}"]
        if self._session:
            lines.append(f"Session: {self._session}")
        if self._authorise is not None:
            lines.append(f"Authorization: {self._credentials(method, url)}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        try:
            self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        except OSError as error:
            raise RtspError(f"{self._url}: {error.strerror or error}") from error

    def _read(self) -> _Reply:
        received = bytearray()
        deadline = time.monotonic() + self._timeout_s
        self._receive_until(received, lambda: b"\r\n\r\n" in received, deadline)
        head, _, _ = bytes(received).partition(b"\r\n\r\n")
        status, *fields = head.decode("utf-8", "replace").split("\r\n")
        match = re.match(r"RTSP/1\.\d (\d{3}) ?(.*)", status)
        if match is None:
            raise RtspError(f"{self._url}: not an RTSP server")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
        length = headers.get("content-length", "0")
        if length.isdecimal():
            wanted = len(head) + 4 + int(length)
            self._receive_until(received, lambda: len(received) >= wanted, deadline)
        return _Reply(int(match[1]), match[2], headers)

    def _receive_until(self, received: bytearray, complete: Callable[[], bool], deadline: float) -> None:
        while not complete():
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                chunk = self._socket.recv(4096)
            except OSError as error:
                raise RtspError(f"{self._url}: no answer ({error.strerror or error})") from error
            finally:
                self._socket.settimeout(self._timeout_s)
            received += chunk
            if not chunk or len(received) > _LARGEST_REPLY:
                raise RtspError(f"{self._url}: the server closed the connection")

    def _credentials(self, method: str, url: str) -> str:
        challenge = self._authorise or ""
        if challenge.lower().startswith("basic"):
            return "Basic " + b64encode(f"{self._user}:{self._password}".encode()).decode()
        given = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETERS.findall(challenge)}
        realm, nonce = given.get("realm", ""), given.get("nonce", "")
        digest = _sha256 if given.get("algorithm", "MD5").upper() == "SHA-256" else _md5
        secret, action = digest(f"{self._user}:{realm}:{self._password}"), digest(f"{method}:{url}")
        answer = f'Digest username="{self._user}", realm="{realm}", nonce="{nonce}", uri="{url}"'
        if "algorithm" in given:
            answer += f", algorithm={given['algorithm']}"
        if "auth" not in given.get("qop", ""):
            return f'{answer}, response="{digest(f"{secret}:{nonce}:{action}")}"'
        self._nonce_count += 1
        count, own = f"{self._nonce_count:08x}", secrets.token_hex(8)
        response = digest(f"{secret}:{nonce}:{count}:{own}:auth:{action}")
        return f'{answer}, qop=auth, nc={count}, cnonce="{own}", response="{response}"'


_PARAMETERS = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
