"""Settings of the inference stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_TRITON: Mapping[str, int] = {"max_batch": 8, "workers": 6, "concurrency": 2}
"""Defaults that differ in the Triton home, where calls wait and the server works."""


class InferenceSettings(BaseSettings):
    """How detectors are run. The defaults suit live cameras on two cores."""

    model_config = SettingsConfigDict(env_prefix="VEIL_INFERENCE_", frozen=True, extra="forbid")

    home: Literal["onnx", "triton"] = Field("onnx", description="Where networks run: in this process, or on Triton.")
    triton_urls: str = Field(
        "127.0.0.1:8001",
        pattern=r"^[^,:\s]+(:\d+)?(,[^,:\s]+(:\d+)?)*$",
        description="host:port of one or more Triton servers, separated by commas; all addresses of a name are used.",
    )
    triton_ca_file: Path | None = Field(
        None, description="CA certificate, PEM: turns TLS on and verifies the Triton servers."
    )
    timeout_s: float = Field(2.0, gt=0, le=600, description="Longest one call of a detector may take.")
    live_age_s: float = Field(
        1.0, gt=0, le=600, description="Age from which a live frame is skipped, so that the next ones are fresh again."
    )
    max_batch: int = Field(
        1,
        ge=1,
        le=64,
        description="Most pictures in one call, of any cameras; 8 with Triton. In process it is no faster.",
    )
    workers: int = Field(1, ge=1, le=16, description="Calls at the same time, of all detectors; 6 with Triton.")
    concurrency: int = Field(1, ge=1, le=16, description="Calls of one detector at the same time; 2 with Triton.")
    threads: int = Field(1, ge=1, le=64, description="Threads within one call, in the in-process home.")
    in_flight_mb: int = Field(64, ge=1, le=4096, description="Most pictures in hand, in MB of their messages.")
    models: str = Field(
        "",
        pattern=r"^([a-z][a-z0-9_-]*=[a-z][a-z0-9_-]*(,[a-z][a-z0-9_-]*=[a-z][a-z0-9_-]*)*)?$",
        description="detector=model, separated by commas: models other than the usual ones. The site file's go before.",
    )
    score_floor: float = Field(0.03, ge=0.01, le=0.9, description="Lowest score reported to the tracker.")

    logos_recheck_s: float = Field(
        5.0, ge=0, le=3600, description="Seconds after which the folder of logos is looked at again; 0: never."
    )

    @property
    def chosen_models(self) -> Mapping[str, str]:
        """Detector → model, where one was chosen."""
        return dict(choice.split("=") for choice in self.models.split(",") if choice)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_home(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {**_TRITON, **given} if given.get("home") == "triton" else given
