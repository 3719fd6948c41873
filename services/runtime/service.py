"""One stage as a process: logs, health, signals, and a fresh start from the committed offsets when the bus is lost."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

from prometheus_client import Counter
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.bus.interface import Bus, BusLost
from services.runtime.health import HealthServer, Heartbeat
from services.runtime.lifecycle import stop_on_signals
from services.runtime.logs import configure_logs
from services.runtime.memory import keep_freed_memory
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.runtime.stage import Stage

_log = logging.getLogger(__name__)

_RESTARTS = Counter("veil_service_restarts_total", "Fresh starts after the bus was lost.", ["stage"])

# Between two beats while the broker is away; far below the age at which a probe calls the process dead.
_BEAT_S = 1.0

MakeStage = Callable[[], Stage]
MakeBus = Callable[[], Bus]


class ServiceError(Exception):
    """A service that can't start as it is set up; the text is one clear sentence."""


class ServiceSettings(BaseSettings):
    """What every service process needs, read from VEIL_SERVICE_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_SERVICE_", env_ignore_empty=True, frozen=True, extra="forbid")

    site: Path | None = Field(None, description="Site file: cameras, policies, outputs.")
    health_port: int = Field(
        9100, ge=0, le=65535, description="Port of /live, /ready and /metrics; 0 for any free one."
    )
    health_host: str = Field("127.0.0.1", description="Address it listens on; a container needs 0.0.0.0.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least that is logged.")
    log_json: bool = Field(False, description="One JSON object a line.")
    retry_min_s: float = Field(1, gt=0, le=60, description="First pause before a fresh start after the bus was lost.")
    retry_max_s: float = Field(30, gt=0, le=600, description="Longest pause; each is twice the one before.")

    @property
    def site_file(self) -> Path:
        """The site file. Raises ServiceError where none is named."""
        if self.site is None:
            raise ServiceError("no site file is named: set VEIL_SERVICE_SITE")
        return self.site


Prepare = Callable[[ServiceSettings], MakeStage]
"""Reads what the service is set up with, once, and returns what makes its stage. Raises ServiceError and others."""


def kafka_bus() -> Bus:
    """The bus of VEIL_KAFKA_…."""
    from services.bus.kafka import KafkaBus
    from services.bus.kafka_settings import KafkaSettings

    return KafkaBus(KafkaSettings())


def serve(
    name: str,
    prepare: Prepare,
    settings: ServiceSettings | None = None,
    make_bus: MakeBus = kafka_bus,
    runner: RunnerSettings | None = None,
) -> int:
    """Runs a service until SIGTERM or SIGINT, or until its stage is finished. To be called in the main thread.

    When the bus is lost everything is closed, and after a pause a new stage on a new bus goes on from the committed
    offsets. /ready says yes while the stage has partitions, or reads its source; /live goes on through an outage.

    Args:
        name: for logs, health and metrics.
        prepare: see `Prepare`.
        settings: from the environment if left out.
        make_bus: connects; raises BusLost where the broker can't be reached.
        runner: pace of the main loop, from the environment if left out.

    Returns the exit status: 0 after a stop or a finished stage, 1 after an error, which is logged.
    """
    try:
        settings = settings or ServiceSettings()
    except ValidationError as error:
        configure_logs()
        _log.error("%s can't start: %s", name, _sentence(error))
        return 1
    configure_logs(settings.log_level, as_json=settings.log_json)
    keep_freed_memory()
    beat = Heartbeat()
    with stop_on_signals() as stop:
        try:
            make_stage = prepare(settings)
            health = HealthServer({name: beat}, settings.health_port, settings.health_host)
        except Exception as error:  # noqa: BLE001, whatever keeps it from starting is said in one line
            _log.error("%s can't start: %s", name, _sentence(error), exc_info=settings.log_level == "DEBUG")
            return 1
        with closing(health):
            _log.info("%s starts; health on port %d", name, health.port)
            return _Service(name, make_stage, make_bus, settings, runner or RunnerSettings(), beat, stop).run()


def _sentence(error: Exception) -> str:
    """What is wrong, in one line; of settings, which."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
    return f"{error.title}: {'; '.join(found)}"


class _Service:
    """The loop around the main loop."""

    def __init__(
        self,
        name: str,
        make_stage: MakeStage,
        make_bus: MakeBus,
        settings: ServiceSettings,
        runner: RunnerSettings,
        beat: Heartbeat,
        stop: threading.Event,
    ) -> None:
        self._name, self._make_stage, self._make_bus = name, make_stage, make_bus
        self._settings, self._runner = settings, runner
        self._beat, self._stop = beat, stop
        _RESTARTS.labels(name)  # at 0: an alert sees no increase of a series that begins at 1

    def run(self) -> int:
        """Runs to the end; returns the exit status."""
        pause_s = self._settings.retry_min_s
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._run_once()
            except BusLost as loss:
                # A run that lasted is no reason to wait longer this time.
                if time.monotonic() - began > self._settings.retry_max_s:
                    pause_s = self._settings.retry_min_s
                if not self._stop.is_set():
                    _log.warning("%s lost the bus and starts afresh in %.0f s: %s", self._name, pause_s, loss)
                    _RESTARTS.labels(self._name).inc()
                    self._pause(pause_s)
                    pause_s = min(2 * pause_s, self._settings.retry_max_s)
                else:
                    _log.warning("%s stopped without the bus, what was in hand is replayed: %s", self._name, loss)
            except Exception as error:  # noqa: BLE001, the supervisor starts it again; this line says why
                _log.exception("%s ends: %s: %s", self._name, type(error).__name__, error)
                return 1
            else:
                break
        _log.info("%s has stopped", self._name)
        return 0

    def _run_once(self) -> None:
        self._beat.beat(ready=False)
        with closing(self._make_bus()) as bus:
            stage = self._make_stage()
            try:
                runner = Runner(stage, bus, self._runner, self._beat)
            except BusLost:
                stage.close()
                stage.join(0)
                raise
            runner.run(self._stop)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.wait(min(left, _BEAT_S)):
            self._beat.beat(ready=False)
