"""Work that takes longer than a request over HTTP may: searching, rendering, packing, one behind the other.

Jobs are in memory: after a restart a request is where it was, and the job is done again.
"""

import logging
import queue
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.bus.clock import Clock, now_us
from services.disclosure.errors import Conflict, DisclosureError, Unavailable, Unknown
from services.disclosure.footage import Footage, Gap, Outline, Piece

_log = logging.getLogger(__name__)

_KEPT = 200
_WAITING_MAX = 16
_STOP_S = 10.0


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Stopped(Exception):
    """The process ends; the job is done again by the next one."""


@dataclass(slots=True)
class Job:
    """Something that is being done for a request.

    Attributes:
        id: of the job.
        request: whose.
        action: what: find, suggest, render, package.
        who: asked for it.
        made_us: when it was asked for, microseconds since 1970.
        progress: share of the range that was read, 0 to 1; it never falls.
        error: one sentence, once it has failed.
        result: what came of it, where that is not in the request.
    """

    id: str
    request: str
    action: str
    who: str
    made_us: int
    state: JobState = JobState.WAITING
    progress: float = 0.0
    error: str = ""
    result: list[dict[str, Any]] = field(default_factory=list)
    stopping: bool = False

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in (JobState.DONE, JobState.FAILED)

    def came_to(self, share: float) -> None:
        """Says how far it has come. Raises Stopped where the process ends."""
        if self.stopping:
            raise Stopped
        self.progress = max(self.progress, min(1.0, share))


Result = Sequence[dict[str, Any]] | None
"""What came of a job, where that is not in the request."""

Work = Callable[[Job], Result]
"""Does it. Raises DisclosureError and whatever the footage raises."""


class Jobs:
    """Does jobs, some at a time, and remembers the newest.

    Args:
        at_a_time: jobs; each may use several processes.
        errors: of the footage: their text is one sentence that may be shown.
        clock: microseconds since 1970.
    """

    def __init__(self, at_a_time: int = 1, errors: tuple[type[Exception], ...] = (), clock: Clock = now_us) -> None:
        self._errors: tuple[type[Exception], ...] = (DisclosureError, *errors)
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._queue: queue.Queue[tuple[Job, Work] | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._run, name=f"job-{number}", daemon=True) for number in range(at_a_time)
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, request: str, action: str, who: str, work: Work) -> Job:
        """Puts a job into the queue. Raises Conflict where the request has one, Unavailable where too many wait."""
        job = Job(f"j{secrets.token_hex(8)}", request, action, who, self._clock())
        with self._lock:
            if any(each.request == request and not each.over for each in self._jobs.values()):
                raise Conflict(f"Something is being done for the request {request} already: wait for it.")
            if sum(not each.over for each in self._jobs.values()) >= _WAITING_MAX:
                raise Unavailable("Too much is being done at once: try again later.")
            self._jobs[job.id] = job
            for old in [each for each in self._jobs.values() if each.over][: max(0, len(self._jobs) - _KEPT)]:
                del self._jobs[old.id]
        self._queue.put((job, work))
        return job

    def get(self, request: str, job_id: str) -> Job:
        """Raises Unknown where it is not known, or not any more."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None or job.request != request:
            raise Unknown("That job is not known any more: what was not finished has to be asked for again.")
        return job

    def of(self, request: str) -> Sequence[Job]:
        """The jobs of a request, newest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if job.request == request]

    def close(self) -> None:
        """Ends what runs at the next piece of footage; what waits is never begun."""
        with self._lock:
            for job in self._jobs.values():
                job.stopping = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(_STOP_S)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            job, work = item
            if not job.stopping:
                self._do(job, work)

    def _do(self, job: Job, work: Work) -> None:
        job.state = JobState.RUNNING
        try:
            job.result = list(work(job) or ())
        except Stopped:
            job.error = "It was interrupted: do it again."
        except self._errors as error:
            job.error = str(error)
        except Exception:  # noqa: BLE001, the thread has other jobs to do
            _log.exception("%s for the request %s failed", job.action, job.request)
            job.error = "Something went wrong here."
        job.progress = 1.0 if not job.error else job.progress
        job.state = JobState.FAILED if job.error else JobState.DONE


class WatchedFootage:
    """Footage that tells a job how far it has been read.

    Args:
        footage: of the vault.
        job: is told, and stops the reading when it has to end.
        cameras: that will be read, in this order.
    """

    def __init__(self, footage: Footage, job: Job, cameras: Sequence[str]) -> None:
        self._footage, self._job, self._cameras = footage, job, tuple(cameras)

    def open(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str
    ) -> Iterable[Piece | Gap]:
        """As the footage does it."""
        opened = self._footage.open(camera_id, start_us, end_us, purpose=purpose, who=who, role=role)
        return _Watched(opened, lambda piece: self._tell(camera_id, (_end_of(piece) - start_us) / (end_us - start_us)))

    def outline(
        self, camera_id: str, start_us: int, end_us: int, *, purpose: str, who: str, role: str
    ) -> Iterable[Outline]:
        """As the footage does it."""
        self._tell(camera_id, 0.0)
        return self._footage.outline(camera_id, start_us, end_us, purpose=purpose, who=who, role=role)

    def _tell(self, camera: str, share: float) -> None:
        number = self._cameras.index(camera) if camera in self._cameras else 0
        self._job.came_to((number + min(1.0, max(0.0, share))) / max(1, len(self._cameras)))


class _Watched:
    """May be iterated more than once, as what it stands for."""

    def __init__(self, pieces: Iterable[Piece | Gap], tell: Callable[[Piece | Gap], None]) -> None:
        self._pieces, self._tell = pieces, tell

    def __iter__(self) -> Iterator[Piece | Gap]:
        for piece in self._pieces:
            self._tell(piece)
            yield piece


def _end_of(piece: Piece | Gap) -> int:
    if isinstance(piece, Piece):
        return int(piece.units[-1].unit.captured_us) if piece.units else 0
    return piece.end_us
