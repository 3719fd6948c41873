"""What can go wrong with statistics; every text is one sentence."""


class InsightError(Exception):
    """Something that the statistics can't or won't do."""


class Invalid(InsightError):
    """A question that can't be answered as it is put."""


class Unavailable(InsightError):
    """The database can't be used now, or was made with another grid."""


class Conflict(Unavailable):
    """Another process wrote the same at the same time: to be tried again."""
