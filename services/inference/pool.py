"""Worker threads that call detectors in batches, each call under a deadline that holds even if the detector hangs."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.detect.interface import Detector, DetectorError, Image
from services.inference import metrics
from services.inference.job import FrameJob
from services.inference.pictures import BadPicture
from services.inference.results import checked, without_boxes
from services.inference.settings import InferenceSettings
from services.schema import pb

_log = logging.getLogger(__name__)

_Status = pb.DetectorResult
# A call takes tens of milliseconds. A thread inside native code when the interpreter ends would abort the process.
_LEAVE_S = 1.0
_GRACE_S = 0.1
"""A detector gets this much longer than its deadline to give up by itself before its thread is written off."""


@dataclass(slots=True)
class _Call:
    jobs: Sequence[FrameJob]
    started_s: float
    thread: threading.Thread
    overdue_s: float | None = None


@dataclass(slots=True)
class _Lane:
    """One detector, the frames that wait for it, and the call it is in."""

    name: str
    detector: Detector
    waiting: deque[FrameJob] = field(default_factory=deque)
    call: _Call | None = None


class DetectorPool:
    """Calls each detector from one thread at a time, the one with the oldest waiting frame first.

    A call that overruns is written off: its frames are TIMED_OUT at once and a new thread takes the place of the stuck
    one. The detector is not called again until the stuck call returns, so there is never more than one stuck thread for
    each detector; frames that have waited for it as long as a call may take are TIMED_OUT too.
    """

    def __init__(
        self, detectors: Mapping[str, Detector], settings: InferenceSettings, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lanes = {name: _Lane(name, detector) for name, detector in detectors.items()}
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        for _ in range(settings.workers):
            self._start_worker()

    def add(self, job: FrameJob) -> None:
        """Queues the frame for every detector it wants; those not loaded are SKIPPED at once."""
        with self._changed:
            for name in job.wanted:
                lane = self._lanes.get(name)
                if lane is None:
                    reason = f"the {name} detector is not loaded"
                    _settle(job, without_boxes(name, None, _Status.SKIPPED, reason))
                else:
                    lane.waiting.append(job)
            self._changed.notify_all()

    def drop(self, jobs: Collection[FrameJob]) -> None:
        """Takes these out of every queue; what a call in hand still says of them goes nowhere."""
        gone = set(jobs)
        with self._changed:
            for lane in self._lanes.values():
                lane.waiting = deque(job for job in lane.waiting if job not in gone)

    def expire(self) -> None:
        """Writes off calls and waiting frames whose time is up. To be called often, from one thread."""
        now = self._clock()
        with self._changed:
            for lane in self._lanes.values():
                call = lane.call
                if call is None or now - call.started_s < self._settings.timeout_s + _GRACE_S:
                    continue
                if call.overdue_s is None:
                    call.overdue_s = now
                    _log.error("the %s detector hangs: its frames stay closed until it returns", lane.name)
                    _time_out(lane, call.jobs, "did not answer in time")
                    self._threads.remove(call.thread)
                    self._start_worker()
                while lane.waiting and now - max(lane.waiting[0].added_s, call.overdue_s) >= self._settings.timeout_s:
                    _time_out(lane, [lane.waiting.popleft()], "has not returned from an earlier call")

    def close(self) -> None:
        """Ends the threads once nothing waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> None:
        """Waits until the threads have ended, then gives up what still waits and lets the calls in hand come back.

        A thread that hangs in a detector is left behind and settles nothing more.
        """
        deadline = self._clock() + timeout_s
        while (alive := [thread for thread in self._threads if thread.is_alive()]) and self._clock() < deadline:
            alive[0].join(0.02)
            self.expire()
        with self._changed:
            for lane in self._lanes.values():
                lane.waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_LEAVE_S)

    def _start_worker(self) -> None:
        thread = threading.Thread(target=self._work, name="inference-worker", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                lane = self._next_lane()
                while lane is None:
                    if self._closed and not any(lane.waiting for lane in self._lanes.values()):
                        return
                    self._changed.wait()
                    lane = self._next_lane()
                jobs = [lane.waiting.popleft() for _ in range(min(len(lane.waiting), self._settings.max_batch))]
                call = lane.call = _Call(jobs, self._clock(), threading.current_thread())
            results = self._look(lane, jobs)
            with self._changed:
                lane.call = None
                self._changed.notify_all()
                if call.overdue_s is not None:
                    _log.warning("the %s detector has returned", lane.name)
                    return
                for job, result in results:
                    _settle(job, result)

    def _next_lane(self) -> _Lane | None:
        ready = [lane for lane in self._lanes.values() if lane.waiting and lane.call is None]
        return min(ready, key=lambda lane: lane.waiting[0].added_s, default=None)

    def _look(self, lane: _Lane, jobs: Sequence[FrameJob]) -> list[tuple[FrameJob, pb.DetectorResult]]:
        """One result for each job, whatever is wrong with its picture or the detector."""
        results = []
        readable = []
        images = []
        for job in jobs:
            try:
                images.append(job.image())
            except BadPicture as error:
                results.append((job, without_boxes(lane.name, lane.detector, _Status.FAILED, str(error))))
            else:
                readable.append(job)
        if not readable:
            return results
        try:
            results += zip(readable, self._detect(lane, readable, images), strict=True)
        except TimeoutError:
            reason = f"the {lane.name} detector did not answer in time"
            results += [(job, without_boxes(lane.name, lane.detector, _Status.TIMED_OUT, reason)) for job in readable]
        except Exception as error:  # noqa: BLE001 - no fault of a detector may end the stage: it closes the frames
            # Only DetectorError promises a text without picture content.
            what = str(error) if isinstance(error, DetectorError) else type(error).__name__
            reason = f"the {lane.name} detector failed: {what}"
            _log.error("%s", reason)
            results += [(job, without_boxes(lane.name, lane.detector, _Status.FAILED, reason)) for job in readable]
        return results

    def _detect(self, lane: _Lane, jobs: Sequence[FrameJob], images: Sequence[Image]) -> list[pb.DetectorResult]:
        began = self._clock()
        answers = lane.detector.detect(images, self._settings.timeout_s)
        took = self._clock() - began
        metrics.SECONDS.labels(lane.name).observe(took)
        metrics.BATCH.labels(lane.name).observe(len(images))
        if len(answers) != len(images):
            raise DetectorError(f"{len(answers)} answers to {len(images)} pictures")
        return [
            checked(lane.name, lane.detector, boxes, job.frame, took) for job, boxes in zip(jobs, answers, strict=True)
        ]


def _time_out(lane: _Lane, jobs: Sequence[FrameJob], why: str) -> None:
    for job in jobs:
        reason = f"the {lane.name} detector {why}"
        _settle(job, without_boxes(lane.name, lane.detector, _Status.TIMED_OUT, reason))


def _settle(job: FrameJob, result: pb.DetectorResult) -> None:
    metrics.CALLS.labels(result.detector if result.model else "unknown", _Status.Status.Name(result.status)).inc()
    job.settle(result)
