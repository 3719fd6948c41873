"""Payload encryption: what lies on a broker's disk is unreadable without a key that can be destroyed."""

from services.envelope.context import context
from services.envelope.folder import KeyFolder
from services.envelope.keys import KeyEncryption, SealError
from services.envelope.opener import Opener
from services.envelope.sealer import Sealer
from services.envelope.settings import KeySettings

__all__ = ["KeyEncryption", "KeyFolder", "KeySettings", "Opener", "SealError", "Sealer", "context"]
