"""Settings of the audit log: where a house's own log and its checkpoints lie, and who signs them."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AuditSettings(BaseSettings):
    """Read from the variables VEIL_AUDIT_…, none of them secret."""

    model_config = SettingsConfigDict(env_prefix="VEIL_AUDIT_", env_ignore_empty=True, frozen=True, extra="forbid")

    database: str = Field(
        "",
        description="Address of the log of what no other database tells of, sqlite:///… or postgresql://…; "
        "veil/audit.db in the user's state folder if left out.",
    )
    database_password_file: Path | None = Field(None, description="File with the password of the database's user.")
    keys: Path | None = Field(
        None, description="Folder of the keys that sign checkpoints and exports: veil disclose keys create makes one."
    )
    checkpoints: Path | None = Field(
        None,
        description="File that checkpoints are added to, best on another machine or on media that are written once; "
        "audit-checkpoints.jsonl beside the log if left out.",
    )
    checkpoint_hours: float = Field(
        24,
        gt=0,
        le=24 * 31,
        description="Age of the newest checkpoint at which `veil audit-log verify` complains.",
    )

    @property
    def address(self) -> str:
        """Of the database."""
        return self.database or f"sqlite:///{usual_folder() / 'audit.db'}"

    @property
    def checkpoints_file(self) -> Path:
        """Where checkpoints are."""
        if self.checkpoints is not None:
            return self.checkpoints
        name = "audit-checkpoints.jsonl"
        if self.address.startswith("sqlite:///"):
            return Path(self.address.removeprefix("sqlite:///")).with_name(name)
        return usual_folder() / name


def usual_folder() -> Path:
    """The user's state folder for Veil."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "veil"
