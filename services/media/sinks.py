"""Opens the output that a target asks for."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from services.media.file_sink import FileSink
from services.media.hls_sink import HlsOptions, HlsSink
from services.media.rtsp_sink import RtspOptions, RtspSink
from services.media.sink import Sink, Target
from services.schema import pb


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What outputs of each kind need to know."""

    hls: HlsOptions = field(default_factory=HlsOptions)
    rtsp: RtspOptions = field(default_factory=RtspOptions)


def open_sink(
    target: Target, video: pb.RedactedUnit, audio: pb.AudioUnit | None, live: bool, options: SinkOptions | None = None
) -> Sink:
    """Opens an output for one epoch.

    A live camera's file gets the time of its epoch into its name, so that no recording overwrites the one before.

    Args:
        target: where to.
        video: the first access unit.
        audio: the first packet of sound, None where there is none.
        live: the stream has no known end.
        options: lengths, deadlines, bounds.

    Raises:
        SinkError: with one clear sentence.
    """
    options = options or SinkOptions()
    if target.kind == "rtsp":
        return RtspSink(target, video, audio, options.rtsp)
    if target.kind == "hls":
        return HlsSink(target, video, audio, live, options.hls)
    return FileSink(_dated(target, video.epoch) if live else target, video, audio, live)


def _dated(target: Target, epoch_us: int) -> Target:
    path = Path(target.location)
    moment = datetime.fromtimestamp(epoch_us / 1e6, UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return replace(target, location=str(path.with_stem(f"{path.stem}-{moment}")))
