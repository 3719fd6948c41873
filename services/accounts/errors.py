"""What can go wrong with accounts; every text is one sentence that tells nothing about anybody's account."""


class AccountError(Exception):
    """Something about accounts that can't or won't be done."""


class Refused(AccountError):
    """Who they say they are was not shown: one sentence for every reason, so that none can be told from another."""


class TooMany(AccountError):
    """Too many tries: to be tried again after a pause.

    Attributes:
        retry_after_s: seconds of the pause.
    """

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class NotAllowed(AccountError):
    """The account's roles do not allow it."""


class Invalid(AccountError):
    """What was given makes no sense."""


class Unknown(AccountError):
    """There is nothing of that name."""


class Conflict(AccountError):
    """It was changed by somebody else meanwhile, or there is one of that name already."""


class Unavailable(AccountError):
    """The database, or the identity provider, can't be reached now."""
