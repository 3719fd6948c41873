"""A camera for tests: plays a video into an RTSP server in real time, over and over, and misbehaves when told to.

python -m deploy.stack.cameras VIDEO rtsp://127.0.0.1:18554/camera/entrance
"""

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from deploy.stack.camera_videos import playable
from services.media.sources import SourceError, masked, video_stream
from services.policy.secrets import expand

_log = logging.getLogger("camera")
_CLOCK_HZ = 90_000
_PAUSE_S = 0.5
_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Change:
    """From `after_s` seconds on another video comes, or the camera's clock is `jump_s` off."""

    after_s: float
    video: Path | None = None
    jump_s: float = 0.0


class _Timeline:
    """Keeps time over loops, changes of video and new connections."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the camera was switched on."""
        return time.monotonic() - self._began

    def wait_until(self, at_s: float) -> None:
        """Sleeps until the camera is that old."""
        time.sleep(max(0.0, at_s - self.age_s))


class _Connection:
    """One session with the server, publishing one video's codec."""

    def __init__(self, url: str, template: VideoStream) -> None:
        options = {"rtsp_transport": "tcp", "timeout": str(_TIMEOUT_S * 1_000_000)}
        self._container: OutputContainer = av.open(url, "w", format="rtsp", options=options, timeout=_TIMEOUT_S)
        try:
            self._stream = self._container.add_stream_from_template(template)
            self._container.start_encoding()
        except BaseException:
            self._container.close()
            raise

    def send(self, packet: "av.Packet[VideoStream]", at: int) -> None:
        """Sends one packet with this time, in ticks of 1/90000 s."""
        packet.stream = self._stream
        packet.time_base = Fraction(1, _CLOCK_HZ)
        packet.pts = packet.dts = at
        self._container.mux(packet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._container.close()
        except av.FFmpegError as error:
            _log.info("the server was gone before the goodbye: %s", error.strerror)


def play(video: Path, url: str, changes: list[Change]) -> None:
    """Plays for ever. A server that is away is tried again twice a second; time goes on meanwhile."""
    timeline = _Timeline()
    while True:
        now = [change for change in changes if change.after_s <= timeline.age_s]
        current = next((change.video for change in reversed(now) if change.video), video)
        later = [change.after_s for change in changes if change.video and change.after_s > timeline.age_s]
        try:
            _publish(current, url, timeline, changes, min(later, default=float("inf")))
        except (av.FFmpegError, OSError) as error:
            _log.warning("lost %s, trying again: %s", masked(url), error.strerror)
            time.sleep(_PAUSE_S)


def _publish(video: Path, url: str, timeline: _Timeline, changes: list[Change], until_s: float) -> None:
    """Plays one video in one connection until the camera is `until_s` old."""
    with av.open(str(playable(video))) as source:
        stream = video_stream(source, str(video))
        with _Connection(url, stream) as connection:
            _log.info("playing %s (%s, %dx%d) to %s", video, stream.name, stream.width, stream.height, masked(url))
            for packet, at_s in _endless(source, stream, timeline.age_s):
                timeline.wait_until(at_s)
                if at_s >= until_s:
                    return
                jump_s = sum(change.jump_s for change in changes if change.after_s <= at_s)
                connection.send(packet, _ticks(at_s, jump_s))


def _endless(
    source: av.container.InputContainer, stream: VideoStream, begin_s: float
) -> Iterator[tuple["av.Packet[VideoStream]", float]]:
    """Packets of the video over and over, with rising times from `begin_s` on, in seconds."""
    while True:
        end_s = begin_s
        for packet in source.demux(stream):
            if packet.dts is None or packet.time_base is None:
                continue
            at_s = begin_s + float((packet.dts - (stream.start_time or 0)) * packet.time_base)
            end_s = at_s + float((packet.duration or 0) * packet.time_base)
            yield packet, at_s
        if end_s <= begin_s:
            raise SourceError("no video packets in it.")
        begin_s = end_s
        source.seek(0, stream=stream)


def _ticks(at_s: float, jump_s: float) -> int:
    """RTP counts in 32 bits: a whole turn forward less the jump is the jump back, and FFmpeg refuses falling times."""
    turn = 2**32 if jump_s < 0 else 0
    return round((at_s + jump_s) * _CLOCK_HZ) + turn


def main(arguments: list[str]) -> None:
    """Reads the command line and plays."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stack.cameras", description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("url", help="rtsp:// address to publish to; ${file:PATH} in it is a file's first line")
    parser.add_argument("--then", type=Path, metavar="VIDEO", help="another video after a while, over a new connection")
    parser.add_argument("--then-after", type=float, default=20.0, metavar="S", help="when (20)")
    parser.add_argument("--jump", type=float, default=0.0, metavar="S", help="set the clock forward, or back")
    parser.add_argument("--jump-after", type=float, default=20.0, metavar="S", help="when (20)")
    given = parser.parse_args(arguments)
    url, missing = expand(given.url, {})
    if missing:
        parser.error("; ".join(missing))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    changes = [Change(given.jump_after, jump_s=given.jump)] if given.jump else []
    if given.then:
        changes.append(Change(given.then_after, given.then))
        playable(given.then)
    try:
        play(given.video, url, changes)
    except SourceError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
