"""Settings of accounts: where they lie, how long sessions last, and the identity provider."""

import os
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.accounts.errors import Invalid
from services.accounts.model import Role, checked_roles


def _default_database() -> str:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return f"sqlite:///{state / 'veil' / 'accounts.db'}"


class AccountSettings(BaseSettings):
    """Read from the variables VEIL_ACCOUNTS_…; secrets are in files."""

    model_config = SettingsConfigDict(
        env_prefix="VEIL_ACCOUNTS_", env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    database: str = Field(
        default_factory=_default_database,
        description="Address of the accounts, sqlite:///… or postgresql://…; a file of the user's own if left out.",
    )
    database_password_file: Path | None = Field(None, description="File with the password of the database's user.")
    idle_minutes: int = Field(30, ge=1, le=24 * 60, description="A session ends after so long without a request.")
    session_hours: int = Field(12, ge=1, le=24 * 7, description="A session ends after so long, whatever happens.")
    token_days_max: int = Field(366, ge=1, le=3660, description="Longest life of a token for scripts.")
    password_least: int = Field(12, ge=8, le=64, description="Fewest characters of a password.")
    tries: int = Field(5, ge=1, le=100, description="Wrong passwords of one account before pauses begin.")
    tries_from_address: int = Field(20, ge=1, le=10_000, description="Wrong passwords from one address before that.")
    pause_max_s: int = Field(900, ge=1, le=86_400, description="Longest pause; the first is 1 s, each doubles.")
    requests_per_minute: int = Field(600, ge=10, le=100_000, description="Most requests of one account or address.")

    oidc_issuer: str = Field("", description="Address of the identity provider (OpenID Connect); none if left out.")
    oidc_client: str = Field("", max_length=200, description="Id under which the provider knows this house.")
    oidc_secret_file: Path | None = Field(None, description="File with the client's secret; none for a public client.")
    oidc_ca_file: Path | None = Field(None, description="Certificate to trust (PEM), if it is the house's own.")
    oidc_redirect: str = Field("", description="Address of /api/v1/session/oidc/callback as browsers reach it.")
    oidc_scopes: str = Field("openid profile email", description="What is asked of the provider.")
    oidc_groups: str = Field("groups", description="Claim with the groups of who logs in.")
    oidc_person: str = Field("email", description="Claim that says whose account it is; never changes for a person.")
    oidc_roles: dict[str, str] = Field(
        default_factory=dict, description='Role by group, as JSON: {"footage-officers": "officer"}; others get none.'
    )
    oidc_cameras: dict[str, list[str]] = Field(
        default_factory=dict, description='Cameras by group, as JSON: {"north": ["north-*"]}; ["*"] is all of them.'
    )
    oidc_timeout_s: float = Field(5, gt=0, le=60, description="Longest that one answer of the provider may take.")

    @field_validator("oidc_issuer", "oidc_redirect")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if value and not is_safe_address(value):
            raise ValueError("must begin with https://, unless it is on this machine")
        return value

    @field_validator("oidc_roles")
    @classmethod
    def _are_roles(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            checked_roles(value.values())
        except Invalid as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> "AccountSettings":
        if self.oidc_issuer and not (self.oidc_client and self.oidc_redirect and self.oidc_roles):
            raise ValueError("VEIL_ACCOUNTS_OIDC_ISSUER needs VEIL_ACCOUNTS_OIDC_CLIENT, _REDIRECT and _ROLES")
        return self

    def oidc_secret(self) -> SecretStr | None:
        """The client's secret. Raises OSError where its file can't be read."""
        if self.oidc_secret_file is None:
            return None
        return SecretStr(self.oidc_secret_file.read_text(encoding="utf-8").strip())

    def roles_of(self, groups: frozenset[str]) -> frozenset[Role]:
        """What the groups of somebody allow."""
        return frozenset(Role(role) for group, role in self.oidc_roles.items() if group in groups)

    def cameras_of(self, groups: frozenset[str]) -> tuple[str, ...]:
        """What the groups of somebody may see."""
        return tuple(
            dict.fromkeys(each for group, some in self.oidc_cameras.items() if group in groups for each in some)
        )


def is_safe_address(address: str) -> bool:
    """Whether it is https, or plain HTTP that never leaves this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
