"""Invariant I1: the one way by which a frame's own pixels get out, and everything that keeps them in."""

import logging
from collections.abc import Callable

from services.bus.interface import Position
from services.media.picture import Picture
from services.renderer.checks import check_jump
from services.renderer.frames import Frame
from services.renderer.output import Shown
from services.renderer.painter import Masked, Painter
from services.renderer.pictures import Missing, OwnDecoder
from services.renderer.rules import Rules
from services.renderer.settings import RendererSettings
from services.renderer.spans import Span, SpanStore
from services.renderer.verdict import Closure, Reason, judge
from services.schema import pb

# Three hours of spans half a second long, 20 MB with two tracks each: redactions never run further ahead of the video.
_SPANS_MAX = 20_000

_log = logging.getLogger(__name__)


class Gate:
    """Decides for each frame of one epoch, in order, what is shown of it.

    Args:
        camera_id: for the log.
        settings: deadlines.
        clock: seconds since 1970.

    Attributes:
        decoder: makes pictures of access units that came without.
        stream: what the newest keyframe says of the pictures.
        spanned: a span came.
        ended: no more access units will come.
    """

    def __init__(self, camera_id: str, settings: RendererSettings, clock: Callable[[], float]) -> None:
        self.decoder = OwnDecoder()
        self.stream = pb.StreamInfo()
        self.spanned = False
        self.ended = False
        self._camera_id = camera_id
        self._settings = settings
        self._clock = clock
        self._spans = SpanStore()
        self._spans_until = 0
        self._painter = Painter()
        self._last_span_at = clock()
        self._silent = False
        self._redactions_ended = False

    @property
    def full(self) -> bool:
        """True where so many spans wait for their frames that no more are taken."""
        return len(self._spans) >= _SPANS_MAX

    def add(self, span: Span, next_seq: int, *, jump: bool) -> bool:
        """Takes a span. False if all its frames are out already. Raises InvalidMessage.

        Args:
            span: to take.
            next_seq: first frame that is not out.
            jump: it may lie anywhere.
        """
        if self.spanned and not jump:
            check_jump(span.first_seq, self._spans_until)
        self.spanned = True
        self._last_span_at = self._clock()
        self._silent = self._redactions_ended = False
        self._spans_until = max(self._spans_until, span.last_seq)
        if span.last_seq < next_seq:
            return False
        self._spans.add(span)
        return True

    def end_redactions(self) -> None:
        """No more spans will come: frames without one need not wait."""
        self._redactions_ended = True

    def span_of(self, frame: Frame) -> Span | None:
        """The span that says what becomes of a frame."""
        return self._spans.covering(frame.seq)

    def shown(self, frame: Frame, span: Span | None, rules: Rules | None, now: float) -> Shown | None:
        """The frame masked where that is allowed, closed where it is not; None while neither is certain."""
        opened = self._open(frame, span, rules, now)
        if isinstance(opened, Masked):
            return Shown(opened.picture, None, opened.masks)
        if opened is None:
            return None
        drop = rules is not None and rules.drop
        return Shown(None if drop else self._closed_picture(frame, rules), opened)

    def passed(self, frame: Frame) -> list[Position]:
        """The frame is out: says where the spans stood that no later frame needs."""
        self.decoder.forget(frame.seq, keyframe=frame.keyframe)
        return [span.position for span in self._spans.release(frame.seq + 1)]

    def clear(self) -> list[Position]:
        """Lets go of all spans, and says where they stood."""
        return [span.position for span in self._spans.clear()]

    def _open(self, frame: Frame, span: Span | None, rules: Rules | None, now: float) -> Masked | Closure | None:
        """Every way but the last line keeps the frame's own pixels in."""
        if rules is None:
            return Closure.of(Reason.NO_POLICY)
        if frame.overflow:
            return Closure.of(Reason.OVERFLOW)
        if frame.corrupt:
            return Closure.of(Reason.CORRUPT)
        if frame.picture is None and not frame.decodable:
            return Closure.of(Reason.SEALED if frame.sealed else Reason.NO_PICTURE)
        if span is None:
            return self._without_span(frame, rules, now)
        refusal = judge(span, rules)
        if refusal is not None:
            return refusal
        picture = frame.picture or self.decoder.picture(frame.seq, ended=self.ended)
        if picture is Missing.PENDING:
            return Closure.of(Reason.DEADLINE) if self.stream.live and self._overdue(frame, rules, now) else None
        if isinstance(picture, Missing):
            return Closure.of(Reason.CORRUPT if picture is Missing.CORRUPT else Reason.NO_PICTURE)
        if not self._fits(picture):
            return Closure.of(Reason.WRONG_SIZE)
        try:
            return self._painter.masked(picture, span, frame.seq, rules)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong here, the frame must close and the line go on
            # The type alone: a message could quote what the arrays held.
            _log.error("camera %s frame %d could not be masked: %s", self._camera_id, frame.seq, type(error).__name__)
            return Closure.of(Reason.MASK_FAILED)

    def _without_span(self, frame: Frame, rules: Rules, now: float) -> Closure | None:
        if self._spans.beyond(frame.seq):
            return Closure.of(Reason.NO_SPAN)
        if self._redactions_ended:
            return Closure.of(Reason.REDACTIONS_ENDED)
        return Closure.of(Reason.DEADLINE) if self._overdue(frame, rules, now) else None

    def _overdue(self, frame: Frame, rules: Rules, now: float) -> bool:
        if self.stream.live:
            return now - frame.arrived > (self._settings.live_deadline_s or rules.live_deadline_s)
        # Once a file's spans have stopped, each further frame would wait just as long: they close at once until a
        # span comes again.
        if now - max(frame.arrived, self._last_span_at) > self._settings.file_deadline_s:
            self._silent = True
        return self._silent

    def _closed_picture(self, frame: Frame, rules: Rules | None) -> Picture | None:
        """What stands for a closed frame; None as long as not even the stream's size is known."""
        if not (self.stream.width and self.stream.height):
            return None
        own = frame.picture if frame.picture is not None and self._fits(frame.picture) else None
        return self._painter.closed(own, self.stream, badge=rules is not None and rules.badge)

    def _fits(self, picture: Picture) -> bool:
        return (picture.width, picture.height) == (self.stream.width, self.stream.height)
