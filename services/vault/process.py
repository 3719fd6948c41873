"""The vault as a process of its own."""

from services.runtime.service import MakeStage, ServiceError, ServiceSettings
from services.startup import make_opener, site_of
from services.vault.errors import VaultError
from services.vault.stage import VaultStage
from services.vault.vault import open_vault


def prepare(settings: ServiceSettings) -> MakeStage:
    """Reads the site file and the keys, and brings the index to this version."""
    site, opener = site_of(settings), make_opener()
    try:
        vault = open_vault()
    except VaultError as error:
        raise ServiceError(str(error)) from error
    return lambda: VaultStage(vault, site.book, opener)
