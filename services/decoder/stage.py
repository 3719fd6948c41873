"""The decoder stage: one thread per camera reads, decodes and numbers; the runner's thread only collects."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from services.bus.interface import InvalidMessage, Message, TopicPartition
from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE, Topic
from services.decoder.reader import CameraReader
from services.decoder.settings import DecoderSettings
from services.media.sources import Camera
from services.policy.model import PolicyBook
from services.runtime.stage import Emission


class DecoderStage:
    """The source of the line: access units on video.source, detection pictures on frames.detect.

    Reading begins with the first call of `completed`.

    Args:
        cameras: what to read, with ids of their own.
        policies: looked up for every picture, so that a change takes effect at once.
    """

    name = "decoder"
    inputs: tuple[Topic, ...] = ()
    outputs: tuple[Topic, ...] = (VIDEO_SOURCE, FRAMES_DETECT)

    def __init__(self, settings: DecoderSettings, cameras: Sequence[Camera], policies: PolicyBook) -> None:
        self._readers = {camera.camera_id: CameraReader(camera, policies, settings, len(cameras)) for camera in cameras}
        if len(self._readers) != len(cameras):
            raise ValueError("two cameras have the same camera_id")
        self._threads = ThreadPoolExecutor(max(1, len(cameras)), thread_name_prefix="decoder")
        self._runs: list[Future[None]] | None = None
        self._closed = False

    @property
    def finished(self) -> bool:
        """True when every camera has ended and all it gave is collected. Live cameras end only with `close`."""
        if self._runs is None:
            return self._closed
        return all(run.done() for run in self._runs) and not any(reader.outbox for reader in self._readers.values())

    @property
    def failures(self) -> Mapping[str, str]:
        """One sentence for each file that could not be read to its end, by camera_id."""
        return {camera_id: reader.failure for camera_id, reader in self._readers.items() if reader.failure}

    remembers: Topic | None = None

    def remember(self, message: Message) -> None:
        """It needs to know nothing."""

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drops the cameras of these partitions."""

    def submit(self, message: Message) -> None:
        """The decoder reads no topic."""
        raise InvalidMessage(f"the decoder reads no topic, but was given {message.record.topic.name}")

    def completed(self) -> Sequence[Emission]:
        """What the cameras have ready, each in order. Raises what a reader stumbled over that nobody foresaw."""
        if self._runs is None and not self._closed:
            self._runs = [self._threads.submit(reader.run) for reader in self._readers.values()]
        for run in self._runs or ():
            if run.done():
                run.result()
        return self._collect()

    def close(self) -> None:
        """Asks every camera to end; their epochs end as STOPPED."""
        self._closed = True
        for reader in self._readers.values():
            reader.close()

    def join(self, timeout_s: float) -> Sequence[Emission]:
        """Waits for the readers to end and returns what they still gave. A silent source may outlast the time."""
        self.close()
        running = wait(self._runs or (), timeout=timeout_s).not_done
        self._threads.shutdown(wait=not running)
        return self._collect()

    def _collect(self) -> list[Emission]:
        drained = (reader.outbox.drain() for reader in self._readers.values())
        return [Emission(records) for records in drained if records]
