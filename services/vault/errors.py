"""What can go wrong with the vault; every text is one sentence without payload, key or password."""


class VaultError(Exception):
    """Something that the vault can't or won't do."""


class NoPurpose(VaultError):
    """Who wants something of the vault must say who they are and what for."""


class Expired(VaultError):
    """Nothing of the range is kept any more."""


class Missing(VaultError):
    """There is nothing of that name, camera or range."""


class Held(VaultError):
    """A legal hold stops it."""


class Tampered(VaultError):
    """What was stored was changed, exchanged or removed since."""


class Unavailable(VaultError):
    """Store, index or keys can't be reached now: to be tried again."""


class Full(Unavailable):
    """There is no room for more: nothing new is acknowledged until something expires."""


class Conflict(VaultError):
    """Another writer took the place in the index: to be written anew."""
