"""The decoder among several: reads the cameras that it holds, and lets go of each before another can have it."""

import logging
import uuid
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from services.bus.clock import Clock, now_us
from services.bus.interface import InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.topics import CAMERAS, Topic
from services.decoder import metrics
from services.decoder.claims import EPOCH_AHEAD_US, ClaimedEpochs, asked, check_claim
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.envelope import Sealer
from services.media.sources import Camera
from services.policy.model import PolicyBook
from services.runtime.stage import Emission, Leased
from services.schema import pb

_log = logging.getLogger(__name__)

_RETENTION_US = round(CAMERAS.retention.total_seconds() * 1e6)
_SWEEP_EVERY_US = 60_000_000


@dataclass(slots=True)
class _Newest:
    """The highest epoch that was claimed of a camera.

    Attributes:
        position: of the claim, which a decoder that takes the camera over must read; None once it need not.
        at_us: when the broker got it.
    """

    epoch: int
    source: TopicPartition
    position: Position | None
    at_us: int


class LeasedDecoder(DecoderStage, Leased):
    """Reads those of the cameras whose partitions of the topic `cameras` this process was given.

    Args:
        settings, cameras, policies, sealer, plaintext: see DecoderStage.
        clock: microseconds since 1970.
    """

    inputs: tuple[Topic, ...] = (CAMERAS,)
    outputs: tuple[Topic, ...] = (*DecoderStage.outputs, CAMERAS)

    def __init__(
        self,
        settings: DecoderSettings,
        cameras: Sequence[Camera],
        policies: PolicyBook,
        sealer: Sealer | None = None,
        *,
        plaintext: bool = False,
        clock: Clock = now_us,
    ) -> None:
        super().__init__(settings, cameras, policies, sealer, plaintext=plaintext)
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._epochs: dict[str, ClaimedEpochs] = {}
        self._asking: deque[ClaimedEpochs] = deque()
        self._newest: dict[str, _Newest] = {}
        self._done: list[Position] = []
        self._swept_us = clock()

    @property
    def keys(self) -> Collection[str]:
        """Every camera of the site."""
        return self._cameras.keys()

    @property
    def finished(self) -> bool:
        """True when it holds every camera and all have ended: who has a part of them waits for what may come."""
        return self._closed if len(self._runs) < len(self._cameras) else super().finished

    def hold(self, keys: Collection[str]) -> None:
        """Begins to read cameras that are new, and gives up those that are another's now."""
        for camera_id in self._readers.keys() - set(keys):
            self._let_go(camera_id)
        if not self._closed:
            for camera_id in sorted(set(keys) - self._readers.keys()):
                self._take_up(camera_id)
        metrics.HELD.set(len(self._readers))

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """What was claimed in these is read again should they come back."""
        self._newest = {name: newest for name, newest in self._newest.items() if newest.source not in partitions}
        self._done = [position for position in self._done if position.source not in partitions]

    def submit(self, message: Message) -> None:
        """Takes a claim, of whichever decoder. Raises InvalidMessage."""
        try:
            claim = pb.CameraClaim.FromString(message.record.value)
        except DecodeError:
            raise InvalidMessage("not a CameraClaim") from None
        if wrong := check_claim(claim, message.record.key):
            raise InvalidMessage(wrong)
        if claim.camera_id not in self._cameras:
            self._done.append(message.position)
        elif claim.epoch > self._clock() + EPOCH_AHEAD_US:
            _log.warning("a claim of camera %s lies in the future: the clock of some decoder is wrong", claim.camera_id)
            self._done.append(message.position)
        else:
            self._hear(claim, message)

    def completed(self) -> Sequence[Emission]:
        """What the cameras have ready, and claims of epochs that they are to begin."""
        self._sweep()
        claims = [self._claim(epochs) for epochs in asked(self._asking) if self._epochs.get(epochs.camera_id) is epochs]
        # Claims first: a camera waits for each.
        emissions = [Emission(claims)] if claims else []
        if self._done:
            emissions.append(Emission(done=self._done))
            self._done = []
        return [*emissions, *super().completed()]

    def _set_out(self) -> None:
        """Nothing is read before it is held."""

    def _take_up(self, camera_id: str) -> None:
        self._epochs[camera_id] = ClaimedEpochs(camera_id, self._asking)
        self._begin(camera_id, self._epochs[camera_id])

    def _let_go(self, camera_id: str) -> None:
        super()._let_go(camera_id)
        del self._epochs[camera_id]

    def _claim(self, epochs: ClaimedEpochs) -> Record:
        newest = self._newest.get(epochs.camera_id)
        epoch = epochs.claim(newest.epoch if newest is not None else 0, self._clock)
        claim = pb.CameraClaim(camera_id=epochs.camera_id, epoch=epoch, holder=self._holder)
        return Record(CAMERAS, epochs.camera_id, claim.SerializeToString())

    def _hear(self, claim: pb.CameraClaim, message: Message) -> None:
        camera_id, newest = claim.camera_id, self._newest.get(claim.camera_id)
        above = newest.epoch if newest is not None else 0
        if claim.epoch > above:
            if newest is not None and newest.position is not None:
                self._done.append(newest.position)
            source = message.position.source
            self._newest[camera_id] = _Newest(claim.epoch, source, message.position, message.timestamp_us)
        else:
            self._done.append(message.position)
        epochs = self._epochs.get(camera_id)
        own = claim.holder == self._holder
        if epochs is not None and not epochs.hear(claim.epoch, above, own=own):
            _log.warning("camera %s was claimed by a decoder that does not hold it: it begins anew", camera_id)
            self._let_go(camera_id)
            self._take_up(camera_id)

    def _sweep(self) -> None:
        """Now and then: lets go of claims so old that no clock's error could make an epoch of today lower."""
        now = self._clock()
        if now - self._swept_us < _SWEEP_EVERY_US:
            return
        self._swept_us = now
        for newest in self._newest.values():
            if newest.position is not None and now - newest.at_us > _RETENTION_US:
                self._done.append(newest.position)
                newest.position = None
