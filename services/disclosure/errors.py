"""What can go wrong with a disclosure; every text is one sentence without picture, key or password."""


class DisclosureError(Exception):
    """Something that can't or won't be done."""


class Unknown(DisclosureError):
    """There is nothing of that name."""


class NotAllowed(DisclosureError):
    """The request's state, or who asks, does not allow it."""


class Invalid(DisclosureError):
    """What was given makes no sense."""


class Conflict(DisclosureError):
    """Somebody else was faster: to be looked at again."""


class Unavailable(DisclosureError):
    """A database, a folder or a key can't be used now."""
