"""Settings of disclosure: where requests and packages lie, by which rules they are due, and who signs."""

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.disclosure.deadlines import rule_set
from services.disclosure.errors import Invalid


class DisclosureSettings(BaseSettings):
    """Read from the variables VEIL_DISCLOSURE_…, none of them secret."""

    model_config = SettingsConfigDict(env_prefix="VEIL_DISCLOSURE_", env_ignore_empty=True, frozen=True, extra="forbid")

    folder: Path = Field(description="Where thumbnails, videos and packages lie until they expire; made private.")
    database: str = Field(
        "", description="Address of the requests, sqlite:///… or postgresql://…; requests.db in the folder if left out."
    )
    database_password_file: Path | None = Field(None, description="File with the password of the database's user.")
    keys: Path = Field(description="Folder of the keys that sign packages.")
    policies: Path | None = Field(
        None, description="Folder with every policy (.yaml) that cameras had while the footage was taken."
    )
    rules: str = Field("gdpr", description="Deadlines: gdpr, pipa, days:N or days:N+MORE.")
    time_zone: str = Field("UTC", description="Zone in which days begin and end, such as Asia/Seoul.")
    expiry_days: int = Field(30, ge=1, le=366, description="Days that a package can be taken once it is handed over.")
    workers: int = Field(0, ge=0, le=64, description="Processes that render at a time; as many as cores if 0.")
    house: str = Field("", max_length=200, description="Who hands packages over, as the cover sheet says it.")
    contact: str = Field("", max_length=200, description="How to reach them.")

    @field_validator("rules")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            rule_set(value)
        except Invalid as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no time zone") from None
        return value
