"""Makes the detectors in the home that the settings name."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from services.detect.catalogue import (
    ModelEntry,
    ModelMissing,
    catalogue,
    check_present,
    default_models_dir,
    read_model,
)
from services.detect.centerface import FaceDetector
from services.detect.interface import Detector, DetectorError, Session
from services.detect.logo import LogoDetector
from services.detect.logo_folder import LogoError, LogoFolder
from services.detect.logo_follow import FollowedLogos
from services.detect.network import NetworkDetector
from services.detect.onnx_runtime import OnnxSession
from services.detect.own import OwnDetector, only
from services.detect.person import PersonDetector
from services.detect.plate import PlateDetector
from services.detect.text import TextDetector
from services.detect.triton import TritonSession, WrongModel
from services.detect.triton_servers import TritonServers
from services.inference.settings import InferenceSettings
from services.policy.model import AT_DECODER

_log = logging.getLogger(__name__)

_DETECTORS: Mapping[str, type[NetworkDetector]] = {
    detector.model: detector for detector in (FaceDetector, PlateDetector, PersonDetector, TextDetector)
}
"""Model → what reads its answers; those that are not here answer as Veil's own networks do."""

_MakeSession = Callable[[ModelEntry, Sequence[str]], Session]
"""The session of a model that is these detectors."""


def load_detectors(
    names: Iterable[str],
    settings: InferenceSettings | None = None,
    models_dir: Path | None = None,
    models: Mapping[str, str] | None = None,
) -> Mapping[str, Detector]:
    """The named detectors in ONNX Runtime sessions, or on Triton, which need not be up yet.

    Detectors of one model share its session, so that one pass can answer for all of them. Logos are looked for in
    process everywhere. Those that run at the decoder are left out.

    Args:
        names: what policies ask for.
        settings: from the environment if None.
        models_dir: where `veil models install` puts models, None for the usual place.
        models: detector → model, which goes before what the settings choose.

    Raises ModelMissing, with the command that mends it, if a model is absent or its hash is not the catalogue's, here
    or on Triton, if one is chosen that does not find this, or if no logo is registered; DetectorError if ONNX Runtime
    can't load a model.
    """
    settings = settings or InferenceSettings()
    wanted = [name for name in dict.fromkeys(names) if name not in AT_DECODER]
    choices = {**settings.chosen_models, **(models or {})}
    for name in choices:
        catalogue().chosen(name, choices)
    entries = {name: catalogue().chosen(name, choices) for name in wanted if name != LogoDetector.name}
    shared: dict[str, list[str]] = {}
    for name, entry in entries.items():
        shared.setdefault(entry.model, []).append(name)
    make = _on_triton(settings) if settings.home == "triton" else _in_process(settings, entries.values(), models_dir)
    sessions = {model: make(catalogue().models[model], kinds) for model, kinds in shared.items()}
    return {
        name: detector_of(entries[name], name, sessions[entries[name].model], settings.score_floor)
        if name in entries
        else _logos(settings)
        for name in wanted
    }


def detector_of(entry: ModelEntry, name: str, session: Session, floor: float) -> NetworkDetector:
    """What reads a model's answers as those of one detector.

    Args:
        entry: the model in the catalogue.
        name: of the detector, one that the model finds.
        session: of the model.
        floor: lowest score of a box that is told of.
    """
    kind = _DETECTORS.get(entry.model)
    if kind is None:
        return OwnDetector(session, entry, name, floor)
    return kind(session, entry.stamp, floor, entry.scale(name))


def _logos(settings: InferenceSettings) -> Detector:
    try:
        return FollowedLogos(LogoFolder(), settings.score_floor, settings.logos_recheck_s)
    except LogoError as error:
        raise ModelMissing(str(error)) from error


def _in_process(settings: InferenceSettings, entries: Iterable[ModelEntry], models_dir: Path | None) -> _MakeSession:
    folder = models_dir or default_models_dir()
    check_present(entries, folder)

    def make(entry: ModelEntry, kinds: Sequence[str]) -> Session:
        model = read_model(entry.model, folder)
        return OnnxSession(model if entry.model in _DETECTORS else only(model, kinds), settings.threads)

    return make


def _on_triton(settings: InferenceSettings) -> _MakeSession:
    try:
        servers = TritonServers(settings.triton_urls.split(","), settings.triton_ca_file)
    except OSError as error:
        raise DetectorError(f"{settings.triton_ca_file} can't be read: {error.strerror}") from error

    def make(entry: ModelEntry, kinds: Sequence[str]) -> Session:
        session = TritonSession(servers, entry.model, entry.stamp)
        try:
            session.check()
        except WrongModel as error:
            raise ModelMissing(f"{error}: give it a repository written by `veil models repository`") from error
        except (DetectorError, TimeoutError) as error:
            names = ", ".join(kinds)
            _log.warning("the %s detector has no Triton yet, its frames stay closed until then: %s", names, error)
        return session

    return make
