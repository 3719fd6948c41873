"""Settings of the tracker stage; what belongs to one camera is in its policy instead."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TrackerSettings(BaseSettings):
    """Bounds and intervals of the tracker, read from VEIL_TRACKER_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_TRACKER_", frozen=True, extra="forbid")

    tracks_max: int = Field(500, ge=1, le=10_000, description="Most tracks of a camera; above it its frames close.")
    boxes_max: int = Field(2000, ge=1, le=100_000, description="Most boxes a detector may give for one picture.")
    looks_max: int = Field(2048, ge=16, le=65_536, description="Most looks of a camera in memory at once.")
    cameras_max: int = Field(
        4096, ge=1, le=1_000_000, description="Most cameras in memory; one more drops the one silent for longest."
    )
    emissions_max: int = Field(1024, ge=1, le=65_536, description="Most emissions waiting before input is refused.")
    stats_every_s: float = Field(10, ge=1, le=3600, description="Stream time that one StatsRecord covers.")
    track_record_every_s: float = Field(5, ge=1, le=3600, description="Stream time between records of a track.")
    silent_max_s: float = Field(300, ge=10, le=86_400, description="Silence after which a camera's epoch is given up.")
