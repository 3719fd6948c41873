"""One epoch of one camera: pictures in order into the encoder, access units out of it with their identity."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from services.bus.interface import Position, Record
from services.bus.topics import VIDEO_REDACTED
from services.encoder import metrics
from services.encoder.outputs import Outputs
from services.media.encoding import EncodedPicture, H264Encoder, H264Options
from services.media.picture import Picture
from services.runtime.stage import Emission
from services.schema import pb

_GUESSED_RATE = 25.0


@dataclass(slots=True)
class _Inside:
    """A frame whose picture the encoder holds."""

    frame: pb.RenderedFrame
    position: Position
    duration: int


class Epoch:
    """Encodes one epoch.

    Args:
        first: its first frame.
        options: of the encoder.
        outputs: where access units go beside the bus.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        first: pb.RenderedFrame,
        options: H264Options,
        outputs: Outputs,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.number = first.epoch
        self.live = first.live
        self.outputs = outputs
        self._camera_id = first.camera_id
        self._time_base = Fraction(first.time_base_num, first.time_base_den)
        rate = first.frame_rate if first.frame_rate > 0 else _GUESSED_RATE
        self._usual_duration = max(1, round(1 / (Fraction(rate) * self._time_base)))
        self._frame_rate = first.frame_rate
        self._options, self._clock = options, clock
        self._encoder: H264Encoder | None = None
        self._inside: dict[int, _Inside] = {}
        self._last_seq = -1
        self._last_audio = -1
        self._last_pts: int | None = None
        self._last_dts: int | None = None

    def add(self, frame: pb.RenderedFrame, picture: Picture | None, position: Position) -> list[Emission]:
        """Takes a frame. One without picture was dropped by the policy: its time goes to the picture before it."""
        if frame.seq <= self._last_seq:
            metrics.DUPLICATES.inc()
            return [Emission(done=(position,))]
        self._last_seq = frame.seq
        if picture is None:
            metrics.DROPPED.inc()
            self._lengthen(frame.pts + (frame.duration or self._usual_duration))
            return [Emission(done=(position,))]
        pts = frame.pts
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
            metrics.MENDED.inc()
        self._lengthen(pts)
        self._last_pts = pts
        emissions = [] if self._encoder is None or self._encoder.fits(picture) else self.flush()
        if self._encoder is None:
            self._encoder = H264Encoder(
                picture.width,
                picture.height,
                self._time_base,
                frame_rate=self._frame_rate,
                full_range=picture.full_range,
                live=self.live,
                options=self._options,
            )
        self._inside[pts] = _Inside(frame, position, frame.duration or self._usual_duration)
        return emissions + self._emit(self._encoder.encode(picture, pts), self._encoder)

    def add_audio(self, unit: pb.AudioUnit, position: Position) -> list[Emission]:
        """Passes a packet of sound on."""
        if int(unit.index) <= self._last_audio:
            metrics.DUPLICATES.inc()
            return [Emission(done=(position,))]
        self._last_audio = unit.index
        self.outputs.write_audio(unit)
        message = pb.RedactedMessage(audio=unit)
        return [Emission((Record(VIDEO_REDACTED, self._camera_id, message.SerializeToString()),), (position,))]

    def flush(self) -> list[Emission]:
        """What the encoder still holds. A picture that follows would start anew, with a keyframe."""
        encoder, self._encoder = self._encoder, None
        return self._emit(encoder.flush(), encoder) if encoder is not None else []

    def _lengthen(self, until: int) -> None:
        """A picture is shown until the next one, whatever its own duration said."""
        if self._last_pts is not None and until > self._last_pts and (last := self._inside.get(self._last_pts)):
            last.duration = until - self._last_pts

    def _emit(self, encoded: Iterable[EncodedPicture], encoder: H264Encoder) -> list[Emission]:
        emissions = []
        for picture in encoded:
            inside = self._inside.pop(picture.pts)
            message = pb.RedactedMessage()
            self._fill(message.unit, picture, inside, encoder)
            self.outputs.write(message.unit)
            self._measure(picture, inside.frame)
            record = Record(VIDEO_REDACTED, self._camera_id, message.SerializeToString())
            emissions.append(Emission((record,), (inside.position,)))
        return emissions

    def _fill(self, unit: pb.RedactedUnit, picture: EncodedPicture, inside: _Inside, encoder: H264Encoder) -> None:
        frame = inside.frame
        unit.camera_id, unit.epoch, unit.seq = frame.camera_id, frame.epoch, frame.seq
        unit.keyframe, unit.payload = picture.keyframe, picture.payload
        unit.pts, unit.dts, unit.duration = picture.pts, self._rising_dts(picture), inside.duration
        unit.time_base_num, unit.time_base_den = frame.time_base_num, frame.time_base_den
        unit.width, unit.height = encoder.width, encoder.height
        unit.closed, unit.why, unit.captured_us = frame.closed, frame.why, frame.captured_us
        unit.masks.extend(frame.masks)

    def _rising_dts(self, picture: EncodedPicture) -> int:
        """Decoding times rise across a change of encoder too, where a new one starts before its first picture."""
        dts = picture.dts if self._last_dts is None else max(picture.dts, self._last_dts + 1)
        self._last_dts = min(dts, picture.pts)
        return self._last_dts

    def _measure(self, picture: EncodedPicture, frame: pb.RenderedFrame) -> None:
        metrics.FRAMES.inc()
        metrics.BYTES.inc(len(picture.payload))
        if picture.keyframe:
            metrics.KEYFRAMES.inc()
        if frame.closed:
            metrics.CLOSED.inc()
        if frame.captured_us:
            metrics.AGE.observe(max(0.0, self._clock() - frame.captured_us / 1e6))
