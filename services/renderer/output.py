"""Rendered frames as messages: the picture beside the record, or in it as JPEG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.bus.interface import Record
from services.bus.topics import VIDEO_RENDERED
from services.media.picture import Picture
from services.media.planar_jpeg import PlanarJpegEncoder
from services.renderer.frames import Frame
from services.renderer.settings import RendererSettings
from services.renderer.verdict import Closure
from services.schema import pb


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What becomes of a frame.

    Attributes:
        picture: what is shown; None where the frame is dropped.
        closure: why the frame is closed, None where it is not.
        masks: how many of each kind were drawn.
    """

    picture: Picture | None
    closure: Closure | None
    masks: Mapping[pb.Kind, int] = field(default_factory=dict)


class FrameWriter:
    """Makes the records of one epoch's frames."""

    def __init__(self, camera_id: str, epoch: int, settings: RendererSettings) -> None:
        self._camera_id = camera_id
        self._epoch = epoch
        self._jpeg = PlanarJpegEncoder(settings.jpeg_quality) if settings.transport == "encoded" else None

    def record(
        self,
        frame: Frame,
        stream: pb.StreamInfo,
        shown: Shown,
        trace: Sequence[pb.Hop],
    ) -> Record:
        """The record of one frame; without a picture it says that the frame was dropped."""
        picture, closure = shown.picture, shown.closure
        message = pb.RenderedFrame(
            camera_id=self._camera_id,
            epoch=self._epoch,
            seq=frame.seq,
            pts=frame.pts,
            duration=frame.duration,
            time_base_num=stream.time_base_num,
            time_base_den=stream.time_base_den,
            width=stream.width if picture is None else picture.width,
            height=stream.height if picture is None else picture.height,
            full_range=stream.full_range,
            closed=closure is not None,
            why="" if closure is None else closure.why,
            closing=None if closure is None else closure.closing,
            masks=[pb.MaskCount(kind=kind, count=count) for kind, count in sorted(shown.masks.items())],
            captured_us=frame.captured_us,
            frame_rate=stream.frame_rate,
            live=stream.live,
            trace=trace,
        )
        if picture is None:
            message.dropped = True
        elif self._jpeg is not None:
            message.jpeg = self._jpeg.encode(picture)
        else:
            message.attached = True
        value = pb.RenderedMessage(frame=message).SerializeToString()
        return Record(VIDEO_RENDERED, self._camera_id, value, picture.data if message.attached and picture else None)
