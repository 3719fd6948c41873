"""Inference as a process of its own."""

import cv2

from services.inference.load import load_detectors
from services.inference.settings import InferenceSettings
from services.inference.stage import InferenceStage
from services.runtime.service import MakeStage, ServiceSettings
from services.startup import make_opener, site_of


def prepare(settings: ServiceSettings) -> MakeStage:
    """Reads the site file and the keys, and loads every detector that a policy of the site asks for."""
    cv2.setNumThreads(1)
    site, opener = site_of(settings), make_opener()
    inference = InferenceSettings()
    detectors = load_detectors(
        sorted({name for policy in site.policies.values() for name in policy.detectors}),
        inference,
        models=site.config.models,
    )
    return lambda: InferenceStage(inference, detectors, opener=opener)
