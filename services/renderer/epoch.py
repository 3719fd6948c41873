"""One epoch of one camera: its frames and its spans joined by frame number, rendered in order."""

import logging
from collections import deque
from collections.abc import Sequence

import numpy as np

from services.bus.interface import Message, Position, Record
from services.bus.topics import VIDEO_RENDERED
from services.media.picture import Picture
from services.renderer import metrics
from services.renderer.frames import Frame, FrameQueue
from services.renderer.output import FrameWriter
from services.renderer.painter import Masked, Painter
from services.renderer.pictures import Missing, OwnDecoder
from services.renderer.rules import Rules
from services.renderer.settings import RendererSettings
from services.renderer.spans import Span, SpanStore
from services.renderer.verdict import Closure, Reason, judge
from services.runtime.stage import Emission
from services.schema import pb

# Three hours of spans half a second long, 20 MB with two tracks each: redactions never run further ahead of the video.
_SPANS_MAX = 20_000

_log = logging.getLogger(__name__)


class Epoch:
    """Joins what belongs to one (camera, epoch); `step` gives out one frame, packet of sound or end at a time.

    Args:
        camera_id: whose epoch it is.
        number: the epoch.
        settings: deadlines and transport.
        now: in the stage's seconds.

    Attributes:
        started: something came from the source; before that there are only redactions.
        ended: the end of the source is known.
        finished: the end went out.
        held_bytes: of frames and sound that wait.
    """

    def __init__(self, camera_id: str, number: int, settings: RendererSettings, now: float) -> None:
        self.camera_id = camera_id
        self.number = number
        self.created = now
        self.started = False
        self.finished = False
        self.held_bytes = 0
        self._settings = settings
        self._frames = FrameQueue()
        self._spans = SpanStore()
        self._decoder = OwnDecoder()
        self._painter = Painter()
        self._writer = FrameWriter(camera_id, number, settings)
        self._stream = pb.StreamInfo()
        self._audio: deque[tuple[pb.AudioUnit, Position, int]] = deque()
        self._end: pb.EndOfStream | None = None
        self._redactions_ended = False
        self._last_span_at = now
        self._silent = False
        self._kept: list[Position] = []  # out already, but a replay of the current group of pictures needs them
        self._ends: list[Position] = []

    @property
    def live(self) -> bool:
        """True for a source that sheds rather than waits."""
        return self._stream.live

    @property
    def ended(self) -> bool:
        """True once the end of the source is known."""
        return self._end is not None

    @property
    def waiting_since(self) -> float | None:
        """When the oldest frame came that could be given up; None if there is none."""
        frame = self._frames.oldest()
        return None if frame is None else frame.arrived

    def add_unit(self, unit: pb.AccessUnit, message: Message, now: float) -> None:
        """Takes an access unit, with its picture or without."""
        self.started = True
        if unit.HasField("stream"):
            self._stream = unit.stream
        picture = self._shared_picture(message.record)
        if picture is None:
            decodable = self._decoder.push(unit)
            size = message.record.size
        else:
            self._decoder.interrupt()
            decodable = False
            size = picture.data.nbytes
        if not self._frames.is_new(unit.seq):
            self._kept.append(message.position)
            return
        self.held_bytes += size
        self._frames.add(
            Frame(
                seq=unit.seq,
                pts=unit.pts,
                duration=unit.duration,
                captured_us=unit.captured_us,
                keyframe=unit.keyframe and not unit.corrupt,
                corrupt=unit.corrupt,
                size=size,
                arrived=now,
                position=message.position,
                picture=picture,
                decodable=decodable,
            )
        )

    def add_audio(self, unit: pb.AudioUnit, message: Message) -> None:
        """Takes a packet of sound: it goes out behind the frame it belongs to."""
        self.started = True
        self._audio.append((unit, message.position, message.record.size))
        self.held_bytes += message.record.size

    def add_span(self, span: Span, now: float) -> bool:
        """Takes a span. False if all its frames are out already."""
        self._last_span_at = now
        self._silent = False
        if span.last_seq < (self._frames.next_seq or 0):
            return False
        self._spans.add(span)
        return True

    @property
    def spans_full(self) -> bool:
        """True where so many spans wait for their frames that no more are taken."""
        return len(self._spans) >= _SPANS_MAX

    def end_redactions(self, position: Position) -> None:
        """No more spans will come: frames without one need not wait."""
        self._redactions_ended = True
        self._ends.append(position)

    def end_source(self, end: pb.EndOfStream, position: Position | None = None) -> None:
        """No more frames will come. There is no position where the source broke off without a word."""
        self.started = True
        self._end = end
        if position is not None:
            self._ends.append(position)

    def broken_off(self) -> pb.EndOfStream:
        """The end of a source that was opened anew without having ended: nothing more comes of this epoch."""
        return pb.EndOfStream(
            camera_id=self.camera_id,
            epoch=self.number,
            frames=self._frames.newest + 1,
            reason=pb.EndOfStream.LOST,
            detail="The source was opened again before its end was seen.",
        )

    def shed_oldest(self) -> bool:
        """Closes the oldest frame, and lets go of its picture at once. False if there is none."""
        frame = self._frames.oldest()
        if frame is None:
            return False
        frame.overflow = True
        self._let_go(frame)
        return True

    def abandon(self) -> list[Position]:
        """Gives up everything in hand, and says where it stood."""
        audio = [position for _, position, _ in self._audio]
        return [*self._spans.clear(), *self._kept, *self._ends, *audio]

    def step(self, rules: Rules | None, now: float) -> Emission | None:
        """The next thing that can go out, or None while it has to wait."""
        if self._audio and (self._frames.next_seq or 0) > self._audio[0][0].after_seq:
            return self._send_audio()
        frame = self._frames.head(live=self.live, end=None if self._end is None else self._end.frames)
        if frame is not None:
            return self._render(frame, rules, now)
        if self._end is None or len(self._frames):
            return None
        if self._audio:
            return self._send_audio()
        self.finished = True
        return self._emission(pb.RenderedMessage(end=self._end), self.abandon())

    def _render(self, frame: Frame, rules: Rules | None, now: float) -> Emission | None:
        """The frame masked where that is allowed, closed where it is not; None while neither is certain."""
        opened = self._open(frame, rules, now)
        if opened is None:
            return None
        if isinstance(opened, Closure):
            picture = None if rules is not None and rules.drop else self._closed_picture(frame, rules)
            record = self._writer.record(frame, self._stream, picture, opened, {})
            metrics.FRAMES.labels("dropped" if picture is None else "closed").inc()
            metrics.CLOSED.labels(opened.reason.value).inc()
        else:
            record = self._writer.record(frame, self._stream, opened.picture, None, opened.masks)
            metrics.FRAMES.labels("masked" if opened.masks else "clear").inc()
            for kind, count in opened.masks.items():
                metrics.MASKS.labels(pb.Kind.Name(kind).removeprefix("KIND_").lower()).inc(count)
        if self.live:
            metrics.AGE.observe(max(0.0, now - frame.captured_us / 1e6))
        return Emission((record,), self._pop(frame))

    def _open(self, frame: Frame, rules: Rules | None, now: float) -> Masked | Closure | None:
        """Invariant I1: every way but the last line keeps the frame's own pixels in."""
        if rules is None:
            return Closure.of(Reason.NO_POLICY)
        if frame.overflow:
            return Closure.of(Reason.OVERFLOW)
        if frame.corrupt:
            return Closure.of(Reason.CORRUPT)
        if frame.picture is None and not frame.decodable:
            return Closure.of(Reason.NO_PICTURE)
        spans = self._spans.covering(frame.seq)
        if not spans:
            return self._without_span(frame, rules, now)
        refusal = judge(spans, rules)
        if refusal is not None:
            return refusal
        picture = frame.picture or self._decoder.picture(frame.seq, ended=self.ended)
        if picture is Missing.PENDING:
            return Closure.of(Reason.DEADLINE) if self.live and self._overdue(frame, rules, now) else None
        if isinstance(picture, Missing):
            return Closure.of(Reason.CORRUPT if picture is Missing.CORRUPT else Reason.NO_PICTURE)
        if (picture.width, picture.height) != (self._stream.width, self._stream.height):
            return Closure.of(Reason.WRONG_SIZE)
        try:
            return self._painter.masked(picture, spans, frame.seq, rules)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong here, the frame must close and the line go on
            # The type alone: a message could quote what the arrays held.
            _log.error("camera %s frame %d could not be masked: %s", self.camera_id, frame.seq, type(error).__name__)
            return Closure.of(Reason.MASK_FAILED)

    def _without_span(self, frame: Frame, rules: Rules, now: float) -> Closure | None:
        if self._spans.beyond(frame.seq):
            return Closure.of(Reason.NO_SPAN)
        if self._redactions_ended:
            return Closure.of(Reason.REDACTIONS_ENDED)
        return Closure.of(Reason.DEADLINE) if self._overdue(frame, rules, now) else None

    def _overdue(self, frame: Frame, rules: Rules, now: float) -> bool:
        if self.live:
            return now - frame.arrived > (self._settings.live_deadline_s or rules.live_deadline_s)
        # Once a file's spans have stopped, each further frame would wait just as long: they close at once until a
        # span comes again.
        if now - max(frame.arrived, self._last_span_at) > self._settings.file_deadline_s:
            self._silent = True
        return self._silent

    def _closed_picture(self, frame: Frame, rules: Rules | None) -> Picture | None:
        """What stands for a closed frame; None as long as not even the stream's size is known."""
        width, height = self._stream.width, self._stream.height
        if not (width and height):
            return None
        own = frame.picture
        if own is not None and (own.width, own.height) != (width, height):
            own = None
        blank = own or Picture(np.full((height * 3 // 2, width), 128, np.uint8), self._stream.full_range)
        return self._painter.closed(blank, badge=rules is not None and rules.badge)

    def _pop(self, frame: Frame) -> list[Position]:
        """The frame is out: lets go of it, and says which messages no replay would need."""
        self._frames.pop(frame)
        self._decoder.forget(frame.seq, keyframe=frame.keyframe)
        self._let_go(frame)
        done = self._spans.release(frame.seq + 1)
        if frame.keyframe:
            done += self._kept
            self._kept = []
        if frame.position is not None:
            self._kept.append(frame.position)
        return done

    def _let_go(self, frame: Frame) -> None:
        self.held_bytes -= frame.size
        frame.size = 0
        frame.picture = None

    def _send_audio(self) -> Emission:
        unit, position, size = self._audio.popleft()
        self.held_bytes -= size
        return self._emission(pb.RenderedMessage(audio=unit), [position])

    def _emission(self, message: pb.RenderedMessage, done: Sequence[Position]) -> Emission:
        return Emission((Record(VIDEO_RENDERED, self.camera_id, message.SerializeToString()),), done)

    def _shared_picture(self, record: Record) -> Picture | None:
        if record.attachment is None:
            return None
        try:
            return Picture(record.attachment, self._stream.full_range)
        except ValueError:
            return None
