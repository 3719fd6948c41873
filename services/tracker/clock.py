"""The stream's own time: seconds and frame rate from pts, or from the nominal rate where pts say nothing."""

from services.schema import pb

_ASSUMED_RATE = 25.0
_RATES = (1.0, 240.0)
_WEIGHT = 0.1
"""Of the newest interval in the measured rate: follows a camera that slows down at night within ten looks."""


class FrameClock:
    """Turns the pts of one epoch's looks into seconds since its first frame.

    Attributes:
        rate: frames per second, measured; the nominal one until there is a measurement.
        seconds: stream time of the newest look.
    """

    def __init__(self, first: pb.Detections) -> None:
        nominal = first.frame_rate if first.frame_rate > 0 else _ASSUMED_RATE
        self.rate = _bounded(nominal)
        self._measured = first.frame_rate > 0
        self._seq = first.seq
        self._pts = first.pts
        self.seconds = first.seq / self.rate
        self._anchor = (first.pts, self.seconds)

    def advance(self, look: pb.Detections) -> float:
        """Seconds from the look before to this one."""
        frames = look.seq - self._seq
        ticks = look.pts - self._pts
        if look.time_base_den and look.time_base_num and ticks > 0:
            step = ticks * look.time_base_num / look.time_base_den
            rate = _bounded(frames / step)
            self.rate = rate if not self._measured else 1 / ((1 - _WEIGHT) / self.rate + _WEIGHT / rate)
            self._measured = True
            pts, seconds = self._anchor  # one sum instead of many: days of looks add up no rounding
            self.seconds = seconds + (look.pts - pts) * look.time_base_num / look.time_base_den
        else:
            step = frames / self.rate
            self.seconds += step
            self._anchor = (look.pts, self.seconds)
        self._seq, self._pts = look.seq, look.pts
        return step


def _bounded(rate: float) -> float:
    return min(max(rate, _RATES[0]), _RATES[1])
