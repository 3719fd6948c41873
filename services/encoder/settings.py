"""Settings of the encoder stage."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.media.encoding import H264Options, Preset
from services.media.hls_sink import HlsOptions
from services.media.rtsp_sink import RtspOptions
from services.media.sinks import SinkOptions


class EncoderSettings(BaseSettings):
    """How pictures are compressed and written. README.md has the measurements behind the defaults."""

    model_config = SettingsConfigDict(env_prefix="VEIL_ENCODER_", frozen=True, extra="forbid")

    preset: Preset = Field("veryfast", description="x264's trade of CPU against bytes.")
    crf: float = Field(23, ge=0, le=51, description="Constant quality: lower is better and larger.")
    threads: int = Field(1, ge=1, le=16, description="Encoder threads of one camera.")
    keyframe_s: float = Field(2.0, ge=0.1, le=30, description="Most seconds between two keyframes.")
    reorder: bool = Field(
        True,
        description="B-frames and look-ahead where there is no hurry; without them access units leave in frame order.",
    )
    queue_mb: int = Field(32, ge=1, le=4096, description="Most pictures that wait for the encoder, in MB.")
    cameras_max: int = Field(
        256, ge=1, le=10_000, description="Most encoders open at a time; the one silent for longest makes room."
    )
    audio_wait_s: float = Field(2.0, ge=0, le=10, description="How long a file waits for the first packet of sound.")
    hls_segment_s: float = Field(4.0, ge=0.5, le=30, description="Shortest HLS segment.")
    hls_window: int = Field(6, ge=3, le=1000, description="Segments on offer of a live camera.")
    rtsp_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for an RTSP server.")
    rtsp_queue_mb: int = Field(8, ge=1, le=1024, description="Most that waits for a slow RTSP server, in MB.")

    @property
    def h264(self) -> H264Options:
        """Options of the encoder."""
        return H264Options(self.preset, self.crf, self.threads, self.keyframe_s)

    @property
    def sinks(self) -> SinkOptions:
        """Options of the outputs."""
        return SinkOptions(
            HlsOptions(self.hls_segment_s, self.hls_window),
            RtspOptions(self.rtsp_timeout_s, self.rtsp_queue_mb * 1024 * 1024),
        )
