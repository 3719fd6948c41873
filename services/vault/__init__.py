"""The vault: originals as encrypted segments that expire, an index, holds, purges that can be proven, readers."""

from services.vault.errors import Expired, Held, Missing, NoPurpose, Tampered, Unavailable, VaultError
from services.vault.reader import Gap, Opened, Piece, Unit
from services.vault.settings import VaultSettings
from services.vault.vault import Vault, open_vault

__all__ = [
    "Expired",
    "Gap",
    "Held",
    "Missing",
    "NoPurpose",
    "Opened",
    "Piece",
    "Tampered",
    "Unavailable",
    "Unit",
    "Vault",
    "VaultError",
    "VaultSettings",
    "open_vault",
]
