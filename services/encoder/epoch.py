"""One epoch of one camera: pictures in order into the encoder, access units out of it with their identity."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from services.bus.clock import Clock, now_us
from services.bus.interface import Position, Record
from services.bus.topics import VIDEO_REDACTED
from services.encoder import metrics
from services.encoder.outputs import Outputs
from services.encoder.progress import Progress
from services.media.encoding import EncodedPicture, H264Encoder, H264Options
from services.media.picture import Picture
from services.runtime.metrics import frame_left
from services.runtime.stage import Emission
from services.schema import pb

_GUESSED_RATE = 25.0
_SLOWEST_RATE, _FASTEST_RATE = 0.01, 1000.0


@dataclass(slots=True)
class Arrival:
    """A frame as it came.

    Attributes:
        position: of its message.
        received_us: when the stage took it.
        picture: None where the policy dropped the frame.
    """

    frame: pb.RenderedFrame
    position: Position
    received_us: int
    picture: Picture | None


@dataclass(slots=True)
class _Inside:
    """A frame whose picture the encoder holds."""

    arrival: Arrival
    duration: int


class Epoch:
    """Encodes one epoch, from its beginning or from where another encoder stopped.

    Args:
        first: its first frame here.
        progress: of the camera, within this epoch; kept up to date.
        options: of the encoder.
        reorder: B-frames and look-ahead, unless the source is live.
        outputs: where access units go beside the bus.
        clock: microseconds since 1970.
    """

    def __init__(
        self,
        first: pb.RenderedFrame,
        progress: Progress,
        options: H264Options,
        outputs: Outputs,
        *,
        reorder: bool = True,
        clock: Clock = now_us,
    ) -> None:
        self.number = first.epoch
        self.live = first.live
        self.outputs = outputs
        self._camera_id = first.camera_id
        self._progress = progress
        self._time_base = Fraction(first.time_base_num, first.time_base_den)
        # A rate beyond reason, or none at all, is not handed on to the encoder.
        self._frame_rate = first.frame_rate if _SLOWEST_RATE <= first.frame_rate <= _FASTEST_RATE else 0.0
        rate = self._frame_rate or _GUESSED_RATE
        self._usual_duration = max(1, round(1 / (Fraction(rate) * self._time_base)))
        self._options, self._clock = options, clock
        self._at_once = first.live or not reorder
        self._encoder: H264Encoder | None = None
        self._inside: dict[int, _Inside] = {}
        self._newest: int | None = None  # pts of the newest picture taken here

    def add(self, arrival: Arrival) -> list[Emission]:
        """Takes a new frame. One without picture was dropped by the policy: its time goes to the picture before it."""
        frame, picture, arrival.picture = arrival.frame, arrival.picture, None
        duration = frame.duration if frame.duration > 0 else self._usual_duration
        self._progress.seq = frame.seq
        if picture is None:
            metrics.DROPPED.inc()
            self._lengthen(frame.pts + duration)
            return [Emission(done=(arrival.position,))]
        pts = frame.pts
        if self._progress.pts is not None and pts <= self._progress.pts:
            pts = self._progress.pts + 1
            metrics.MENDED.inc()
        self._lengthen(pts)
        self._newest = self._progress.pts = pts
        emissions = [] if self._encoder is None or self._encoder.fits(picture) else self.flush()
        if self._encoder is None:
            self._encoder = H264Encoder(
                picture.width,
                picture.height,
                self._time_base,
                frame_rate=self._frame_rate,
                full_range=picture.full_range,
                live=self._at_once,
                options=self._options,
            )
        self._inside[pts] = _Inside(arrival, duration)
        return emissions + self._emit(self._encoder.encode(picture, pts), self._encoder)

    def flush(self) -> list[Emission]:
        """What the encoder still holds. A picture that follows would start anew, with a keyframe."""
        encoder, self._encoder = self._encoder, None
        return self._emit(encoder.flush(), encoder) if encoder is not None else []

    def _lengthen(self, until: int) -> None:
        """A picture is shown until the next one, whatever its own duration said."""
        if self._newest is not None and until > self._newest and (last := self._inside.get(self._newest)):
            last.duration = until - self._newest

    def _emit(self, encoded: Iterable[EncodedPicture], encoder: H264Encoder) -> list[Emission]:
        emissions = []
        for picture in encoded:
            inside = self._inside.pop(picture.pts)
            arrival = inside.arrival
            message = pb.RedactedMessage()
            self._fill(message.unit, picture, inside, encoder)
            self.outputs.write(message.unit)
            sent_us = self._clock()
            message.unit.trace.add(stage="encoder", received_us=arrival.received_us, sent_us=sent_us)
            self._measure(picture, arrival.frame, sent_us)
            record = Record(VIDEO_REDACTED, self._camera_id, message.SerializeToString())
            emissions.append(Emission((record,), (arrival.position,)))
        return emissions

    def _fill(self, unit: pb.RedactedUnit, picture: EncodedPicture, inside: _Inside, encoder: H264Encoder) -> None:
        frame = inside.arrival.frame
        unit.camera_id, unit.epoch, unit.seq = frame.camera_id, frame.epoch, frame.seq
        unit.keyframe, unit.payload = picture.keyframe, picture.payload
        unit.pts, unit.dts, unit.duration = picture.pts, self._rising_dts(picture), inside.duration
        unit.time_base_num, unit.time_base_den = self._time_base.numerator, self._time_base.denominator
        unit.width, unit.height = encoder.width, encoder.height
        unit.closed, unit.why, unit.captured_us = frame.closed, frame.why, frame.captured_us
        if frame.HasField("closing"):
            unit.closing.CopyFrom(frame.closing)
        unit.masks.extend(frame.masks)
        unit.trace.extend(frame.trace)

    def _rising_dts(self, picture: EncodedPicture) -> int:
        """Decoding times rise across a change of encoder too, where a new one starts before its first picture."""
        last = self._progress.dts
        dts = picture.dts if last is None else max(picture.dts, last + 1)
        self._progress.dts = min(dts, picture.pts)
        return self._progress.dts

    def _measure(self, picture: EncodedPicture, frame: pb.RenderedFrame, sent_us: int) -> None:
        metrics.FRAMES.inc()
        metrics.BYTES.inc(len(picture.payload))
        if picture.keyframe:
            metrics.KEYFRAMES.inc()
        if frame.closed:
            metrics.CLOSED.inc()
        if frame.captured_us:
            metrics.AGE.observe(max(0.0, (sent_us - frame.captured_us) / 1e6))
        frame_left("encoder", frame.camera_id, frame.captured_us, sent_us)
