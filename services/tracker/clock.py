"""The stream's own time: seconds and frame rate from pts, or from the nominal rate where pts say nothing."""

from services.schema import pb

_ASSUMED_RATE = 25.0
_RATES = (1.0, 240.0)
_WEIGHT = 0.1
"""Of the newest interval in the measured rate: follows a camera that slows down at night within ten looks."""

_SLOWER = 4.0
"""Most by which one interval counts as longer than the usual one: a camera's clock that jumps is no slow camera."""

_STEP_MAX_S = 3600.0
"""Longest stretch between two looks; what pts say beyond it is a jump."""

_START_MAX_S = 10.0
"""Streams begin near 0; pts that begin far from it count something else, such as the time since a machine started."""


class FrameClock:
    """Turns the pts of one epoch's looks into seconds since its first frame.

    A tracker that begins in mid-stream comes to the same seconds as one that saw the beginning, wherever pts begin
    near 0, so that what both say of a moment bears the same time.

    Attributes:
        rate: frames per second, measured; the nominal one until there is a measurement.
        seconds: stream time of the newest look.
    """

    def __init__(self, first: pb.Detections) -> None:
        nominal = first.frame_rate if first.frame_rate > 0 else _ASSUMED_RATE
        self.rate = _bounded(nominal)
        self._measured = 1 if first.frame_rate > 0 else 0
        self._tick_s = first.time_base_num / first.time_base_den if first.time_base_den else 0.0
        self._seq = first.seq
        self._pts = first.pts
        self.seconds = first.seq / self.rate
        by_pts = first.pts * self._tick_s
        if self._tick_s and 0 <= by_pts <= _START_MAX_S + _SLOWER * self.seconds:
            self.seconds = by_pts
        self._anchor = (first.pts, self.seconds)

    def advance(self, look: pb.Detections) -> float:
        """Seconds from the look before to this one."""
        frames = look.seq - self._seq
        step = (look.pts - self._pts) * self._tick_s
        if 0 < step <= _STEP_MAX_S:
            self._measure(step / frames)
            pts, seconds = self._anchor  # one sum instead of many: days of looks add up no rounding
            self.seconds = seconds + (look.pts - pts) * self._tick_s
        else:
            step = frames / self.rate if step <= 0 else _STEP_MAX_S
            self.seconds += step
            self._anchor = (look.pts, self.seconds)
        self._seq, self._pts = look.seq, look.pts
        return step

    def _measure(self, interval: float) -> None:
        """Takes the mean of the first intervals, the nominal one among them, then follows slowly."""
        if not self._measured:
            self.rate = _bounded(1 / interval)
        else:
            weight = max(_WEIGHT, 1 / (self._measured + 1))
            usual = 1 / self.rate
            interval = min(max(interval, 1 / _RATES[1]), _SLOWER * usual)
            self.rate = _bounded(1 / ((1 - weight) * usual + weight * interval))
        self._measured += 1


def _bounded(rate: float) -> float:
    return min(max(rate, _RATES[0]), _RATES[1])
