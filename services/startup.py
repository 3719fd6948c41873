"""What service processes read when they start, beside their own settings: the site file and the keys of payloads."""

from pydantic import ValidationError

from services.envelope import KeyFolder, KeySettings, Opener, Sealer, SealError
from services.envelope.metrics import watch_data_keys, watch_keys
from services.policy.problems import ConfigError
from services.policy.site import Addresses, Site, load_site
from services.runtime.service import ServiceError, ServiceSettings


def site_of(settings: ServiceSettings, *addresses: Addresses) -> Site:
    """The site, with those addresses of its cameras that this service needs, and the secrets in them, and no others.

    Raises ServiceError where none is named, or anything in it is wrong.
    """
    try:
        return load_site(settings.site_file, addresses=addresses)
    except ConfigError as error:
        raise ServiceError("; ".join(str(problem) for problem in error.problems)) from error


def make_sealer() -> Sealer:
    """What encrypts payloads under the keys of VEIL_KEYS_…. Raises ServiceError without keys."""
    settings = _key_settings()
    keys = KeyFolder(settings.folder)
    try:
        keys.current()
    except SealError as error:
        raise ServiceError(str(error)) from error
    sealer = Sealer(keys, settings.rotate_every_s)
    watch_keys(keys)
    watch_data_keys(sealer)
    return sealer


def make_opener() -> Opener:
    """What decrypts payloads with the keys of VEIL_KEYS_…. Raises ServiceError without keys."""
    settings = _key_settings()
    keys = KeyFolder(settings.folder)
    try:
        keys.names()
    except SealError as error:
        raise ServiceError(str(error)) from error
    watch_keys(keys)
    return Opener(keys, settings.cache_s, settings.cache_size)


def _key_settings() -> KeySettings:
    try:
        return KeySettings()
    except ValidationError as error:
        fields = ", ".join(sorted({f"VEIL_KEYS_{str(problem['loc'][0]).upper()}" for problem in error.errors()}))
        raise ServiceError(f"payloads travel encrypted, and the keys are not set up: see {fields}") from error
