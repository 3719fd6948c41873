"""The encoder as a process of its own."""

from services.encoder.settings import EncoderSettings
from services.encoder.stage import EncoderStage
from services.media.sink import Target
from services.policy.site import Outputs
from services.runtime.service import MakeStage, ServiceSettings
from services.startup import site_of


def prepare(settings: ServiceSettings) -> MakeStage:
    """Reads the site file; the stage writes the outputs that cameras have there, beside the bus."""
    site = site_of(settings, "outputs")
    targets = {camera.id: targets_of(camera.outputs) for camera in site.config.cameras if camera.outputs is not None}
    # On a broker access units leave in the order of their numbers: a kill leaves no hole behind it.
    encoder = EncoderSettings(reorder=False)
    return lambda: EncoderStage(encoder, targets, site.book)


def targets_of(outputs: Outputs) -> tuple[Target, ...]:
    """Where one camera's masked pictures go beside the bus."""
    targets = []
    if outputs.mp4 is not None:
        targets.append(Target("mp4", str(outputs.mp4)))
    if outputs.hls is not None:
        targets.append(Target("hls", str(outputs.hls)))
    if outputs.rtsp is not None:
        targets.append(Target("rtsp", outputs.rtsp.get_secret_value()))
    return tuple(targets)
