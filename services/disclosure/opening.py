"""Opens a desk as the settings say, for the command line and for the API alike."""

import os
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from services.disclosure.desk import Desk, Office
from services.disclosure.errors import Invalid, Unavailable
from services.disclosure.footage import Footage
from services.disclosure.package import House
from services.disclosure.settings import DisclosureSettings
from services.disclosure.store import RequestStore
from services.policy.loader import load_policy
from services.policy.model import Policy
from services.signing import SigningKeys


def open_desk(settings: DisclosureSettings, footage: Footage | None = None) -> Desk:
    """A desk on the folder and database of the settings; makes the folder.

    Args:
        settings: say where everything is.
        footage: opens originals; without it nothing can be looked for or rendered, and no policies are read.

    Raises Invalid where there is footage and no folder of policies, Unavailable, ConfigError on a faulty policy.
    """
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = settings.database_password_file
    store = RequestStore(
        settings.database or f"sqlite:///{settings.folder / 'requests.db'}",
        None if password is None else password.read_text(encoding="utf-8").strip(),
    )
    office = Office(
        folder=settings.folder,
        keys=SigningKeys(settings.keys, Unavailable),
        policies={} if footage is None else policies_in(settings.policies),
        house=House(settings.house, settings.contact),
        rules=settings.rules,
        zone=ZoneInfo(settings.time_zone),
        expiry_days=settings.expiry_days,
        workers=settings.workers or os.cpu_count() or 1,
    )
    return Desk(store, footage, office)


def policies_in(folder: Path | None) -> Mapping[str, Policy]:
    """Every policy (.yaml) of a folder, by fingerprint. Raises Invalid where there is no folder."""
    if folder is None:
        raise Invalid("VEIL_DISCLOSURE_POLICIES: a folder with the policies that cameras had is needed.")
    found = [load_policy(path) for path in sorted(folder.glob("*.yaml"))]
    return {policy.fingerprint: policy for policy in found}
