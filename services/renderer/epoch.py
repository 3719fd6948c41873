"""One epoch of one camera: its frames and its spans joined by frame number, rendered in order."""

from collections import deque
from collections.abc import Callable, Sequence

from services.bus.interface import Message, Position, Record
from services.bus.topics import VIDEO_RENDERED
from services.envelope import Opener
from services.media.picture import Picture
from services.renderer import metrics
from services.renderer.checks import check_jump
from services.renderer.frames import Frame, FrameQueue
from services.renderer.gate import Gate
from services.renderer.output import FrameWriter
from services.renderer.payloads import Payloads
from services.renderer.rules import Rules
from services.renderer.settings import RendererSettings
from services.renderer.spans import Span
from services.renderer.trace import copied
from services.runtime.metrics import frame_left
from services.runtime.stage import Emission
from services.schema import pb


class Hold:
    """Bytes of frames and sound that wait, all cameras together."""

    def __init__(self) -> None:
        self.bytes = 0


class Epoch:
    """Joins what belongs to one (camera, epoch); `step` gives out one frame, packet of sound or end at a time.

    Args:
        camera_id: whose epoch it is.
        number: the epoch.
        settings: deadlines and transport.
        clock: seconds since 1970.
        hold: counts what waits here too.
        opener: decrypts payloads; without one, sealed ones stay closed.

    Attributes:
        heard: when its last message came.
        started: something came from the source; before that there are only redactions.
        finished: the end went out.
    """

    def __init__(
        self,
        camera_id: str,
        number: int,
        settings: RendererSettings,
        clock: Callable[[], float],
        hold: Hold,
        opener: Opener | None,
    ) -> None:
        self.camera_id = camera_id
        self.number = number
        self.heard = clock()
        self.started = False
        self.finished = False
        self._clock = clock
        self._hold = hold
        self._payloads = Payloads(camera_id, number, opener)
        self._frames = FrameQueue()
        self._gate = Gate(camera_id, settings, clock)
        self._writer = FrameWriter(camera_id, number, settings)
        self._audio: deque[tuple[pb.AudioUnit, Position, int]] = deque()
        self._end: pb.EndOfStream | None = None
        self._resting = False
        self._kept: list[Position] = []  # of what is out already, but a replay of the current group of pictures needs
        self._ends: list[Position] = []

    @property
    def live(self) -> bool:
        """True for a source that sheds rather than waits."""
        return self._gate.stream.live

    @property
    def ended(self) -> bool:
        """True once the end of the source is known."""
        return self._end is not None

    @property
    def waiting(self) -> bool:
        """True while time alone may let something out, or let it go."""
        return bool(len(self._frames) or self._audio or self.ended or not self.started)

    @property
    def waiting_since(self) -> float | None:
        """When the oldest frame came that could be given up; None if there is none."""
        frame = self._frames.oldest()
        return None if frame is None else frame.arrived

    def add_unit(self, unit: pb.AccessUnit, message: Message) -> bool:
        """Takes an access unit, with its picture or without. False if it is not needed. Raises InvalidMessage."""
        keyframe = unit.keyframe and not unit.corrupt
        if not self._frames.begins(unit.seq, keyframe=keyframe):
            metrics.SKIPPED.inc()
            return False
        if self.started and not self._resting:
            check_jump(unit.seq, self._frames.newest)
        now = self._hear()
        self.started = True
        if unit.HasField("stream"):
            self._gate.stream = pb.StreamInfo()
            self._gate.stream.CopyFrom(unit.stream)  # a reference would keep the whole message in memory
        picture = self._shared_picture(message.record)
        if picture is None:
            payload = self._payloads.picture(unit)
            decodable = self._gate.decoder.push(unit, payload)
            sealed = payload is None and unit.HasField("sealed")
            size = message.record.size
        else:
            self._gate.decoder.interrupt()
            decodable = sealed = False
            size = picture.data.nbytes
        if not self._frames.is_new(unit.seq):
            self._kept.append(message.position)
            return True
        self._hold.bytes += size
        self._frames.add(
            Frame(
                seq=unit.seq,
                pts=unit.pts,
                duration=unit.duration,
                captured_us=unit.captured_us,
                keyframe=keyframe,
                corrupt=unit.corrupt,
                size=size,
                arrived=now,
                position=message.position,
                picture=picture,
                decodable=decodable,
                sealed=sealed,
                trace=(*copied(unit.trace), pb.Hop(stage="renderer", received_us=int(now * 1e6))),
            )
        )
        return True

    def add_audio(self, unit: pb.AudioUnit, message: Message) -> bool:
        """Takes a packet of sound: it goes out behind the frame it belongs to. False if it can't be opened."""
        self._hear()
        self.started = True
        payload = self._payloads.sound(unit)
        if payload is None:
            metrics.SOUND_LOST.inc()
            return False
        unit.inline = payload
        self._audio.append((unit, message.position, message.record.size))
        self._hold.bytes += message.record.size
        return True

    def add_span(self, span: Span) -> bool:
        """Takes a span. False if all its frames are out already. Raises InvalidMessage."""
        taken = self._gate.add(span, self._frames.next_seq or 0, jump=self._resting)
        self._hear()
        return taken

    @property
    def spanned(self) -> bool:
        """True once a span came."""
        return self._gate.spanned

    @property
    def spans_full(self) -> bool:
        """True where so many spans wait for their frames that no more are taken."""
        return self._gate.full

    def end_redactions(self, position: Position | None = None) -> None:
        """No more spans will come: frames without one need not wait."""
        self._gate.end_redactions()
        if position is not None:
            self._hear()
            self._ends.append(position)

    def end_source(self, end: pb.EndOfStream, position: Position | None = None) -> None:
        """No more frames will come. There is no position where the source broke off without a word."""
        self.started = self._gate.ended = True
        self._end = end
        if position is not None:
            self._hear()
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

    def shed_sound(self) -> list[Position]:
        """Lets go of the sound that waits, and says where it stood."""
        done = []
        while self._audio:
            _, position, size = self._audio.popleft()
            self._hold.bytes -= size
            metrics.SOUND_LOST.inc()
            done.append(position)
        return done

    def rest(self) -> list[Position]:
        """Nothing was heard for long: frames no longer wait for lost ones, and positions are given up.

        Should the stream go on, so does the epoch.
        """
        self._resting = True
        kept, self._kept = self._kept, []
        return kept if len(self._frames) else [*kept, *self._gate.clear()]

    def abandon(self) -> list[Position]:
        """Gives up everything in hand, and says where it stood."""
        kept = [*self._kept, *self._ends, *self._gate.clear(), *self.shed_sound()]
        self._kept, self._ends = [], []
        for frame in self._frames.clear():
            self._let_go(frame)
            if frame.position is not None:
                kept.append(frame.position)
        return kept

    def step(self, rules: Rules | None) -> Emission | None:
        """The next thing that can go out, or None while it has to wait."""
        if self._audio and (self._frames.next_seq or 0) > self._audio[0][0].after_seq:
            return self._send_audio()
        end = None if self._end is None else self._end.frames
        if end is None and self._resting:
            end = self._frames.newest + 1
        frame = self._frames.head(live=self.live, end=end)
        if frame is not None:
            return self._render(frame, rules)
        if self._end is None or len(self._frames):
            return None
        if self._audio:
            return self._send_audio()
        self.finished = True
        return self._emission(pb.RenderedMessage(end=self._end), self.abandon())

    def _hear(self) -> float:
        self.heard = self._clock()
        self._resting = False
        return self.heard

    def _render(self, frame: Frame, rules: Rules | None) -> Emission | None:
        now = self._clock()
        span = self._gate.span_of(frame)
        shown = self._gate.shown(frame, span, rules, now)
        if shown is None:
            return None
        record = self._writer.record(frame, self._gate.stream, shown, self._trace(frame, span))
        metrics.count(shown)
        if rules is not None:  # anyone could make up a camera that no policy knows
            frame_left("renderer", self.camera_id, frame.captured_us, int(now * 1e6))
        if self.live:
            metrics.AGE.observe(max(0.0, now - frame.captured_us / 1e6))
        return Emission((record,), self._pop(frame))

    def _trace(self, frame: Frame, span: Span | None) -> Sequence[pb.Hop]:
        if frame.trace:
            frame.trace[-1].sent_us = int(self._clock() * 1e6)
        return frame.trace if span is None else (*frame.trace, *span.trace)

    def _pop(self, frame: Frame) -> list[Position]:
        """The frame is out: lets go of it, and says which messages no replay would need.

        A replay begins at a keyframe and renders again what was sent from there on. It must come to the same frames,
        so that the spans of that group of pictures are kept with its access units.
        """
        self._frames.pop(frame)
        self._let_go(frame)
        done: list[Position] = []
        if frame.keyframe:
            done, self._kept = self._kept, done
        if frame.position is not None:
            self._kept.append(frame.position)
        self._kept += self._gate.passed(frame)
        return done

    def _let_go(self, frame: Frame) -> None:
        self._hold.bytes -= frame.size
        frame.size = 0
        frame.picture = None

    def _send_audio(self) -> Emission:
        unit, position, size = self._audio.popleft()
        self._hold.bytes -= size
        return self._emission(pb.RenderedMessage(audio=unit), [position])

    def _emission(self, message: pb.RenderedMessage, done: Sequence[Position]) -> Emission:
        return Emission((Record(VIDEO_RENDERED, self.camera_id, message.SerializeToString()),), done)

    def _shared_picture(self, record: Record) -> Picture | None:
        if record.attachment is None:
            return None
        try:
            return Picture(record.attachment, self._gate.stream.full_range)
        except ValueError:
            return None
