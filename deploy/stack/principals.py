"""Who may log in to the stack's broker: a user with a password of its own for each principal."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

from deploy.stack.secret_files import write_secret
from services.bus.kafka_client import check_broker, client_options
from services.bus.kafka_settings import KafkaSettings


def password_file(folder: Path, principal: str) -> Path:
    """File with the password of a principal, made at first use."""
    path = folder / f"{principal}.password"
    if not path.exists():
        write_secret(path, f"{secrets.token_urlsafe(32)}\n".encode())
    return path


def create_users(settings: KafkaSettings, password_files: Mapping[str, Path]) -> None:
    """Makes these users, or gives them these passwords. Raises RuntimeError where the broker refuses one."""
    users = [
        UserScramCredentialUpsertion(name, ScramMechanism.SCRAM_SHA_512, file.read_text().strip())
        for name, file in password_files.items()
    ]
    check_broker(settings)
    admin = KafkaAdminClient(**client_options(settings))
    try:
        refused = {name: why for name, why in admin.alter_user_scram_credentials(users).items() if why}
    finally:
        admin.close()
    if refused:
        raise RuntimeError(f"Kafka refused users: {refused}")


def write_env_file(folder: Path, principal: str, variables: Mapping[str, str]) -> Path:
    """Writes PRINCIPAL.env, the variables that make a process this principal; it names the password's file only."""
    path = folder / f"{principal}.env"
    write_secret(path, "".join(f"{name}={value}\n" for name, value in variables.items()).encode())
    return path
