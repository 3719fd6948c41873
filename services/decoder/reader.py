"""One camera from its opening to its end, and to the next opening if it is live."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from services.decoder import metrics
from services.decoder.claims import Epochs, OwnEpochs
from services.decoder.epoch import EpochWriter, end_entries, shares
from services.decoder.outbox import Outbox
from services.decoder.settings import DecoderSettings
from services.envelope import Sealer
from services.media.demux import Demuxer, SourceSound
from services.media.order import SourceUnit
from services.media.sources import Camera, SourceError
from services.policy.model import Policy, PolicyBook, PolicyUnavailable
from services.schema import pb

_log = logging.getLogger(__name__)


class CameraReader:
    """Reads one camera into its outbox, on a thread of its own.

    Attributes:
        outbox: what is ready for the bus.
        failure: one sentence if a file could not be read to its end.

    Args:
        cameras: how many share this process and its memory.
        pause: waits that many seconds, True if `close` cut it short.
        sealer: encrypts every payload.
        epochs: where the numbers of its epochs come from.
    """

    def __init__(
        self,
        camera: Camera,
        policies: PolicyBook,
        settings: DecoderSettings,
        cameras: int = 1,
        pause: Callable[[float], bool] | None = None,
        sealer: Sealer | None = None,
        epochs: Epochs | None = None,
    ) -> None:
        self.outbox = Outbox(settings.outbox_bytes, sheds=camera.is_live, max_age_s=settings.outbox_s)
        self.failure: str | None = None
        self._camera = camera
        self._policies = policies
        self._settings = settings
        self._cameras = cameras
        self._sealer = sealer
        self._stop = threading.Event()
        self._pause = pause or self._stop.wait
        self._epochs = epochs or OwnEpochs()
        self._stopped = False  # the last epoch was told to have ended for good

    def run(self) -> None:
        """Reads a file to its end, a live source until `close`."""
        if not self._camera.is_live:
            _, self.failure = self._read_once()
            if self.failure:
                metrics.FAILURES.inc()
            return
        self._run_live()
        if not self._stopped:
            # Between two epochs, or before the first: who waits for this camera's end would wait in vain.
            self._end_unopened(pb.EndOfStream.STOPPED)

    def _run_live(self) -> None:
        pauses = reconnect_pauses(self._settings.pause_max_s)
        while not self._stop.is_set():
            frames, broken = self._read_once()
            if self._stop.is_set():
                return
            if frames:
                pauses = reconnect_pauses(self._settings.pause_max_s)
            if broken is None:
                continue
            seconds = next(pauses)
            _log.warning("camera %s: %s Next attempt in %.0f s.", self._camera.camera_id, broken, seconds)
            if self._pause(seconds):
                return
            metrics.RECONNECTS.inc()

    def close(self) -> None:
        """Asks `run` to end after the unit in hand; its epoch then ends as STOPPED. Does not wait.

        A source that is silent at this moment takes up to the read timeout to notice.
        """
        self._stop.set()
        self._epochs.close()
        self.outbox.release()

    def _read_once(self) -> tuple[int, str | None]:
        """One epoch. Returns its number of frames, and one sentence if it did not come to a file's end."""
        policy = self._policy()
        try:
            demuxer = Demuxer(
                self._camera.url,
                live=self._camera.is_live,
                sound=policy is not None and policy.sound == "keep",
                open_timeout_s=self._settings.open_timeout_s,
                read_timeout_s=self._settings.read_timeout_s,
            )
        except SourceError as error:
            if not self._camera.is_live:
                self._end_unopened(pb.EndOfStream.STOPPED, str(error))
            return 0, str(error)
        metrics.RUNNING.inc()
        try:
            return self._read(demuxer, policy)
        finally:
            demuxer.close()
            metrics.RUNNING.dec()

    def _read(self, demuxer: Demuxer, policy: Policy | None) -> tuple[int, str | None]:
        epoch = self._epochs.next()
        if epoch is None:
            return 0, None
        writer = EpochWriter(
            self._camera.camera_id,
            epoch,
            demuxer,
            self._policy,
            self._settings,
            self.outbox.put,
            sealer=self._sealer,
            share=shares(demuxer.info, policy, self._settings, self._cameras),
        )
        endless = self._camera.is_live and not self._camera.loop
        broken: str | None = f"{self._camera.name}: the stream ended." if endless else None
        try:
            units = demuxer.units(stop=self._stop.is_set)
            for item in self._paced(units, demuxer.info, self._speed):
                if isinstance(item, SourceSound):
                    writer.sound(item)
                else:
                    writer.unit(item)
        except SourceError as error:
            broken = str(error)
        self._stopped = self._stop.is_set()
        if self._stopped:
            frames = writer.end(pb.EndOfStream.STOPPED, "")
        else:
            frames = writer.end(self._reason(broken), broken or "")
        return frames, broken

    def _reason(self, broken: str | None) -> "pb.EndOfStream.Reason":
        """Why an epoch ended that was not stopped. A file that broke off does not come back: nobody waits for it."""
        if self._camera.is_live and (broken is not None or self._camera.loop):
            return pb.EndOfStream.LOST
        return pb.EndOfStream.FINISHED if broken is None else pb.EndOfStream.STOPPED

    @property
    def _speed(self) -> float:
        """How many times faster than life the source may be read; 0 where nothing holds it back."""
        if self._camera.loop:
            return 1.0
        return 0.0 if self._camera.is_live else self._settings.file_speed

    def _paced(
        self, units: Iterable[SourceUnit | SourceSound], info: pb.StreamInfo, speed: float
    ) -> Iterator[SourceUnit | SourceSound]:
        """A file's units, each not before its time, which is when a camera would have captured it."""
        if not speed:
            yield from units
            return
        time_base = info.time_base_num / info.time_base_den / speed
        began, first = time.monotonic(), None
        for unit in units:
            if isinstance(unit, SourceUnit) and unit.dts is not None:
                first = unit.dts if first is None else first
                ahead = (unit.dts - first) * time_base - (time.monotonic() - began)
                if ahead > 0 and self._pause(ahead):
                    return
                unit.captured_us = time.time_ns() // 1000
            yield unit

    def _end_unopened(self, reason: "pb.EndOfStream.Reason", detail: str = "") -> None:
        """Tells those who wait for the camera that nothing will come, in an epoch without frames."""
        epoch = self._epochs.next()
        if epoch is None:
            return
        end = pb.EndOfStream(camera_id=self._camera.camera_id, epoch=epoch, reason=reason, detail=detail)
        for entry in end_entries(end):
            self.outbox.put(entry)

    def _policy(self) -> Policy | None:
        try:
            return self._policies.policy_for(self._camera.camera_id)
        except PolicyUnavailable:
            return None


def reconnect_pauses(longest_s: float) -> Iterator[float]:
    """1, 2, 4 … seconds, each up to a fifth shorter or longer so that cameras don't all come back at once."""
    pause = 1.0
    while True:
        yield min(longest_s, pause * random.uniform(0.8, 1.2))  # noqa: S311 (spreads load, guards nothing)
        pause = min(longest_s, pause * 2)
