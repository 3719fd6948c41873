"""The auditor as a process of its own."""

import cv2

from services.auditor.eyes import KINDS, load_eyes
from services.auditor.settings import AuditorSettings
from services.auditor.stage import AuditorStage
from services.runtime.service import MakeStage, ServiceError, ServiceSettings


def prepare(settings: ServiceSettings) -> MakeStage:  # noqa: ARG001, it needs no site file: it sees what viewers see
    """Loads the auditor's own detectors."""
    cv2.setNumThreads(1)
    auditor = AuditorSettings()
    if not auditor.kinds or not set(auditor.kinds) <= set(KINDS):
        raise ServiceError(f"VEIL_AUDITOR_KINDS: the auditor looks for {' and '.join(KINDS)}")
    eyes = load_eyes(auditor.kinds, auditor.least, auditor.timeout_s, auditor.threads)
    return lambda: AuditorStage(auditor, eyes)
