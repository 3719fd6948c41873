"""RTSP push: received for real, and what becomes of it when the server is slow, dead, strict or gone for a while."""

import hashlib
import re
import socket
import threading
import time
from fractions import Fraction
from itertools import pairwise

import pytest

from services.media.rtp import MAX_PAYLOAD, h264_payloads, nal_units, session_description
from services.media.rtsp_client import RtspError, RtspPublisher, without_password
from services.media.rtsp_sink import RtspOptions, RtspSink
from services.media.sink import SinkError, Target
from services.schema import pb
from tests.support.redacted import interleaved, tone, units
from tests.support.rendered import noise
from tests.support.rtsp_server import Receiver, ScriptedServer, free_port, ok, reply

TIME_BASE = Fraction(1, 25)
QUICK = RtspOptions(timeout_s=1.0, queue_bytes=64 * 1024, pause_min_s=0.05, pause_max_s=0.2)


@pytest.fixture(scope="module")
def video() -> list[pb.RedactedUnit]:
    return units(list(range(75)), TIME_BASE, 1, live=True, paint=noise)


def push(url: str, video: list[pb.RedactedUnit], audio: pb.AudioUnit | None = None) -> RtspSink:
    return RtspSink(Target("rtsp", url), video[0], audio, QUICK)


def wait_until(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_receiver_gets_every_picture_at_its_time(video: list[pb.RedactedUnit]) -> None:
    with Receiver() as receiver:
        sink = RtspSink(Target("rtsp", receiver.url), video[0], None, RtspOptions(pause_min_s=0.05))
        for unit in video:
            sink.write(unit)
        wait_until(lambda: receiver.pictures)
        sink.finish()
        sink.join(10)
    assert sink.done
    assert sink.shed == 0
    assert receiver.pictures == len(video)
    got = receiver.times["video"]
    assert len(got) >= len(video) - 1  # FFmpeg's parser gives the last packet no time
    tick = Fraction(1, 90_000)
    assert all(abs(time - got[0] - number * TIME_BASE) <= tick for number, time in enumerate(got))


@pytest.mark.parametrize(("codec", "rate"), [("aac", 48000), ("pcm_mulaw", 8000), ("libopus", 48000)])
def test_sound_arrives_in_sync(video: list[pb.RedactedUnit], codec: str, rate: int) -> None:
    audio = tone(3.0, codec, rate)
    with Receiver() as receiver:
        sink = RtspSink(Target("rtsp", receiver.url), video[0], audio[0], RtspOptions(pause_min_s=0.05))
        for unit in interleaved(video, audio):
            if isinstance(unit, pb.AudioUnit):
                sink.write_audio(unit)
            else:
                sink.write(unit)
        wait_until(lambda: receiver.pictures)
        sink.finish()
        sink.join(10)
    pictures, sound = receiver.times["video"], receiver.times["audio"]
    assert receiver.pictures == len(video)
    base = Fraction(audio[0].time_base_num, audio[0].time_base_den)
    late = next(unit.pts * base for unit in audio if unit.pts * base >= 2)
    heard = min(sound, key=lambda time: abs(time - pictures[0] - late))
    assert abs(heard - pictures[0] - late) <= Fraction(1, 20)


@pytest.mark.parametrize("listens", [False, True], ids=["refused", "silent"])
def test_a_dead_server_holds_nobody_up(video: list[pb.RedactedUnit], listens: bool) -> None:
    """The silent one accepts the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1] if listens else free_port()
        sink = push(f"rtsp://127.0.0.1:{port}/live", video)
        slowest = 0.0
        for _ in range(5):
            for unit in video:
                began = time.perf_counter()
                sink.write(unit)
                slowest = max(slowest, time.perf_counter() - began)
        assert slowest < 0.2
        assert sum(len(unit.payload) for unit in video) * 5 > 2 * QUICK.queue_bytes
        assert sink.shed > 0
        wait_until(lambda: sink.faults >= 2)
        sink.finish()
        sink.join(2 * QUICK.timeout_s)
        assert sink.done


def test_a_slow_server_is_shed_whole_groups_of_pictures(video: list[pb.RedactedUnit]) -> None:
    """It stops reading; what it misses are groups of pictures, and what it then reads begins with parameter sets."""
    go_on, received = threading.Event(), bytearray()

    def stall(connection: socket.socket) -> None:
        received.extend(connection.recv(65536))
        go_on.wait(10)
        while chunk := connection.recv(65536):
            received.extend(chunk)

    many = [_renumbered(unit, seq) for seq, unit in enumerate(video * 15)]
    with ScriptedServer(record=stall) as server:
        sink = RtspSink(Target("rtsp", server.url), many[0], None, RtspOptions(5.0, 1024 * 1024, 0.05, 0.2))
        sink.write(many[0])
        wait_until(lambda: received)
        for unit in many[1:]:
            sink.write(unit)
        go_on.set()
        sink.finish()
        sink.join(10)
        assert sink.done
    assert sink.shed > 0
    times = [int.from_bytes(packet[4:8], "big") // 3600 for packet in _rtp(bytes(received))]
    sent = sorted(set(times))
    assert len(sent) + sink.shed == len(many)
    keyframes = {unit.seq for unit in many if unit.keyframe}
    after_gaps = [later for earlier, later in pairwise(sent) if later != earlier + 1]
    assert after_gaps
    assert set(after_gaps) <= keyframes


def test_after_an_outage_it_goes_on_with_the_newest_keyframe(video: list[pb.RedactedUnit]) -> None:
    first_kinds: list[int] = []

    def take_a_little(connection: socket.socket) -> None:
        data = b""
        while not _rtp(data):
            data += connection.recv(65536)
        first_kinds.append(_rtp(data)[0][12] & 0x1F)

    with ScriptedServer(record=take_a_little) as server:
        roomy = RtspOptions(timeout_s=1.0, pause_min_s=0.05, pause_max_s=0.2)
        sink = RtspSink(Target("rtsp", server.url), video[0], None, roomy)
        deadline = time.monotonic() + 10
        while len(first_kinds) < 3 and time.monotonic() < deadline:
            for unit in video:
                sink.write(unit)
                time.sleep(0.002)
        sink.abort()
        sink.join(2)
        assert sink.done
    assert len(first_kinds) >= 3
    assert set(first_kinds) == {7}
    assert sink.faults >= 2


def test_a_password_is_proven_and_never_shown(video: list[pb.RedactedUnit]) -> None:
    def ask(request: str) -> str:
        given = re.search(r'response="(\w+)"', request)
        if given is None:
            return reply(request, "401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n"')
        method, url = request.split()[:2]
        secret = hashlib.md5(b"eve:r:p@ss").hexdigest()
        action = hashlib.md5(f"{method}:{url}".encode()).hexdigest()
        right = hashlib.md5(f"{secret}:n:{action}".encode()).hexdigest()
        return ok(request) if given[1] == right else reply(request, "403 Forbidden")

    with ScriptedServer(ask) as server:
        url = server.url.replace("//", "//eve:p%40ss@")
        publisher = RtspPublisher(url, 5.0)
        publisher.start(session_description(video[0], None), 1)
        publisher.close()
        assert [request.split()[0] for request in server.requests][:4] == ["ANNOUNCE", "ANNOUNCE", "SETUP", "RECORD"]
        assert not any("p@ss" in request or "p%40ss" in request for request in server.requests)
    with ScriptedServer(ask) as server:
        wrong = RtspPublisher(server.url.replace("//", "//eve:guess@"), 5.0)
        with pytest.raises(RtspError, match="answered ANNOUNCE with 403 Forbidden") as caught:
            wrong.start(session_description(video[0], None), 1)
        wrong.close()
        assert "guess" not in str(caught.value)
    assert without_password("rtsp://eve:p%40ss@host/x") == "rtsp://host/x"


def test_a_large_picture_is_split_and_joins_again(video: list[pb.RedactedUnit]) -> None:
    large = units([0], TIME_BASE, 1, live=True, paint=noise)[0].payload
    joined: list[bytes] = []
    for payload in h264_payloads(large):
        assert len(payload) <= MAX_PAYLOAD
        if payload[0] & 0x1F != 28:
            joined.append(payload)
        elif payload[1] & 0x80:
            joined.append(bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)) + payload[2:])
        else:
            joined[-1] += payload[2:]
    assert joined == list(nal_units(large))
    assert max(map(len, joined)) > MAX_PAYLOAD


def test_a_stream_without_parameter_sets_is_refused(video: list[pb.RedactedUnit]) -> None:
    with pytest.raises(SinkError, match="does not begin with parameter sets"):
        push("rtsp://127.0.0.1:1/x", video[1:])


def _renumbered(unit: pb.RedactedUnit, seq: int) -> pb.RedactedUnit:
    copy = pb.RedactedUnit()
    copy.CopyFrom(unit)
    copy.seq = copy.pts = copy.dts = seq
    return copy


def _rtp(data: bytes) -> list[bytes]:
    """The whole RTP packets of the video channel in what came over the connection."""
    packets, at = [], 0
    while at + 4 <= len(data) and data[at : at + 1] == b"$":
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0 and at + 4 + size <= len(data):
            packets.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return packets
