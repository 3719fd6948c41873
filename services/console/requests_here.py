"""Requests for footage in the console's own process, beside a line that keeps originals: one box, no second process.

Elsewhere disclosure is a process of its own, and the console has no key to originals (`requests_proxy.py`).
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from fastapi import FastAPI
from pydantic import ValidationError

from services.accounts.accounts import Accounts
from services.console.server import ConsoleError
from services.policy.problems import ConfigError

_NAMED = "VEIL_DISCLOSURE_FOLDER"


def is_set_up() -> bool:
    """Whether the environment says where requests are kept."""
    return bool(os.environ.get(_NAMED))


@contextmanager
def requests_here(app: FastAPI, accounts: Accounts, originals: Path, site: str) -> Iterator[None]:
    """Adds the routes of requests to the console, for as long as the block runs. Raises ConsoleError.

    Args:
        app: of the console; nobody is served yet.
        accounts: the console's.
        originals: the vault's folder. The rest is set up as for `veil disclose`.
        site: name of the site, whose cameras all are.
    """
    # Here, because a console elsewhere does without the vault's and the renderer's packages.
    from services.disclosure.errors import DisclosureError
    from services.disclosure.opening import open_desk
    from services.disclosure.rest.app import install_requests
    from services.disclosure.rest.counter import Counter, Rooms
    from services.disclosure.rest.jobs import Jobs
    from services.disclosure.rest.keys import WORDS, FilingKeys
    from services.disclosure.settings import DisclosureSettings
    from services.sql import Database, parsed
    from services.vault import VaultError, VaultSettings, open_vault

    settings = accounts.settings
    with ExitStack() as open_until_the_end:
        try:
            vault = open_until_the_end.enter_context(closing(open_vault(VaultSettings(store=str(originals), index=""))))
            # The folders come from the environment.
            desk = open_desk(DisclosureSettings(), vault)  # type: ignore[call-arg, unused-ignore]
            address = parsed(settings.database, WORDS, settings.database_password_file)
            keys = FilingKeys(open_until_the_end.enter_context(closing(Database(address, WORDS))))
        except ValidationError as error:
            fields = ", ".join(f"VEIL_DISCLOSURE_{str(each['loc'][0]).upper()}" for each in error.errors())
            raise ConsoleError(f"requests are not set up: see {fields}") from None
        except (DisclosureError, VaultError, ConfigError) as error:
            raise ConsoleError(f"requests can't be worked on: {str(error).removesuffix('.')}") from error
        jobs = open_until_the_end.enter_context(closing(Jobs(1, (VaultError,))))
        install_requests(app, Counter(Rooms(desk, accounts, jobs, keys, lambda _: site)), (VaultError,))
        yield
