"""Settings of the vault: where originals lie, how much may lie there, and how they are written."""

import socket
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

LONGEST_SEGMENT_S = 600
"""Most seconds of one segment, whatever the settings: a search by time looks no further back for its beginning."""


class VaultSettings(BaseSettings):
    """Read from VEIL_VAULT_…; the keys are those of VEIL_KEYS_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_VAULT_", env_ignore_empty=True, frozen=True, extra="forbid")

    store: str = Field(
        description="Where segments lie: a folder, or an address that fsspec knows, such as s3://bucket/prefix."
    )
    index: str = Field(
        "",
        description="Address of the index, sqlite:///… or postgresql://…; if left out, index.db in the store's folder.",
    )
    index_password_file: Path | None = Field(None, description="File with the password of the index's user.")
    s3_endpoint: str | None = Field(None, description="Address of an S3 server that is not Amazon's.")
    s3_region: str | None = Field(None, description="Region of the bucket; credentials come as for every S3 client.")
    writer: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=128,
        description="Name of this writer, the same after a restart and no other's: it clears up after itself.",
    )
    segment_s: float = Field(
        10, gt=0, le=LONGEST_SEGMENT_S / 2, description="Seconds after which a segment ends at the next keyframe."
    )
    segment_max_s: float = Field(
        60, gt=0, le=LONGEST_SEGMENT_S, description="Seconds after which it ends without waiting for a keyframe."
    )
    segment_mb: int = Field(32, ge=1, le=512, description="Size at which it ends, in MB.")
    hold_mb: int = Field(512, ge=1, le=65_536, description="Most that waits in memory to be stored, in MB.")
    max_gb: float = Field(100, gt=0, description="Most that all segments may take up, in GB.")
    keep_free_mb: int = Field(512, ge=0, description="Room left on the disk of a folder, in MB.")
    when_full: Literal["wait", "shed"] = Field(
        "wait", description="wait: take nothing more until there is room again; shed: leave it out, and count it."
    )
    threads: int = Field(4, ge=1, le=64, description="Segments written at a time.")
    store_timeout_s: float = Field(30, gt=0, le=600, description="Longest one access to the store may take.")
    open_wait_s: float = Field(
        30, ge=0, le=600, description="How long a payload that can't be opened is tried again before it is left out."
    )
    retry_max_s: float = Field(30, gt=0, le=600, description="Longest pause before a segment is tried again.")
    sweep_s: float = Field(300, gt=0, le=3600, description="Seconds between two looks for what has expired.")
    clock_step_s: float = Field(
        300, ge=1, le=86_400, description="Most that the clock may leap before nothing is expired until it is settled."
    )
    tombstones_days: int = Field(3 * 365, ge=1, le=36_500, description="How long the index tells of what is gone.")
