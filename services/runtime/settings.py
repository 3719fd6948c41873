"""Settings that every stage has, read from the environment and refused where a key is unknown."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RunnerSettings(BaseSettings):
    """How the main loop paces itself."""

    model_config = SettingsConfigDict(env_prefix="VEIL_RUNNER_", frozen=True, extra="forbid")

    poll_records: int = Field(32, ge=1, le=1000, description="Most messages taken from the bus at once.")
    idle_min_s: float = Field(0.001, gt=0, le=1, description="First pause when there is nothing to do.")
    idle_max_s: float = Field(
        0.016, gt=0, le=5, description="Longest pause while a stage has threads or messages in hand; it may delay them."
    )
    rest_max_s: float = Field(
        0.25, gt=0, le=5, description="Longest pause of a stage that waits for messages only; one that comes ends it."
    )
    commit_every_s: float = Field(1, ge=0, le=60, description="Seconds between two commits.")
    settle_s: float = Field(
        5, gt=0, le=60, description="Time to publish and commit before partitions go to another member."
    )
    recall_margin_s: float = Field(
        5, ge=0, le=600, description="Most by which the clocks that stamp inputs and outputs may differ."
    )
    recall_s: float = Field(
        30, gt=0, le=600, description="Longest silence while a stage that has just started reads what it sent before."
    )
    drain_s: float = Field(20, ge=0, le=600, description="Time to finish what is in hand when asked to stop.")
    dead_letters_max_ratio: float = Field(
        0.05, ge=0, le=1, description="Share of refused messages above which the stage stops instead of going on."
    )
