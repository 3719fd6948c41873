"""How far the output of one camera has come: kept while encoding, or learned from the bus after a restart."""

from dataclasses import dataclass

from services.schema import pb


@dataclass(slots=True)
class Progress:
    """The newest epoch of a camera and the newest of each kind in it; what is not newer has been taken before.

    Attributes:
        epoch: -1 before the first.
        ended: its EndOfStream was taken.
        seq: of the newest frame.
        audio: index of the newest packet of sound.
        pts, dts: highest of its access units, in the epoch's time base; None before the first.
    """

    epoch: int = -1
    ended: bool = False
    seq: int = -1
    audio: int = -1
    pts: int | None = None
    dts: int | None = None

    def begin(self, epoch: int) -> None:
        """Goes on to a newer epoch."""
        self.epoch, self.ended = epoch, False
        self.seq = self.audio = -1
        self.pts = self.dts = None

    def has_frame(self, epoch: int, seq: int) -> bool:
        """True for a frame that was taken before, or comes too late."""
        return epoch < self.epoch or (epoch == self.epoch and (self.ended or seq <= self.seq))

    def has_audio(self, epoch: int, index: int) -> bool:
        """True for a packet of sound that was taken before, or comes too late."""
        return epoch < self.epoch or (epoch == self.epoch and (self.ended or index <= self.audio))

    def has_end(self, epoch: int) -> bool:
        """True for an end that was taken before, or of an epoch that a newer one has replaced."""
        return epoch < self.epoch or (epoch == self.epoch and self.ended)

    def learn(self, sent: pb.RedactedUnit | pb.AudioUnit | pb.EndOfStream) -> None:
        """Takes note of what was sent to video.redacted, in any order."""
        if sent.epoch > self.epoch:
            self.begin(sent.epoch)
        if sent.epoch < self.epoch:
            return
        if isinstance(sent, pb.RedactedUnit):
            self.seq = max(self.seq, sent.seq)
            self.pts = sent.pts if self.pts is None else max(self.pts, sent.pts)
            self.dts = sent.dts if self.dts is None else max(self.dts, sent.dts)
        elif isinstance(sent, pb.AudioUnit):
            self.audio = max(self.audio, sent.index)
        else:
            self.ended = True
