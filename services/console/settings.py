"""Settings of the console: where it listens, when a camera counts as lost, and what one viewer may take up."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.accounts.settings import is_safe_address

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ConsoleSettings(BaseSettings):
    """Read from VEIL_CONSOLE_…."""

    model_config = SettingsConfigDict(env_prefix="VEIL_CONSOLE_", env_ignore_empty=True, frozen=True, extra="forbid")

    port: int = Field(8080, ge=0, le=65535, description="Port of the page; 0 for any free one.")
    host: str = Field("127.0.0.1", description="Address it listens on.")
    certificate: Path | None = Field(None, description="Certificate chain, PEM: the console speaks TLS itself.")
    certificate_key: Path | None = Field(None, description="Its private key, PEM.")
    behind_tls: bool = Field(False, description="A proxy in front of the console speaks TLS.")
    lost_after_s: float = Field(
        5, gt=0, le=600, description="Silence after which a camera is shown as lost, in seconds."
    )
    group_mb: int = Field(8, ge=1, le=256, description="Most that is kept of a camera for those who come, in MB.")
    viewer_mb: int = Field(8, ge=1, le=256, description="Most that waits for one viewer, in MB.")
    window_kb: int = Field(
        1024, ge=64, le=65_536, description="Most that is under way to a viewer who has not said it came, in KB."
    )
    viewers_max: int = Field(200, ge=1, le=10_000, description="Most viewers at a time.")
    account_check_s: float = Field(
        5, gt=0, le=300, description="How often a viewer's session is looked up anew, in seconds."
    )
    disclosure_url: str = Field("", description="Address of `veil service disclosure`; the page Requests works by it.")
    disclosure_ca_file: Path | None = Field(None, description="Certificate to trust (PEM), if it is the house's own.")
    disclosure_timeout_s: float = Field(
        60, gt=0, le=600, description="Longest that disclosure may be silent in an answer, in seconds."
    )

    @field_validator("disclosure_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        if value and (not is_safe_address(value) or urlsplit(value)[2:] not in (("", "", ""), ("/", "", ""))):
            raise ValueError("must be https://HOST:PORT, or http:// on this machine, without a path")
        if "@" in value:
            raise ValueError("must not hold a name or password")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key go together")
        if not self.secure and self.host not in LOOPBACK:
            raise ValueError(
                "the console listens beyond this machine only with TLS: give it certificate and certificate_key, or "
                "say behind_tls where a proxy in front of it speaks TLS"
            )
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.certificate is not None or self.behind_tls
