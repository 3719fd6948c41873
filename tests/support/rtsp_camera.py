"""A small RTSP camera on loopback: plays an H.264 file over TCP, and hangs up or falls silent when told to."""

import socket
import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av

from services.media.rtp import RtpTrack, h264_payloads, nal_units


class RtspCamera:
    """Serves one raw H.264 file without B-frames, from its start for each connection.

    Attributes:
        url: with a user and a password, which it does not ask for.
        connections: how many were played so far.

    Args:
        hang_up_after: frames after which the first, second, … connection is cut; it plays to the end on later ones.
        silent_at_end: stay connected without a word after the last frame.
        pause_s: between two frames; their timestamps are 1/25 s apart.
        clock_set: what the camera's clock is off by, in seconds, at a frame's number.
    """

    def __init__(
        self,
        video: Path,
        *,
        hang_up_after: Sequence[int] = (),
        silent_at_end: bool = False,
        pause_s: float = 0.002,
        clock_set: Callable[[int], int] = lambda number: 0,
    ) -> None:
        with av.open(video) as container:
            self._units = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        self._hang_up_after = list(hang_up_after)
        self._silent_at_end = silent_at_end
        self._pause_s = pause_s
        self._clock_set = clock_set
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._thread = threading.Thread(target=self._serve)
        self.connections = 0
        self.url = f"rtsp://operator:hunter2@127.0.0.1:{self._listener.getsockname()[1]}/live"

    def __enter__(self) -> "RtspCamera":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(2)
                try:
                    if self._handshake(client):
                        self._play(client)
                except OSError:
                    continue

    def _handshake(self, client: socket.socket) -> bool:
        """Answers requests up to PLAY."""
        stream = client.makefile("rb")
        while request := stream.readline().decode().split():
            headers = {}
            while line := stream.readline().decode().strip():
                key, _, value = line.partition(":")
                headers[key.lower()] = value.strip()
            body, extra = b"", ""
            if request[0] == "DESCRIBE":
                body, extra = self._description().encode(), "Content-Type: application/sdp\r\n"
            elif request[0] == "SETUP":
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif request[0] == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            reply = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
            client.sendall(reply.encode() + body)
            if request[0] == "PLAY":
                return True
        return False

    def _play(self, client: socket.socket) -> None:
        self.connections += 1
        until = self._hang_up_after.pop(0) if self._hang_up_after else len(self._units)
        track = RtpTrack(payload_type=96, clock=90_000)
        for number, unit in enumerate(self._units[:until]):
            payloads = list(h264_payloads(unit))
            for at, payload in enumerate(payloads, start=1):
                packet = track.packet(
                    payload, Fraction(number, 25) + self._clock_set(number), marker=at == len(payloads)
                )
                client.sendall(b"$\x00" + len(packet).to_bytes(2, "big") + packet)
            if self._closing.wait(self._pause_s):
                return
        if self._silent_at_end and until == len(self._units):
            self._closing.wait()

    def _description(self) -> str:
        kinds = {nal[0] & 0x1F for nal in nal_units(self._units[0])}
        assert {7, 8} <= kinds, "the file must begin with parameter sets"
        session = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0"]
        video = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1", "a=control:track1"]
        return "\r\n".join([*session, *video, ""])
