"""One camera's newest group of pictures, kept until a look at it is due."""

from dataclasses import dataclass, field
from fractions import Fraction

from services.media.decoding import AccessUnitDecoder
from services.schema import pb

Unit = pb.RedactedUnit


@dataclass(frozen=True, slots=True)
class Sample:
    """The access units from an IDR picture to the one to look at, which is the last."""

    units: tuple[Unit, ...] = field(repr=False)

    @property
    def newest(self) -> Unit:
        return self.units[-1]

    @property
    def t_s(self) -> float:
        """Time of the picture within its epoch, in seconds."""
        return float(_time(self.newest))


class CameraGroup:
    """Gathers one camera's units and says when a look is due.

    Args:
        every_s: seconds of video between two looks.
        most_bytes: of a group; what follows in a larger one is not looked at.
    """

    def __init__(self, every_s: float, most_bytes: int) -> None:
        self._every_s, self._most_bytes = Fraction(every_s), most_bytes
        self._units: list[Unit] = []
        self._bytes = 0
        self._epoch = 0
        self._due: Fraction | None = None

    def take(self, unit: Unit) -> Sample | None:
        """Takes the next unit; a sample where a look at it is due."""
        if unit.epoch != self._epoch:
            self._epoch, self._due, self._units = unit.epoch, None, []
        if unit.keyframe:
            self._units, self._bytes = [], 0
        elif not self._units:
            return None
        self._bytes += len(unit.payload)
        if self._bytes > self._most_bytes:
            self._units = []
            return None
        self._units.append(unit)
        now = _time(unit)
        if self._due is not None and now < self._due:
            return None
        self._due = now + self._every_s
        return Sample(tuple(self._units))


def decoder_for(unit: Unit) -> AccessUnitDecoder:
    """A decoder that starts with this unit's group."""
    return AccessUnitDecoder(info_of(unit))


def info_of(unit: Unit) -> pb.StreamInfo:
    """What a decoder needs to know: the parameter sets are in band."""
    return pb.StreamInfo(
        codec="h264", width=unit.width, height=unit.height, coded_width=unit.width, coded_height=unit.height
    )


def _time(unit: Unit) -> Fraction:
    return Fraction(unit.pts * unit.time_base_num, unit.time_base_den)
