"""Settings of the inference stage."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferenceSettings(BaseSettings):
    """How detectors are run. The defaults suit live cameras on two cores."""

    model_config = SettingsConfigDict(env_prefix="VEIL_INFERENCE_", frozen=True, extra="forbid")

    timeout_s: float = Field(2.0, gt=0, le=600, description="Longest one call of a detector may take.")
    max_batch: int = Field(
        1, ge=1, le=64, description="Most pictures in one call, of any cameras. In process a batch is no faster."
    )
    workers: int = Field(1, ge=1, le=16, description="Calls at the same time, each to another detector.")
    threads: int = Field(1, ge=1, le=64, description="Threads within one call, in the in-process home.")
    in_flight_mb: int = Field(64, ge=1, le=4096, description="Most pictures in hand, in MB of their messages.")
    score_floor: float = Field(0.03, ge=0.01, le=0.9, description="Lowest score reported to the tracker.")
