"""What disclosure needs of whoever keeps originals; the vault's reader is one such keeper."""

from collections.abc import Iterable, Sequence
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


class Footage(Protocol):
    """Opens originals to whoever says their name and purpose."""

    def open(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str
    ) -> Iterable[Piece | Gap]:
        """A camera's originals of a range, in order of epoch and number; may be iterated more than once."""
