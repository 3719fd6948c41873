"""The outputs of one epoch of one camera: opened together once it is known what they hold, failing one by one."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from services.encoder import metrics
from services.media.sink import Sink, SinkError, Target
from services.schema import pb

_log = logging.getLogger(__name__)

# Most that is held while sound is waited for: seconds of the stream, which a broken camera's times may not reach.
_HOLD_BYTES = 8 << 20

OpenSink = Callable[[Target, pb.RedactedUnit, pb.AudioUnit | None, bool], Sink]
"""target, first access unit, first packet of sound, live → sink. Raises SinkError."""


class Outputs:
    """Hands access units and sound to every sink.

    A container must be told of sound before its first byte is written. Where the policy keeps sound, access units are
    therefore held back until its first packet is there, or until they span `audio_wait_s` or fill the hold.

    Args:
        targets: where to.
        live: the stream has no known end.
        wants_audio: the camera's policy keeps sound.
        audio_wait_s: see above, in seconds of the stream.
        open_sink: makes a sink.
        on_failure: told the sentence of every sink that can't go on.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        live: bool,
        wants_audio: bool,
        audio_wait_s: float,
        open_sink: OpenSink,
        on_failure: Callable[[str], object],
    ) -> None:
        self._targets, self._live = targets, live
        self._wants_audio, self._audio_wait_s = wants_audio, audio_wait_s
        self._open_sink, self._on_failure = open_sink, on_failure
        self._held: list[pb.RedactedUnit] | None = []
        self._held_audio: deque[pb.AudioUnit] = deque()
        self._held_bytes = 0
        self._sinks: list[tuple[Target, Sink]] = []
        self._seen: dict[Target, tuple[int, int]] = {}

    def write(self, unit: pb.RedactedUnit) -> None:
        """Takes the next access unit, in decoding order."""
        if self._held is None:
            self._each(lambda sink: sink.write(unit))
            self._count()
            return
        self._held.append(unit)
        self._held_bytes += len(unit.payload)
        span = (unit.pts - self._held[0].pts) * Fraction(unit.time_base_num, unit.time_base_den)
        full = self._held_bytes >= _HOLD_BYTES
        if not self._wants_audio or self._held_audio or span >= self._audio_wait_s or full:
            self._open()

    def write_audio(self, unit: pb.AudioUnit) -> None:
        """Takes the next packet of sound."""
        if self._held is None:
            self._each(lambda sink: sink.write_audio(unit))
            return
        self._held_audio.append(unit)
        self._held_bytes += len(unit.inline)
        while self._held_bytes > _HOLD_BYTES:
            self._held_bytes -= len(self._held_audio.popleft().inline)
        if self._held:
            self._open()

    def finish(self) -> list[Sink]:
        """The epoch is whole: completes every output. Returns the sinks that may still be sending."""
        if self._held:
            self._open()
        self._each(lambda sink: sink.finish())
        return self._let_go()

    def abort(self) -> list[Sink]:
        """The epoch is not whole: outputs keep their provisional names."""
        if self._held:
            self._open()
        for _, sink in self._sinks:
            sink.abort()
        return self._let_go()

    def _open(self) -> None:
        held, audio = self._held or [], self._held_audio
        self._held, self._held_audio = None, deque()
        for target in self._targets:
            try:
                sink = self._open_sink(target, held[0], audio[0] if audio else None, self._live)
            except SinkError as error:
                self._fail(target, error)
            else:
                self._sinks.append((target, sink))
        for unit in _by_time(held, audio):
            if isinstance(unit, pb.AudioUnit):
                self.write_audio(unit)
            else:
                self.write(unit)

    def _each(self, work: Callable[[Sink], None]) -> None:
        for target, sink in tuple(self._sinks):
            try:
                work(sink)
            except SinkError as error:
                self._sinks.remove((target, sink))
                sink.abort()
                self._fail(target, error)

    def _fail(self, target: Target, error: SinkError) -> None:
        metrics.SINK_ERRORS.labels(target.kind).inc()
        _log.error("%s", error)
        self._on_failure(str(error))

    def _count(self) -> None:
        for target, sink in self._sinks:
            shed, faults = self._seen.get(target, (0, 0))
            if (sink.shed, sink.faults) == (shed, faults):
                continue
            metrics.SHED.labels(target.kind).inc(sink.shed - shed)
            metrics.SINK_ERRORS.labels(target.kind).inc(sink.faults - faults)
            self._seen[target] = (sink.shed, sink.faults)

    def _let_go(self) -> list[Sink]:
        self._count()
        sinks, self._sinks = [sink for _, sink in self._sinks], []
        return sinks


def _by_time(units: Iterable[pb.RedactedUnit], audio: Iterable[pb.AudioUnit]) -> list[pb.RedactedUnit | pb.AudioUnit]:
    def seconds(unit: pb.RedactedUnit | pb.AudioUnit) -> Fraction:
        return Fraction(unit.dts * unit.time_base_num, unit.time_base_den)

    return sorted([*units, *audio], key=seconds)
