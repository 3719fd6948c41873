"""One look at one picture of a stream: finds, what became suspect, and the re-masked evidence of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.auditor.covered import is_closed
from services.auditor.evidence import place_of, remasked
from services.auditor.eyes import Eyes
from services.auditor.find import Box
from services.auditor.suspects import Suspect, Watch
from services.detect.interface import Image
from services.media.picture import Picture


@dataclass(slots=True)
class Examiner:
    """Looks at the pictures of one stream.

    Attributes:
        eyes: what it sees with.
        sure: kind → score from which one look is enough.
        ignore: boxes as shares of the picture; a find with its centre in one is left out (a clock, a shop's sign).
        evidence: keeps a picture of each suspect.
        looks, closed: pictures looked at, and left out since they are wholly masked.
    """

    eyes: Eyes
    sure: dict[str, float]
    ignore: Sequence[Box] = ()
    evidence: bool = True
    looks: int = 0
    closed: int = 0
    _watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.sure)

    def take(self, picture: Picture, image: Image, seq: int, t_s: float) -> list[Suspect]:
        """The suspects that this picture makes certain. Raises DetectorError, TimeoutError."""
        if is_closed(picture):
            self.closed += 1
            return []
        self.looks += 1
        finds = [find for find in self.eyes.look(picture, image) if not self._ignored(find.box, picture)]
        news, best = self._watch.take(finds, seq, t_s)
        if self.evidence and best:
            # All finds, the uncertain ones too: what is only suspected must not be shown either.
            masked = remasked(picture, [find.box for find in finds])
            for suspect in best:
                suspect.evidence = place_of(masked, suspect.box)
        return news

    def _ignored(self, box: Box, picture: Picture) -> bool:
        x, y = (box[0] + box[2]) / 2 / picture.width, (box[1] + box[3]) / 2 / picture.height
        return any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in self.ignore)
