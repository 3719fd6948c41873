"""Runs a small site: many cameras in one process, live, until it is told to stop."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from services.bus.interface import Bus
from services.decoder.process import cameras_of
from services.detect.catalogue import ModelMissing
from services.detect.interface import Detector, DetectorError
from services.embedded.errors import ExitCode, RunError
from services.embedded.record import Outcome, Recorder
from services.embedded.wiring import embedded_line
from services.encoder.process import targets_of
from services.inference.load import load_detectors
from services.policy.site import Site
from services.runtime.health import HealthServer, Heartbeat
from services.runtime.stage import Stage
from services.tracker.settings import TrackerSettings

Beside = Callable[[Bus], AbstractContextManager[object]]
"""Joins the line's bus before the line starts."""

_TURN_S = 0.2
_WATCHED_EVERY_S = 1.0
_STOP_S = 20.0
# A live picture that waited longer than this for a detector is of no use to anybody.
_DETECTOR_TIMEOUT_S = 2.0


def run_site(
    site: Site,
    stop: threading.Event,
    on_status: Callable[[Mapping[str, Outcome]], None] = lambda _: None,
    health_port: int | None = None,
    models_dir: Path | None = None,
    detectors: Mapping[str, Detector] | None = None,
    vault: Path | None = None,
    beside: Beside | None = None,
) -> None:
    """Runs every camera of the site until `stop` is set, or until all have ended where all are files.

    Args:
        site: a checked site file.
        stop: set it to end; what is under way still comes out, and recordings are finished.
        on_status: called about five times a second with what became of each camera's frames so far.
        health_port: serves /live, /ready and /metrics there on loopback; None for no server.
        models_dir: where the models are, None for the usual place.
        detectors: used instead of the installed ones.
        vault: folder that keeps the originals of cameras whose policies say so; None keeps none.
        beside: runs as long as the line does, and looks at what comes out; outputs may be left out then.

    Raises RunError with one sentence and an exit code. A broken output or camera doesn't end the others: it is logged,
    and told at the end.
    """
    targets = {camera.id: targets_of(camera.outputs) for camera in site.config.cameras if camera.outputs is not None}
    for camera in site.config.cameras:
        if camera.id not in targets and beside is None:
            raise RunError(f"camera {camera.id} has no outputs: say where its masked pictures go", ExitCode.USAGE)
    found = detectors if detectors is not None else _detectors(site, models_dir)
    keeping = None if vault is None else _vault(site, vault)
    tracking = None if beside is None else _watched()
    parts = embedded_line(
        cameras_of(site), site.book, targets, found, _DETECTOR_TIMEOUT_S, vault=keeping, tracking=tracking
    )
    try:
        health = nullcontext() if health_port is None else _health(parts.line.heartbeats, health_port)
        with health, nullcontext() if beside is None else beside(parts.bus):
            recorder = Recorder(parts.bus)
            parts.line.start()
            reported = time.monotonic()
            while not (stop.is_set() or parts.line.ended):
                recorder.poll(_TURN_S)
                if time.monotonic() - reported >= _TURN_S:
                    on_status(recorder.outcomes)
                    reported = time.monotonic()
    finally:
        parts.line.stop(_STOP_S)
    for failures, code in ((parts.decoder.failures, ExitCode.INPUT), (parts.encoder.failures, ExitCode.OUTPUT)):
        if failures:
            told = (f"camera {camera}: {why.removesuffix('.')}" for camera, why in sorted(failures.items()))
            raise RunError("; ".join(told), code)


def _health(beats: Mapping[str, Heartbeat], port: int) -> AbstractContextManager[object]:
    try:
        return closing(HealthServer(beats, port))
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise RunError(f"--health-port: can't listen on port {port}: {why}", ExitCode.USAGE) from error


def _watched() -> TrackerSettings:
    """Of a tracker that people look at: it tells of a track every second, unless the environment says otherwise."""
    settings = TrackerSettings()
    if "track_record_every_s" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"track_record_every_s": _WATCHED_EVERY_S})


def _vault(site: Site, folder: Path) -> Stage:
    """What keeps originals in a folder, under the keys of VEIL_KEYS_…; masking never waits for it."""
    if not any(policy.originals == "keep" for policy in site.policies.values()):
        raise RunError("a vault is asked for, and no camera's policy says `originals: keep`", ExitCode.USAGE)
    try:
        # Here, because a site without a vault does without SQLAlchemy.
        from services.vault import VaultError, VaultSettings, open_vault
        from services.vault.stage import VaultStage
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise RunError(f"a vault needs the package {package}: pip install 'veil[vault]'", ExitCode.USAGE) from error
    try:
        vault = open_vault(VaultSettings(store=str(folder), index="", when_full="shed"))
        # Payloads are in the clear on a bus of one process.
        return VaultStage(vault, site.book, opener=None)
    except VaultError as error:
        raise RunError(str(error).removesuffix("."), ExitCode.USAGE) from error


def _detectors(site: Site, models_dir: Path | None) -> Mapping[str, Detector]:
    names = sorted({name for policy in site.policies.values() for name in policy.detectors})
    try:
        return load_detectors(names, models_dir=models_dir, models=site.config.models)
    except (ModelMissing, DetectorError) as error:
        raise RunError(str(error), ExitCode.MODEL) from error
