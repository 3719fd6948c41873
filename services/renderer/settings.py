"""Settings of the renderer stage; what belongs to one camera is in its policy instead."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RendererSettings(BaseSettings):
    """How long and how much the renderer holds, read from VEIL_RENDERER_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_RENDERER_", frozen=True, extra="forbid")

    live_deadline_s: float | None = Field(
        None,
        gt=0,
        le=60,
        description="Longest a live frame waits for its span; the policy's look-ahead and 2 s more if left out.",
    )
    file_deadline_s: float = Field(
        120, gt=0, le=3600, description="Time without any new span after which a file's frames are closed."
    )
    hold_bytes: int = Field(
        512 << 20,
        ge=1 << 20,
        le=64 << 30,
        description="Bytes of frames that wait for spans, all cameras together.",
    )
    overflow_wait_s: float = Field(
        30, gt=0, le=3600, description="Time a file waits with the hold full before its oldest frames are closed."
    )
    silent_max_s: float = Field(
        300, ge=10, le=86_400, description="Silence after which a camera's messages hold back commits no longer."
    )
    cameras_max: int = Field(
        4096, ge=1, le=1_000_000, description="Most cameras in memory; one more drops the one silent for longest."
    )
    frames_per_turn: int = Field(4, ge=1, le=64, description="Most frames rendered before new input is looked at.")
    transport: Literal["attached", "encoded"] = Field(
        "attached", description="attached: pictures by reference, in one process; encoded: as JPEG 4:2:0."
    )
    jpeg_quality: int = Field(90, ge=50, le=100, description="Of encoded pictures.")
