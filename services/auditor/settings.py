"""Settings of the auditor."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AuditorSettings(BaseSettings):
    """How often and how sharply it looks. README.md has the measurements behind the defaults."""

    model_config = SettingsConfigDict(env_prefix="VEIL_AUDITOR_", frozen=True, extra="forbid")

    every_s: float = Field(5.0, gt=0, le=3600, description="Seconds of a camera's video from one look to the next.")
    kinds: tuple[str, ...] = Field(("face", "plate"), description="What is looked for: face, plate.")
    face_least: float = Field(0.45, ge=0.05, le=1, description="Lowest score of a face; must be there in two looks.")
    face_sure: float = Field(0.5, ge=0.05, le=1, description="Score from which one look at a face is enough.")
    plate_least: float = Field(0.6, ge=0.05, le=1, description="Lowest score of a plate; must be there in two looks.")
    plate_sure: float = Field(0.7, ge=0.05, le=1, description="Score from which one look at a plate is enough.")
    timeout_s: float = Field(30.0, gt=0, le=600, description="Longest one look of one detector may take.")
    threads: int = Field(1, ge=1, le=64, description="Threads of one look.")
    group_mb: int = Field(16, ge=1, le=1024, description="Most of one camera's group of pictures that is kept, in MB.")
    cameras_max: int = Field(1024, ge=1, le=100_000, description="Cameras followed; the one silent for longest goes.")

    @property
    def least(self) -> dict[str, float]:
        """Kind → lowest score of a find."""
        return {"face": self.face_least, "plate": self.plate_least}

    @property
    def sure(self) -> dict[str, float]:
        """Kind → score from which one look is enough."""
        return {"face": self.face_sure, "plate": self.plate_sure}
