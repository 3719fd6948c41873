"""Runs stages side by side in one process, a thread for each, and ends them together."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.bus.interface import Bus
from services.runtime.health import Heartbeat
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Stage

_log = logging.getLogger(__name__)


# In memory a commit costs next to nothing, and what is not committed takes room.
_COMMIT_EVERY_S = 0.2


@dataclass(slots=True)
class _Worker:
    stage: Stage
    runner: Runner
    thread: threading.Thread | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class Line:
    """Stages from the source to the sink, each with its runner in a thread of its own.

    The line ends by itself when its last stage is finished. If one stage dies, all stop: pictures that are still on
    their way are lost, never shown.

    Args:
        bus: shared by all stages; the line closes it.
        stages: in the order of the flow, source first, sink last.
        settings: pace of every runner.
    """

    def __init__(self, bus: Bus, stages: Sequence[Stage], settings: RunnerSettings | None = None) -> None:
        self._bus = bus
        self._settings = settings or RunnerSettings(commit_every_s=_COMMIT_EVERY_S)
        self.heartbeats = {stage.name: Heartbeat() for stage in stages}
        self._workers = [
            _Worker(stage, Runner(stage, bus, self._settings, self.heartbeats[stage.name])) for stage in stages
        ]

    def start(self) -> None:
        """Starts every runner, the sink first so that nothing waits for a reader."""
        for worker in reversed(self._workers):
            worker.thread = threading.Thread(target=self._run, args=(worker,), name=worker.stage.name, daemon=True)
            worker.thread.start()

    @property
    def ended(self) -> bool:
        """True when the last stage has ended or any stage has died."""
        return not self._workers[-1].running or self._error is not None

    def stop(self, timeout_s: float) -> None:
        """Ends the line within about `timeout_s`: the source first, so that what is under way still comes out.

        Raises the first error that a stage died of.
        """
        deadline = time.monotonic() + timeout_s
        self._workers[0].stop.set()
        while not self.ended and time.monotonic() < deadline:
            time.sleep(0.02)
        error = self._error
        if error is not None:
            self._bus.close()
        self._join(deadline)
        self._bus.close()
        error = error or self._error
        if error is not None:
            raise error

    def abort(self, timeout_s: float) -> None:
        """Ends the line at once: what is under way is given up, and no output counts as whole."""
        self._bus.close()
        self._join(time.monotonic() + timeout_s)

    @property
    def _error(self) -> BaseException | None:
        return next((worker.error for worker in self._workers if worker.error is not None), None)

    def _join(self, deadline: float) -> None:
        for worker in self._workers:
            worker.stop.set()
        for worker in self._workers:
            if worker.thread is not None:
                worker.thread.join(max(1.0, deadline - time.monotonic()))
        stuck = [worker.stage.name for worker in self._workers if worker.running]
        if stuck:
            _log.error("did not stop in time: %s", ", ".join(stuck))

    def _run(self, worker: _Worker) -> None:
        try:
            worker.runner.run(worker.stop)
        except BaseException as error:  # noqa: BLE001, whatever ends a stage must end the line, in the main thread
            worker.error = error
