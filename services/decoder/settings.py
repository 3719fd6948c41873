"""Settings of the decoder stage; what belongs to one camera is in its policy instead."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.media.background import ABSORB_S


class DecoderSettings(BaseSettings):
    """How sources are opened, decoded and buffered, read from VEIL_DECODER_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_DECODER_", frozen=True, extra="forbid")

    threads: int = Field(
        1, ge=1, le=16, description="Decoding threads per camera. Each beyond the first delays pictures by one frame."
    )
    transport: Literal["attached", "encoded"] = Field(
        "attached", description="Detection pictures by reference, in one process, or as JPEG."
    )
    jpeg_quality: int = Field(90, ge=50, le=100, description="Of encoded detection pictures.")
    share_decoded: bool = Field(
        True, description="Pass decoded pictures along with their access units, where transport is attached."
    )
    shared_picture_bytes: int = Field(
        384 << 20, ge=0, le=64 << 30, description="Most bytes of shared pictures under way, all cameras together."
    )
    outbox_bytes: int = Field(
        32 << 20, ge=1 << 20, le=4 << 30, description="Bytes per camera that wait for the bus; live cameras then shed."
    )
    outbox_s: float = Field(
        10, ge=1, le=3600, description="Seconds of a live camera that wait for the bus; older groups are shed."
    )
    alone: bool = Field(
        False,
        description="Reads every camera of its site file, without a lease; no other decoder may read any of them.",
    )
    file_speed: float = Field(
        0, ge=0, le=1000, description="Most times faster than life that files are read; 0: as fast as can be."
    )
    open_timeout_s: float = Field(10, gt=0, le=120, description="Longest a source may take to open.")
    read_timeout_s: float = Field(5, gt=0, le=120, description="Longest silence before a live source counts as lost.")
    motion_absorb_s: float = Field(
        ABSORB_S,
        ge=60,
        le=86400,
        description="Seconds that something must stand still until the kind motion takes it for background.",
    )
    pause_max_s: float = Field(30, ge=1, le=600, description="Longest pause between two attempts to reconnect.")
