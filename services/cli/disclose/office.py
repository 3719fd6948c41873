"""The desk that the environment sets up."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from services.cli.console import fail
from services.embedded.errors import ExitCode

if TYPE_CHECKING:
    from services.disclosure.desk import Desk
    from services.disclosure.footage import Footage
    from services.disclosure.settings import DisclosureSettings


def read_settings() -> "DisclosureSettings":
    """What the environment says. Ends the command where something is missing."""
    from services.disclosure.settings import DisclosureSettings

    try:
        # The folders come from the environment.
        return DisclosureSettings()  # type: ignore[call-arg, unused-ignore]
    except ValidationError as error:
        fields = ", ".join(f"VEIL_DISCLOSURE_{str(each['loc'][0]).upper()}" for each in error.errors())
        fail(f"disclosure is not set up: see {fields}", ExitCode.USAGE)


def open_desk(*, with_footage: bool = False) -> "Desk":
    """Where officers work; with footage, it can look for people and render."""
    from services.disclosure.opening import open_desk as opened

    return opened(read_settings(), vault() if with_footage else None)


def vault() -> "Footage":
    """The originals."""
    from services.vault.vault import open_vault

    return open_vault()
