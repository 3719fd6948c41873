"""Settings of the API's process: where it listens, and who ends TLS."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.accounts.settings import is_loopback


class ApiSettings(BaseSettings):
    """Read from VEIL_API_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_API_", env_ignore_empty=True, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address it listens on.")
    port: int = Field(8090, ge=0, le=65535, description="Port; 0 for any free one.")
    certificate: Path | None = Field(None, description="Certificate chain, PEM: the API speaks TLS itself.")
    certificate_key: Path | None = Field(None, description="Its private key, PEM.")
    behind_tls: bool = Field(False, description="A proxy in front of the API speaks TLS.")
    proxies: str = Field(
        "", description="Addresses of proxies whose word counts for where a request comes from; none if left out."
    )
    jobs: int = Field(1, ge=1, le=16, description="Searches and renderings at a time; each uses several processes.")
    connections_max: int = Field(256, ge=1, le=65_536, description="Most connections at a time.")
    expire_every_s: float = Field(600, gt=0, le=86_400, description="Seconds between two looks for what has expired.")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("VEIL_API_CERTIFICATE and VEIL_API_CERTIFICATE_KEY go together")
        if not self.secure and not is_loopback(self.host):
            raise ValueError(
                "the API listens beyond this machine only with TLS: set VEIL_API_CERTIFICATE and _CERTIFICATE_KEY, or "
                "VEIL_API_BEHIND_TLS where a proxy in front of it speaks TLS"
            )
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.certificate is not None or self.behind_tls
