"""Makes the detectors in the home that the settings name."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from services.detect.catalogue import ModelMissing, catalogue, check_present, default_models_dir, read_model
from services.detect.centerface import FaceDetector
from services.detect.interface import Detector, DetectorError, Session
from services.detect.logo import LogoDetector
from services.detect.logo_folder import LogoError, LogoFolder
from services.detect.logo_follow import FollowedLogos
from services.detect.onnx_runtime import OnnxSession
from services.detect.person import PersonDetector
from services.detect.plate import PlateDetector
from services.detect.text import TextDetector
from services.detect.triton import TritonSession, WrongModel
from services.detect.triton_servers import TritonServers
from services.inference.settings import InferenceSettings
from services.policy.model import AT_DECODER

_log = logging.getLogger(__name__)

_DETECTORS: Mapping[str, Callable[[Session, str, float], Detector]] = {
    "face": FaceDetector,
    "plate": PlateDetector,
    "person": PersonDetector,
    "text": TextDetector,
}


def load_detectors(
    names: Iterable[str], settings: InferenceSettings | None = None, models_dir: Path | None = None
) -> Mapping[str, Detector]:
    """The named detectors in ONNX Runtime sessions, or on Triton, which need not be up yet.

    Logos are looked for in process everywhere. Those that run at the decoder are left out.

    Raises ModelMissing, with the command that mends it, if a model is absent or its hash is not the catalogue's, here
    or on Triton, or if no logo is registered; DetectorError if ONNX Runtime can't load a model.
    """
    settings = settings or InferenceSettings()
    wanted = [name for name in dict.fromkeys(names) if name not in AT_DECODER]
    make = _on_triton(settings) if settings.home == "triton" else _in_process(settings, wanted, models_dir)
    return {
        name: _logos(settings)
        if name == LogoDetector.name
        else _DETECTORS[name](make(name), catalogue()[name].stamp, settings.score_floor)
        for name in wanted
    }


def _logos(settings: InferenceSettings) -> Detector:
    try:
        return FollowedLogos(LogoFolder(), settings.score_floor, settings.logos_recheck_s)
    except LogoError as error:
        raise ModelMissing(str(error)) from error


def _in_process(settings: InferenceSettings, names: Iterable[str], models_dir: Path | None) -> Callable[[str], Session]:
    folder = models_dir or default_models_dir()
    check_present(names, folder)
    return lambda name: OnnxSession(read_model(name, folder), settings.threads)


def _on_triton(settings: InferenceSettings) -> Callable[[str], Session]:
    try:
        servers = TritonServers(settings.triton_urls.split(","), settings.triton_ca_file)
    except OSError as error:
        raise DetectorError(f"{settings.triton_ca_file} can't be read: {error.strerror}") from error

    def make(name: str) -> Session:
        entry = catalogue()[name]
        session = TritonSession(servers, entry.model, entry.stamp)
        try:
            session.check()
        except WrongModel as error:
            raise ModelMissing(f"{error}: give it a repository written by `veil models repository`") from error
        except (DetectorError, TimeoutError) as error:
            _log.warning("the %s detector has no Triton yet, its frames stay closed until then: %s", name, error)
        return session

    return make
