"""What disclosure needs of whoever keeps originals; the vault's reader is one such keeper."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from services.schema import pb


class Unit(Protocol):
    """An access unit with its payload inline, and whether it lies in the range that was asked for."""

    @property
    def unit(self) -> pb.AccessUnit:
        """The access unit."""

    @property
    def wanted(self) -> bool:
        """False for what is there for the decoder only, and never to be shown."""


@runtime_checkable
class Piece(Protocol):
    """Access units of one epoch in decoding order, and the spans that say what is on them."""

    @property
    def camera_id(self) -> str:
        """Of the camera."""

    @property
    def epoch(self) -> int:
        """Of all units."""

    @property
    def units(self) -> Sequence[Unit]:
        """In decoding order; pieces of an epoch follow each other without overlap."""

    @property
    def spans(self) -> Sequence[pb.RedactionSpan]:
        """All that touch these units. Of those that hold a frame, the first counts."""


@runtime_checkable
class Gap(Protocol):
    """A part of the range of which nothing can be given."""

    @property
    def start_us(self) -> int:
        """Microseconds since 1970."""

    @property
    def end_us(self) -> int:
        """Microseconds since 1970."""

    @property
    def kind(self) -> str:
        """One word."""

    @property
    def why(self) -> str:
        """One sentence."""


class Run(Protocol):
    """Frames that are kept, one behind the other; times between both ends are evenly spread, within some frames."""

    @property
    def first_seq(self) -> int:
        """Number in the epoch."""

    @property
    def last_seq(self) -> int:
        """Number in the epoch; included."""

    @property
    def start_us(self) -> int:
        """When the first was taken, microseconds since 1970."""

    @property
    def end_us(self) -> int:
        """When the last was taken, microseconds since 1970."""


class Outline(Protocol):
    """What is known of one epoch in a range, without its pictures."""

    @property
    def camera_id(self) -> str:
        """Of the camera."""

    @property
    def epoch(self) -> int:
        """Of all frames."""

    @property
    def runs(self) -> Sequence[Run]:
        """The frames that there are, in order."""

    def spans(self) -> Iterator[pb.RedactionSpan]:
        """All that touch these frames, in the order in which they came."""


class Footage(Protocol):
    """Opens originals to whoever says their name and purpose."""

    def open(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str
    ) -> Iterable[Piece | Gap]:
        """A camera's originals of a range, in order of epoch and number; may be iterated more than once."""

    def outline(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str
    ) -> Iterable[Outline]:
        """The same range without its pictures, epoch by epoch: a day of it takes seconds."""
