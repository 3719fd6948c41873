"""What a run wants to know of each camera, readable from any thread while the stage works."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.schema import pb


@dataclass(frozen=True, slots=True)
class Tally:
    """One camera's counts so far.

    Attributes:
        frames: pictures encoded.
        closed: of these, masked as a whole.
        dropped: frames without picture.
        masks: kind → masks drawn.
    """

    frames: int = 0
    closed: int = 0
    dropped: int = 0
    masks: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Count:
    """The stage's own side of a tally. Only its thread writes; each read is of one whole value."""

    frames: int = 0
    closed: int = 0
    dropped: int = 0
    masks: Counter[str] = field(default_factory=Counter)

    def add(self, frame: pb.RenderedFrame) -> None:
        """Counts an encoded picture."""
        self.frames += 1
        self.closed += frame.closed
        for mask in frame.masks:
            self.masks[pb.Kind.Name(mask.kind).removeprefix("KIND_").lower()] += mask.count

    def snapshot(self) -> Tally:
        """The counts now."""
        return Tally(self.frames, self.closed, self.dropped, dict(self.masks))
