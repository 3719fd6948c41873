"""Settings of the statistics: where they lie, how small a count is told, and on which grid of time they are counted."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

HOUR_S = 3600


def _default_database() -> str:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return f"sqlite:///{state / 'veil' / 'insight.db'}"


class InsightSettings(BaseSettings):
    """Read from the variables VEIL_INSIGHT_…, none of them secret.

    Grid and threshold are settings of the house and never part of a question: numbers that were told under two
    thresholds, or in two grids, could be subtracted from each other.
    """

    model_config = SettingsConfigDict(env_prefix="VEIL_INSIGHT_", env_ignore_empty=True, frozen=True, extra="forbid")

    database: str = Field(
        default_factory=_default_database,
        description="Address of the statistics, sqlite:///… or postgresql://…; a file of the user's own if left out.",
    )
    database_password_file: Path | None = Field(None, description="File with the password of the database's user.")
    least: int = Field(5, ge=2, le=1000, description="Smallest count that is told; below it stands «fewer than».")
    step_s: int = Field(600, ge=60, le=HOUR_S, description="Seconds of the finest interval; divides the hour.")
    time_zone: str = Field("UTC", description="Zone in which days begin and end, such as Asia/Seoul.")
    late_s: float = Field(120, ge=1, le=HOUR_S, description="Stream time after its end at which an interval closes.")
    silent_s: float = Field(HOUR_S, ge=60, le=86_400, description="Silence after which a camera's intervals close.")
    steps_days: int = Field(14, ge=1, le=400, description="Days that the finest intervals are kept.")
    hours_days: int = Field(400, ge=1, le=4000, description="Days that hours, heat maps and dwell are kept.")
    days_days: int = Field(1500, ge=1, le=40_000, description="Days that days are kept.")
    batch: int = Field(2000, ge=1, le=100_000, description="Most messages written in one transaction.")
    every_s: float = Field(1.0, gt=0, le=60, description="Seconds between two transactions.")
    waiting_max: int = Field(20_000, ge=1, le=1_000_000, description="Most messages in memory before none are taken.")

    @field_validator("step_s")
    @classmethod
    def _divides(cls, value: int) -> int:
        if HOUR_S % value:
            raise ValueError("does not divide the hour")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no time zone") from None
        return value
