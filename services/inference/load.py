"""Makes the in-process detectors from their installed models."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from services.detect.catalogue import catalogue, default_models_dir, read_model
from services.detect.centerface import FaceDetector
from services.detect.interface import Detector
from services.detect.onnx_runtime import OnnxSession
from services.detect.person import PersonDetector
from services.detect.plate import PlateDetector
from services.inference.settings import InferenceSettings

_DETECTORS: Mapping[str, Callable[[OnnxSession, str, float], Detector]] = {
    "face": FaceDetector,
    "plate": PlateDetector,
    "person": PersonDetector,
}


def load_detectors(
    names: Iterable[str], settings: InferenceSettings | None = None, models_dir: Path | None = None
) -> Mapping[str, Detector]:
    """The named detectors in ONNX Runtime sessions.

    Raises ModelMissing, with the command that installs it, if a model is absent or its hash is not the catalogue's;
    DetectorError if ONNX Runtime can't load it.
    """
    settings = settings or InferenceSettings()
    loaded: dict[str, Detector] = {}
    for name in dict.fromkeys(names):
        session = OnnxSession(read_model(name, models_dir or default_models_dir()), settings.threads)
        loaded[name] = _DETECTORS[name](session, catalogue()[name].stamp, settings.score_floor)
    return loaded
