"""Settings of payload encryption, the same for those who seal and those who open."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class KeySettings(BaseSettings):
    """Where keys are and how long they live, read from VEIL_KEYS_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_KEYS_", frozen=True, extra="forbid")

    folder: Path = Field(description="Folder of key-encryption keys, made by `veil keys create`.")
    rotate_every_s: float = Field(3600, gt=0, le=86_400, description="Age at which a camera gets a new data key.")
    cache_s: float = Field(
        300, ge=0, le=3600, description="How long a reader keeps a data key; a destroyed key is of use no longer."
    )
    cache_size: int = Field(4096, ge=1, le=1_000_000, description="Most data keys that a reader keeps.")
