"""What processes that seal or open payloads say of their keys; never a key, nor its name."""

from collections.abc import Callable
from math import nan

from prometheus_client import Gauge

from services.envelope.folder import KeyFolder
from services.envelope.keys import SealError
from services.envelope.sealer import Sealer

DATA_KEY_AGE = Gauge(
    "veil_keys_data_key_age_seconds", "Age of the oldest data key that sealed something in the last minute; 0: none."
)
KEY_CREATED = Gauge(
    "veil_keys_encryption_key_created_timestamp_seconds",
    "When the key-encryption key in use was made, in seconds since 1970; 0 without keys, NaN if they can't be read.",
)


def watch_data_keys(sealer: Sealer) -> None:
    """From now on the gauge says how old this sealer's data keys are."""
    DATA_KEY_AGE.set_function(sealer.oldest_s)


def watch_keys(keys: KeyFolder) -> None:
    """From now on the gauge says when the folder's current key was made."""
    KEY_CREATED.set_function(_or_nan(keys.current_since))


def _or_nan(ask: Callable[[], float]) -> Callable[[], float]:
    def asked() -> float:
        try:
            return ask()
        except SealError:
            return nan

    return asked
