"""What access units and packets of sound hold, decrypted."""

from services.bus.topics import VIDEO_SOURCE
from services.envelope import Opener, SealError, context
from services.schema import pb


class Payloads:
    """Opens the payloads of one epoch.

    Args:
        camera_id, epoch: what each payload is bound to.
        opener: decrypts; without one, what is sealed stays closed.
    """

    def __init__(self, camera_id: str, epoch: int, opener: Opener | None) -> None:
        self._camera_id = camera_id
        self._epoch = epoch
        self._opener = opener

    def picture(self, unit: pb.AccessUnit) -> bytes | None:
        """The compressed picture; None where it is not to be had."""
        if unit.HasField("sealed"):
            return self._opened(unit.sealed, context(VIDEO_SOURCE, self._camera_id, self._epoch, unit.seq))
        return unit.inline if unit.HasField("inline") else None

    def sound(self, unit: pb.AudioUnit) -> bytes | None:
        """The compressed sound; None where it is not to be had."""
        if unit.HasField("sealed"):
            place = context(VIDEO_SOURCE, self._camera_id, self._epoch, unit.index, "sound")
            return self._opened(unit.sealed, place)
        return unit.inline if unit.HasField("inline") else None

    def _opened(self, sealed: pb.Sealed, place: bytes) -> bytes | None:
        if self._opener is None:
            return None
        try:
            return self._opener.open(self._camera_id, place, sealed)
        except SealError:
            return None
