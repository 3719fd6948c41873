"""RTSP output: pushes to a server from a thread of its own, reconnects by itself, and sheds rather than holds up."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from services.media.rtp import (
    VIDEO_CLOCK,
    RtpTrack,
    audio_clock,
    audio_payload,
    can_carry,
    h264_payloads,
    session_description,
)
from services.media.rtsp_client import RtspError, RtspPublisher, without_password
from services.media.sink import SinkError, Target
from services.schema import pb

_log = logging.getLogger(__name__)
_REPORT_EVERY_S = 2
_VIDEO, _AUDIO = 0, 1


@dataclass(frozen=True, slots=True)
class RtspOptions:
    """Deadlines and bounds.

    Attributes:
        timeout_s: longest wait for the connection, a reply, or one write.
        queue_bytes: access units that wait for a slow server; above, the oldest groups of pictures are shed.
        pause_min_s, pause_max_s: pauses between attempts to connect, each twice the one before.
    """

    timeout_s: float = 5.0
    queue_bytes: int = 8 * 1024 * 1024
    pause_min_s: float = 0.5
    pause_max_s: float = 30.0


class RtspSink:
    """Publishes one epoch to an RTSP server.

    `write` never waits. What the server does not take in time is shed in whole groups of pictures, so that a reader
    never sees a picture without those it is built on.

    Args:
        target: an rtsp target.
        video: the first access unit, with the parameter sets.
        audio: the first packet of sound, None where there is none.
        options: deadlines and bounds.
    """

    def __init__(
        self, target: Target, video: pb.RedactedUnit, audio: pb.AudioUnit | None, options: RtspOptions | None = None
    ) -> None:
        self.name = without_password(target.location)
        self.shed = 0
        self.faults = 0
        self._url, self._options = target.location, options or RtspOptions()
        if audio is not None and not can_carry(audio):
            _log.warning("%s: sound left out, RTSP can't carry %s", self.name, audio.codec)
            audio = None
        try:
            self._description = session_description(video, audio)
        except ValueError as error:
            raise SinkError(f"can't publish to {self.name}: {error}") from error
        self._audio = audio
        self._queue: deque[pb.RedactedUnit | pb.AudioUnit] = deque()
        self._queued = 0
        self._wants_keyframe = True
        self._published = False
        self._changed = threading.Condition()
        self._ending = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="rtsp", daemon=True)
        self._thread.start()

    def write(self, unit: pb.RedactedUnit) -> None:
        """Queues the next access unit, or sheds."""
        with self._changed:
            if self._wants_keyframe and not unit.keyframe:
                self.shed += 1
                return
            self._wants_keyframe = False
            self._queue.append(unit)
            self._queued += len(unit.payload)
            if self._queued > self._options.queue_bytes:
                self._shed_oldest_group()
            self._changed.notify()

    def write_audio(self, unit: pb.AudioUnit) -> None:
        """Queues the next packet of sound. Without a picture it has nothing to be in sync with."""
        with self._changed:
            if self._audio is None or self._wants_keyframe:
                return
            self._queue.append(unit)
            self._queued += len(unit.inline)
            self._changed.notify()

    def finish(self) -> None:
        """Lets the thread send what is queued and end."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def abort(self) -> None:
        """Lets the thread end at once."""
        with self._changed:
            self._ending = self._stopped = True
            self._changed.notify()

    @property
    def done(self) -> bool:
        """The thread has ended."""
        return not self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Waits for what is queued, then ends the thread, which returns from its last write within its deadline."""
        self._thread.join(timeout_s)
        self.abort()

    def _shed_oldest_group(self) -> None:
        """Drops the queue's first group of pictures; if there is only one, everything up to the next keyframe."""
        self._discard()
        while self._queue and not _starts_group(self._queue[0]):
            self._discard()
        self._wants_keyframe = not self._queue

    def _discard(self) -> None:
        self.shed += isinstance(self._take(), pb.RedactedUnit)

    def _take(self) -> pb.RedactedUnit | pb.AudioUnit:
        unit = self._queue.popleft()
        self._queued -= len(unit.payload if isinstance(unit, pb.RedactedUnit) else unit.inline)
        return unit

    def _run(self) -> None:
        pause = self._options.pause_min_s
        while not self._stopped:
            began = time.monotonic()
            try:
                self._publish()
            except RtspError as error:
                self.faults += 1
                _log.warning("lost the RTSP server, next attempt in %.1f s: %s", pause, error)
            else:
                return
            if time.monotonic() - began > self._options.pause_max_s:
                pause = self._options.pause_min_s
            with self._changed:
                if self._changed.wait_for(lambda: self._ending, pause):
                    return
            pause = min(2 * pause, self._options.pause_max_s)

    def _publish(self) -> None:
        publisher = RtspPublisher(self._url, self._options.timeout_s)
        try:
            publisher.start(self._description, 1 if self._audio is None else 2)
            if self._published:
                self._keep_newest_group()
            self._published = True
            self._send_all(publisher)
        finally:
            publisher.close()

    def _keep_newest_group(self) -> None:
        """After an outage a reader wants to see now, not what it missed."""
        with self._changed:
            groups = sum(_starts_group(unit) for unit in self._queue)
            while self._queue and not (groups == 1 and _starts_group(self._queue[0])):
                groups -= _starts_group(self._queue[0])
                self._discard()
            self._wants_keyframe = not self._queue

    def _send_all(self, publisher: RtspPublisher) -> None:
        tracks = [RtpTrack(96, VIDEO_CLOCK)]
        if self._audio is not None:
            tracks.append(RtpTrack(97, audio_clock(self._audio)))
        origin: float | None = None
        next_report = Fraction(0)
        while (unit := self._next()) is not None:
            seconds = Fraction(unit.pts * unit.time_base_num, unit.time_base_den)
            if origin is None:
                origin, next_report = time.time() - float(seconds), seconds
            if seconds >= next_report:
                for number, track in enumerate(tracks):
                    publisher.send(2 * number + 1, [track.sender_report(seconds, origin + float(seconds))])
                next_report = seconds + _REPORT_EVERY_S
                publisher.drain()
            if isinstance(unit, pb.RedactedUnit):
                payloads = list(h264_payloads(unit.payload))
                last = len(payloads) - 1
                track = tracks[_VIDEO]
                publisher.send(0, [track.packet(p, seconds, marker=i == last) for i, p in enumerate(payloads)])
            else:
                publisher.send(2, [tracks[_AUDIO].packet(audio_payload(unit), seconds, marker=True)])

    def _next(self) -> pb.RedactedUnit | pb.AudioUnit | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending)
            return None if self._stopped or not self._queue else self._take()


def _starts_group(unit: pb.RedactedUnit | pb.AudioUnit) -> bool:
    return isinstance(unit, pb.RedactedUnit) and unit.keyframe
