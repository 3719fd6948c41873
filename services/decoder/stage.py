"""The decoder stage: one thread per camera reads, decodes and numbers; the runner's thread only collects."""

import math
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from services.bus.interface import InvalidMessage, Message, TopicPartition
from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE, Topic
from services.decoder.claims import Epochs, OwnEpochs
from services.decoder.outbox import Entry, Kind
from services.decoder.reader import CameraReader
from services.decoder.settings import DecoderSettings
from services.envelope import Sealer
from services.media.sources import Camera
from services.policy.model import PolicyBook
from services.runtime import metrics
from services.runtime.stage import Emission

# Handed to the runner at once. What it has taken is published, however old; what is still here can be shed.
_TURN_BYTES = 4 << 20


class DecoderStage:
    """The source of the line: access units on video.source, detection pictures on frames.detect.

    Reading begins with the first call of `completed`.

    Args:
        cameras: what to read, with ids of their own.
        policies: looked up for every picture, so that a change takes effect at once.
        sealer: encrypts every payload, as a broker needs it.
        plaintext: allows an encoded transport without a sealer, which is for tests only.

    Raises ValueError on cameras that share an id, and on pictures that would leave the process in the clear.
    """

    name = "decoder"
    inputs: tuple[Topic, ...] = ()
    outputs: tuple[Topic, ...] = (VIDEO_SOURCE, FRAMES_DETECT)

    def __init__(
        self,
        settings: DecoderSettings,
        cameras: Sequence[Camera],
        policies: PolicyBook,
        sealer: Sealer | None = None,
        *,
        plaintext: bool = False,
    ) -> None:
        if sealer is None and settings.transport == "encoded" and not plaintext:
            raise ValueError("an encoded transport needs a sealer: pictures do not leave the process in the clear")
        if sealer is not None and settings.transport == "attached":
            raise ValueError("attached pictures can't be sealed: a sealer goes with an encoded transport")
        if len({camera.camera_id for camera in cameras}) != len(cameras):
            raise ValueError("two cameras have the same camera_id")
        self._settings, self._policies, self._sealer = settings, policies, sealer
        self._cameras = {camera.camera_id: camera for camera in cameras}
        self._readers: dict[str, CameraReader] = {}
        self._turns: deque[str] = deque()
        # Each reads its camera, and may wait for one more to end that was given up while its source was silent.
        self._threads = ThreadPoolExecutor(max(1, 2 * len(cameras)), thread_name_prefix="decoder")
        self._runs: dict[str, Future[None]] = {}
        self._leaving: list[Future[None]] = []
        self._closed = False

    @property
    def finished(self) -> bool:
        """True when every camera has ended and all it gave is collected. Live cameras end only with `close`.

        Without cameras it waits for `close` too: its process would only be started again.
        """
        if not self._runs:
            return self._closed
        # One that failed is not finished: `completed` raises what it failed of.
        ended = all(run.done() and run.exception() is None for run in self._runs.values())
        return ended and not any(reader.outbox for reader in self._readers.values())

    @property
    def failures(self) -> Mapping[str, str]:
        """One sentence for each file that could not be read to its end, by camera_id."""
        return {camera_id: reader.failure for camera_id, reader in self._readers.items() if reader.failure}

    remembers: Topic | None = None
    has_threads = True

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions."""

    def submit(self, message: Message) -> None:
        """The decoder reads no topic."""
        raise InvalidMessage(f"the decoder reads no topic, but was given {message.record.topic.name}")

    def completed(self) -> Sequence[Emission]:
        """What the cameras have ready, each in order, a few megabytes at a time so that the rest can still be shed.

        Raises what a reader stumbled over that nobody foresaw.
        """
        self._set_out()
        for run in self._runs.values():
            if run.done():
                run.result()
        return self._collect(_TURN_BYTES)

    def close(self) -> None:
        """Asks every camera to end; their epochs end as STOPPED."""
        self._closed = True
        for reader in self._readers.values():
            reader.close()

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Waits for the readers to end and returns what they still gave. A silent source may outlast the time."""
        self.close()
        running = wait([*self._runs.values(), *self._leaving], timeout=timeout_s).not_done
        self._threads.shutdown(wait=not running)
        return self._collect(math.inf)

    def _set_out(self) -> None:
        """Begins to read whatever is not read yet."""
        if not self._closed:
            for camera_id in self._cameras.keys() - self._readers.keys():
                self._begin(camera_id, OwnEpochs())

    def _begin(self, camera_id: str, epochs: Epochs) -> None:
        camera = self._cameras[camera_id]
        reader = CameraReader(
            camera, self._policies, self._settings, len(self._cameras), sealer=self._sealer, epochs=epochs
        )
        self._readers[camera_id] = reader
        self._turns.append(camera_id)
        self._runs[camera_id] = self._threads.submit(reader.run)

    def _let_go(self, camera_id: str) -> None:
        """Ends a reader without waiting, and drops what it has ready."""
        self._readers.pop(camera_id).close()
        self._turns.remove(camera_id)
        self._leaving = [run for run in self._leaving if not run.done()]
        self._leaving.append(self._runs.pop(camera_id))

    def _collect(self, most: float) -> list[Emission]:
        """About `most` bytes. Cameras take turns at being first."""
        emissions = []
        for _ in range(len(self._turns)):
            if most <= 0:
                break
            entries = self._readers[self._turns[0]].outbox.drain(most)
            self._turns.rotate(-1)
            if entries:
                emissions.append(Emission([entry.record for entry in entries]))
                most -= sum(entry.record.size for entry in entries)
                _count(entries)
        return emissions


def _count(entries: Sequence[Entry]) -> None:
    now_us = time.time_ns() // 1000
    for entry in entries:
        if entry.kind in (Kind.KEYFRAME, Kind.PICTURE):
            metrics.frame_left("decoder", entry.record.key, entry.captured_us, now_us)
