"""How to reach the brokers, read from VEIL_KAFKA_…: the same names for services, tools and viewers."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSettings(BaseSettings):
    """Address, credentials and limits of one Kafka client.

    TLS is used where `ca_file` is given, SASL/SCRAM-SHA-512 where `username` is; production has both.
    """

    model_config = SettingsConfigDict(env_prefix="VEIL_KAFKA_", frozen=True, extra="forbid")

    bootstrap: str = Field("127.0.0.1:9092", description="host:port of one or more brokers, separated by commas.")
    ca_file: Path | None = Field(None, description="CA certificate, PEM: turns TLS on and verifies the broker.")
    username: str | None = Field(None, description="SASL user.")
    password_file: Path | None = Field(None, description="File whose first line is the password.")
    partitions: int = Field(8, ge=1, le=1000, description="Of every topic, when topics are made.")
    replication: int = Field(1, ge=1, le=5, description="Copies of every partition, when topics are made.")
    budget_mb: int = Field(64, ge=1, le=4096, description="Most records that wait for the broker, in MB.")
    fetch_mb: int = Field(
        32, ge=1, le=1024, description="Most in one answer of the broker, in MB; a consumer holds up to four."
    )
    linger_ms: int = Field(2, ge=0, le=1000, description="How long a record waits for company.")
    delivery_timeout_s: float = Field(30, ge=1, le=600, description="Longest a record waits for the broker's answer.")
    request_timeout_s: float = Field(8, ge=1, le=120, description="Longest one request may take.")
    session_timeout_s: float = Field(10, ge=6, le=120, description="Silence after which a consumer counts as gone.")

    rack: str = Field(
        "", max_length=253, description="Zone of this client: it reads from a copy there, if the brokers say which is."
    )

    @model_validator(mode="after")
    def _a_record_outlives_its_request(self) -> Self:
        least_s = self.request_timeout_s + self.linger_ms / 1000
        if self.delivery_timeout_s < least_s:
            raise ValueError(f"delivery_timeout_s must be at least request_timeout_s plus linger_ms, {least_s} s")
        return self
