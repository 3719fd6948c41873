"""The renderer as a process of its own, or as one half of one."""

import cv2

from services.renderer.settings import RendererSettings
from services.renderer.stage import RendererStage
from services.runtime.service import MakeStage, ServiceSettings
from services.startup import make_opener, site_of


def prepare(settings: ServiceSettings, *, attached: bool = False) -> MakeStage:
    """Reads the site file and the keys.

    Args:
        settings: of the process.
        attached: the encoder is in the same process, so that pictures need no JPEG.
    """
    # OpenCV's own threads would compete with other cameras; what it does here takes well under a millisecond.
    cv2.setNumThreads(1)
    site, opener = site_of(settings), make_opener()
    renderer = RendererSettings(transport="attached" if attached else "encoded")
    return lambda: RendererStage(renderer, site.book, opener=opener)
