"""The tracker as a process of its own."""

from services.runtime.service import MakeStage, ServiceSettings
from services.startup import site_of
from services.tracker.settings import TrackerSettings
from services.tracker.stage import TrackerStage


def prepare(settings: ServiceSettings) -> MakeStage:
    """Reads the site file: which cameras have which policy."""
    site = site_of(settings)
    return lambda: TrackerStage(TrackerSettings(), site.book)
