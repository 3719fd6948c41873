"""The decoder as a process of its own."""

import cv2

from services.decoder.leased import LeasedDecoder
from services.decoder.settings import DecoderSettings
from services.decoder.stage import DecoderStage
from services.media.sources import Camera
from services.policy.site import Site
from services.runtime.service import MakeStage, ServiceSettings
from services.startup import make_sealer, site_of


def prepare(settings: ServiceSettings) -> MakeStage:
    """Reads the site file and the keys."""
    cv2.setNumThreads(1)
    site, sealer = site_of(settings, "source"), make_sealer()
    decoder = DecoderSettings(transport="encoded")
    kind = DecoderStage if decoder.alone else LeasedDecoder
    return lambda: kind(decoder, cameras_of(site), site.book, sealer=sealer)


def cameras_of(site: Site) -> list[Camera]:
    """What the decoder reads; a file that loops plays in its own time, as a camera does."""
    return [
        Camera(camera.id, camera.source.get_secret_value(), live=True if camera.loop else None, loop=camera.loop)
        for camera in site.config.cameras
    ]
