"""Worker threads that call detectors in batches, each call under a deadline that holds even if the detector hangs."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from services.detect.groups import Group, grouped
from services.detect.interface import Detector, DetectorError, Image
from services.inference import metrics
from services.inference.job import FrameJob
from services.inference.pictures import BadPicture
from services.inference.results import checked, without_boxes
from services.inference.settings import InferenceSettings
from services.schema import pb

_log = logging.getLogger(__name__)

_Status = pb.DetectorResult
_Result = tuple[FrameJob, pb.DetectorResult]
_TOO_OLD = "was not free before the frame was too old"
# A call takes tens of milliseconds. A thread inside native code when the interpreter ends would abort the process.
_LEAVE_S = 1.0
_GRACE_S = 0.1
"""A detector gets this much longer than its deadline to give up by itself before its thread is written off."""


@dataclass(slots=True, eq=False)
class _Call:
    jobs: Sequence[FrameJob]
    started_s: float
    thread: threading.Thread
    written_off: bool = False


@dataclass(slots=True)
class _Lane:
    """The detectors of one network, the frames that wait for it, and the calls it is in.

    Attributes:
        waiting: in the order in which they will be looked at: live frames first, since a file can wait.
        batch: most pictures that the next call may have.
        late_s: when it began not to answer in time; None while it does.
        failing: the last call did not end well.
    """

    group: Group
    batch: int
    waiting: deque[FrameJob] = field(default_factory=deque)
    calls: list[_Call] = field(default_factory=list)
    late_s: float | None = None
    failing: bool = False

    def wanted(self, job: FrameJob) -> Sequence[str]:
        """Those of its detectors that the frame wants."""
        return [name for name in job.wanted if name in self.group.detectors]


class DetectorPool:
    """Calls each detector at most `concurrency` times at once, the one with the oldest waiting frame first.

    Detectors that share a network are one in all of this: a frame that wants several of them is looked at in one pass,
    which answers for those and no others.

    A call that overruns is written off: its frames are TIMED_OUT at once and a new thread takes the place of the stuck
    one. The stuck call keeps its place among the detector's calls until it returns, so there are never more than
    `concurrency` stuck threads for each detector. While a detector does not answer in time, frames that have waited for
    it as long as a call may take are TIMED_OUT too.

    Two things keep a detector that can't keep up from giving no answers at all. A live frame that has become too old
    before its turn is SKIPPED, and calls that come back too late halve the number of pictures in the next ones, which
    then grows by one with every call in time.
    """

    def __init__(
        self, detectors: Mapping[str, Detector], settings: InferenceSettings, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lanes = [_Lane(group, settings.max_batch) for group in grouped(detectors)]
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        for _ in range(settings.workers):
            self._start_worker()

    def add(self, job: FrameJob) -> None:
        """Queues the frame for every detector it wants; those not loaded are SKIPPED at once."""
        with self._changed:
            loaded = {name for lane in self._lanes for name in lane.group.detectors}
            for name in job.wanted:
                if name not in loaded:
                    reason = f"the {name} detector is not loaded"
                    _settle(job, without_boxes(name, None, _Status.SKIPPED, reason))
            for lane in self._lanes:
                if not lane.wanted(job):
                    continue
                if job.frame.live:
                    lane.waiting.insert(sum(1 for _ in takewhile(lambda ahead: ahead.frame.live, lane.waiting)), job)
                else:
                    lane.waiting.append(job)
            self._changed.notify_all()

    def drop(self, jobs: Collection[FrameJob]) -> None:
        """Takes these out of every queue; what a call in hand still says of them goes nowhere."""
        gone = set(jobs)
        with self._changed:
            for lane in self._lanes:
                lane.waiting = deque(job for job in lane.waiting if job not in gone)

    def expire(self) -> None:
        """Writes off calls and waiting frames whose time is up. To be called often, from one thread."""
        now = self._clock()
        with self._changed:
            for lane in self._lanes:
                for call in lane.calls:
                    if call.written_off or now - call.started_s < self._settings.timeout_s + _GRACE_S:
                        continue
                    call.written_off = True
                    _log.error("the %s hangs: its frames stay closed until it returns", lane.group.label)
                    _give_up(lane, call.jobs, _Status.TIMED_OUT, "did not answer in time")
                    lane.late_s = now if lane.late_s is None else lane.late_s
                    self._threads.remove(call.thread)
                    self._start_worker()
                while lane.waiting and self._too_old(lane.waiting[0]):
                    _give_up(lane, [lane.waiting.popleft()], _Status.SKIPPED, _TOO_OLD)
                if lane.late_s is None:
                    continue
                while lane.waiting and now - max(lane.waiting[0].added_s, lane.late_s) >= self._settings.timeout_s:
                    _give_up(lane, [lane.waiting.popleft()], _Status.TIMED_OUT, "does not answer in time")

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
            for lane in self._lanes:
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
                    if self._closed and not any(lane.waiting for lane in self._lanes):
                        return
                    self._changed.wait()
                    lane = self._next_lane()
                jobs = [lane.waiting.popleft() for _ in range(min(len(lane.waiting), lane.batch))]
                call = _Call(jobs, self._clock(), threading.current_thread())
                lane.calls.append(call)
            results = self._look(lane, jobs)
            with self._changed:
                lane.calls.remove(call)
                self._changed.notify_all()
                if call.written_off:
                    _log.warning("the %s has returned", lane.group.label)
                    return
                for job, result in results:
                    _settle(job, result)

    def _too_old(self, job: FrameJob) -> bool:
        frame = job.frame
        return frame.live and time.time() - frame.captured_us / 1e6 > self._settings.live_age_s

    def _next_lane(self) -> _Lane | None:
        ready = [lane for lane in self._lanes if lane.waiting and len(lane.calls) < self._settings.concurrency]
        return min(ready, key=lambda lane: lane.waiting[0].added_s, default=None)

    def _look(self, lane: _Lane, jobs: Sequence[FrameJob]) -> list[_Result]:
        """A result for each job and detector that it wants, whatever is wrong with its picture or the network."""
        results: list[_Result] = []
        readable = []
        images: list[Sequence[Image]] = []
        for job in jobs:
            try:
                images.append(job.images())
            except BadPicture as error:
                results += [
                    (job, without_boxes(name, lane.group.detectors[name], _Status.FAILED, str(error)))
                    for name in lane.wanted(job)
                ]
            else:
                readable.append(job)
        if not readable:
            return results
        try:
            results += self._detect(lane, readable, images)
        except TimeoutError:
            self._note(lane, "did not answer in time", late=True)
            results += _without_boxes(lane, readable, _Status.TIMED_OUT, "did not answer in time")
        except Exception as error:  # noqa: BLE001 - no fault of a detector may end the stage: it closes the frames
            # Only DetectorError promises a text without picture content.
            what = str(error) if isinstance(error, DetectorError) else type(error).__name__
            self._note(lane, f"failed: {what}")
            results += _without_boxes(lane, readable, _Status.FAILED, f"failed: {what}")
        else:
            self._note(lane, "")
        return results

    def _note(self, lane: _Lane, fault: str, *, late: bool = False) -> None:
        """Remembers how a call ended. An outage is logged when it begins and when it ends, not with every frame."""
        with self._changed:
            if fault and not lane.failing:
                _log.error("the %s %s", lane.group.label, fault)
            elif lane.failing and not fault:
                _log.warning("the %s works again", lane.group.label)
            lane.failing = bool(fault)
            lane.batch = max(1, lane.batch // 2) if late else min(lane.batch + 1, self._settings.max_batch)
            lane.late_s = (self._clock() if lane.late_s is None else lane.late_s) if late else None

    def _detect(self, lane: _Lane, jobs: Sequence[FrameJob], groups: Sequence[Sequence[Image]]) -> list[_Result]:
        """A result for each job and detector that it wants, from the pictures of its views."""
        images = [image for group in groups for image in group]
        names = list(dict.fromkeys(name for job in jobs for name in lane.wanted(job)))
        began = self._clock()
        found = lane.group.detect(names, images, self._settings.timeout_s)
        took = self._clock() - began
        results: list[_Result] = []
        for name in names:
            metrics.SECONDS.labels(name).observe(took)
            metrics.BATCH.labels(name).observe(len(images))
            if len(found[name]) != len(images):
                raise DetectorError(f"{len(found[name])} answers to {len(images)} pictures")
            rest, detector = iter(found[name]), lane.group.detectors[name]
            for job in jobs:
                answers = [(view, next(rest)) for view in job.views]
                if name in job.wanted:
                    results.append((job, checked(name, detector, answers, job.frame, took)))
        return results


def _without_boxes(lane: _Lane, jobs: Sequence[FrameJob], status: pb.DetectorResult.Status, what: str) -> list[_Result]:
    """The same for every detector of the lane that each job wants: `what` became of it."""
    return [
        (job, without_boxes(name, lane.group.detectors[name], status, f"the {name} detector {what}"))
        for job in jobs
        for name in lane.wanted(job)
    ]


def _give_up(lane: _Lane, jobs: Sequence[FrameJob], status: pb.DetectorResult.Status, what: str) -> None:
    for job, result in _without_boxes(lane, jobs, status, what):
        _settle(job, result)


def _settle(job: FrameJob, result: pb.DetectorResult) -> None:
    metrics.CALLS.labels(result.detector if result.model else "unknown", _Status.Status.Name(result.status)).inc()
    job.settle(result)
